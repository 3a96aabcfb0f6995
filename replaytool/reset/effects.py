"""Count what a reset to a point undoes, re-applies and re-executes.

The rules are the server's. A reset undoes every event from the point on, in the base run and in the runs that
followed it. It re-applies signals, updates and changed options, also those of later runs. It does not re-apply
results of activities and timers. An activity that was scheduled before the point and closed after it is scheduled
again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from replaytool.model.reset_case import Effects
from replaytool.model.run_facts import NamedEvent, RunActivity, RunChild, RunFacts, RunUpdate


def compute_effects(base: RunFacts, later: Sequence[RunFacts], point: int) -> Effects:
    """Compute the effects of a reset of the base to the event, together with the later runs."""
    # An activity that was pending at the point counts too: the server drops its result.
    undone = [activity for activity in base.activities.values() if (activity.closed or point) >= point]
    undone += [activity for run in later for activity in run.activities.values()]
    # Without Started nobody executed it, for example because it timed out in the queue.
    repeated = [one for one in undone if one.closed and one.started]
    repeated_local = [one for run in (base, *later) for one in _local_activities_after(run, base, point)]
    updates = _find_reapplied_updates(base, later, point)
    behind = [signal for signal in base.signals if signal.event_id > point]
    reapplied = {
        "signals": len(behind) + sum(len(run.signals) for run in later),
        "updates": len(updates),
        "options": sum(one.event_id > point for run in (base,) for one in run.overrides)
        # Event 1 of a later run repeats the override that it inherited, and is not re-applied.
        + sum(one.event_id > 1 for run in later for one in run.overrides),
        "children": _count_child_events(base, point),
    }
    return Effects(
        undone_events=base.last_event_id - point + 1 + sum(run.last_event_id for run in later),
        undone_runs=tuple(run.run_id or run.run_key for run in later),
        reapplied=reapplied,
        repeats=_count_names(one.type for one in repeated),
        repeats_local=_count_names(one.name for one in repeated_local),
        spent=tuple((one.type, usage) for one in repeated for usage in one.spent)
        + tuple((one.name, usage) for one in repeated_local for usage in one.spent),
        pending_activities=_count_names(one.type for one in undone if not one.closed),
        failed_by_reset=tuple(_activities_failed_by_reset(base.activities.values(), point)),
        updates_may_change=tuple(_updates_that_may_change(base, updates, point)),
        children_again=tuple(_restarted_children(base, later, point)),
        children_pending=tuple(child for child in base.children.values() if _is_child_pending(child, point)),
        cancels_lost=sum(one.event_id > point for one in base.cancels) + sum(len(run.cancels) for run in later),
        externals_again=tuple(one.name for one in base.externals if one.event_id > point)
        + tuple(one.name for run in later for one in run.externals),
        nexus_again=tuple(one.name for one in base.nexus.values() if one.event_id > point)
        + tuple(one.name for run in later for one in run.nexus.values()),
        later_signals=sum(len(run.signals) + len(run.updates) for run in later),
    )


def _local_activities_after(run: RunFacts, base: RunFacts, point: int) -> list[NamedEvent]:
    return [one for one in run.locals if run is not base or one.event_id > point]


def _count_names(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _find_reapplied_updates(base: RunFacts, later: Sequence[RunFacts], point: int) -> list[RunUpdate]:
    """Return re-applied updates, each once: the server skips updates that it has already."""
    kept = {update.id for update in base.updates.values() if update.event_id < point}
    found = {update.id: update for update in base.updates.values() if update.event_id > point}
    for run in later:
        for update in run.updates.values():
            if update.id not in kept:
                found.setdefault(update.id, update)
    return list(found.values())


def _updates_that_may_change(base: RunFacts, reapplied: Iterable[RunUpdate], point: int) -> list[str]:
    """Return updates whose answer is computed again. Their callers already have the first answer."""
    again = [update for update in reapplied if update.completed]
    open_then = [one for one in base.updates.values() if one.event_id < point < (one.completed or 0)]
    return [f"{one.name} ({one.id})" for one in (*open_then, *again)]


def _activities_failed_by_reset(activities: Iterable[RunActivity], point: int) -> list[str]:
    return [one.type for one in activities if one.started and one.started < point <= (one.closed or point)]


def _restarted_children(base: RunFacts, later: Sequence[RunFacts], point: int) -> list[RunChild]:
    own = [child for child in base.children.values() if child.initiated > point]
    return own + [child for run in later for child in run.children.values()]


def _is_child_pending(child: RunChild, point: int) -> bool:
    return child.initiated < point <= (child.closed or point)


def _count_child_events(base: RunFacts, point: int) -> int:
    """Count events after the point about children that were running there: the server re-applies them unchanged."""
    pending = {child.initiated for child in base.children.values() if _is_child_pending(child, point)}
    return sum(one.event_id > point and one.closed in pending for one in base.child_events)
