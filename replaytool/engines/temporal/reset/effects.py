"""What a reset to a point undoes, brings back and does again: counted, not guessed.

The rules are the server's. Everything from the point on is undone, in the base and in the runs that it handed over
to. Signals, updates and changes of options come back, those of later runs too; what activities and timers gave does
not. An activity that was asked for before the point and ended behind it is asked for again.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from replaytool.engines.temporal.reset.run_facts import Activity, Child, Named, Record, Update
from replaytool.model.token_usage import Usage

_RANDOM = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}(?:_\d+)?")


@dataclass(frozen=True, slots=True)
class Effects:
    """The consequences of one reset."""

    undone_events: int
    undone_runs: tuple[str, ...]
    reapplied: dict[str, int]
    repeats: dict[str, int]
    repeats_local: dict[str, int]
    spent: tuple[tuple[str, Usage], ...]
    """What models spent in those of them whose results tell it, with the activity's type."""
    pending_activities: dict[str, int]
    failed_by_reset: tuple[str, ...]
    """Activities that had started before the point, by a start that the history keeps: the server fails them."""
    updates_may_change: tuple[str, ...]
    children_again: tuple[Child, ...]
    children_pending: tuple[Child, ...]
    cancels_lost: int
    externals_again: tuple[str, ...]
    nexus_again: tuple[str, ...]
    later_signals: int
    """Signals and updates of later runs, all of which the earlier run gets at once."""


def effects(base: Record, later: Sequence[Record], point: int) -> Effects:
    """What happens when the base is reset to the event, and the later runs with it."""
    undone = [activity for activity in base.activities.values() if (activity.closed or point) >= point]
    undone += [activity for run in later for activity in run.activities.values()]
    repeated = [one for one in undone if one.closed and one.started]
    repeated_local = [one for run in (base, *later) for one in _behind(run, base, point)]
    updates = _reapplied_updates(base, later, point)
    behind = [signal for signal in base.signals if signal.event_id > point]
    reapplied = {
        "signals": len(behind) + sum(len(run.signals) for run in later),
        "updates": len(updates),
        "options": sum(one.event_id > point for run in (base,) for one in run.overrides)
        + sum(one.event_id > 1 for run in later for one in run.overrides),
        "children": _child_events(base, point),
    }
    return Effects(
        undone_events=base.last_event_id - point + 1 + sum(run.last_event_id for run in later),
        undone_runs=tuple(run.run_id or run.run_key for run in later),
        reapplied=reapplied,
        repeats=_counted(one.type for one in repeated),
        repeats_local=_counted(one.name for one in repeated_local),
        spent=tuple((one.type, usage) for one in repeated for usage in one.spent)
        + tuple((one.name, usage) for one in repeated_local for usage in one.spent),
        pending_activities=_counted(one.type for one in undone if not one.closed),
        failed_by_reset=tuple(_failed_by_reset(base.activities.values(), point)),
        updates_may_change=tuple(_may_change(base, updates, point)),
        children_again=tuple(_children_again(base, later, point)),
        children_pending=tuple(child for child in base.children.values() if _is_pending(child, point)),
        cancels_lost=sum(one.event_id > point for one in base.cancels) + sum(len(run.cancels) for run in later),
        externals_again=tuple(one.name for one in base.externals if one.event_id > point)
        + tuple(one.name for run in later for one in run.externals),
        nexus_again=tuple(one.name for one in base.nexus.values() if one.event_id > point)
        + tuple(one.name for run in later for one in run.nexus.values()),
        later_signals=sum(len(run.signals) + len(run.updates) for run in later),
    )


def has_random_id(child: Child, parent: Record) -> bool:
    """Whether the SDK made the child's id up: it makes up another one in the reset run."""
    if _RANDOM.fullmatch(child.workflow_id):
        return True
    return any(child.workflow_id.startswith(f"{run}_") for run in _run_ids(parent))


def _run_ids(parent: Record) -> set[str]:
    return {one for one in (parent.run_id, parent.first_run_id, *(reset.base_run_id for reset in parent.resets)) if one}


def _behind(run: Record, base: Record, point: int) -> list[Named]:
    return [one for one in run.locals if run is not base or one.event_id > point]


def _counted(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))


def _reapplied_updates(base: Record, later: Sequence[Record], point: int) -> list[Update]:
    """Each update once: the server knows those that the kept part holds, and those that it has brought back."""
    kept = {update.id for update in base.updates.values() if update.event_id < point}
    found = {update.id: update for update in base.updates.values() if update.event_id > point}
    for run in later:
        for update in run.updates.values():
            if update.id not in kept:
                found.setdefault(update.id, update)
    return list(found.values())


def _may_change(base: Record, reapplied: Iterable[Update], point: int) -> list[str]:
    """Updates whose answer was given behind the point: it is worked out again, and nobody is told of the new one."""
    again = [update for update in reapplied if update.completed]
    open_then = [one for one in base.updates.values() if one.event_id < point < (one.completed or 0)]
    return [f"{one.name} ({one.id})" for one in (*open_then, *again)]


def _failed_by_reset(activities: Iterable[Activity], point: int) -> list[str]:
    return [one.type for one in activities if one.started and one.started < point <= (one.closed or point)]


def _children_again(base: Record, later: Sequence[Record], point: int) -> list[Child]:
    own = [child for child in base.children.values() if child.initiated > point]
    return own + [child for run in later for child in run.children.values()]


def _is_pending(child: Child, point: int) -> bool:
    return child.initiated < point <= (child.closed or point)


def _child_events(base: Record, point: int) -> int:
    """Events behind the point about children that were under way there: these come back as they are."""
    pending = {child.initiated for child in base.children.values() if _is_pending(child, point)}
    return sum(one.event_id > point and one.closed in pending for one in base.child_events)
