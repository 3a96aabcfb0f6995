"""What a person should know before a reset: one function and one row in TRAPS for each trap.

A warning that blocks keeps the workflow out of the plan unless the person names it. What blocks is what would leave
the workflow failed, wrong, or without something that somebody sent to it; what warns is work done twice; a note
tells what is merely surprising.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from replaytool.engines.temporal.reset.effects import Effects, has_random_id
from replaytool.engines.temporal.reset.points import Rule, entries
from replaytool.engines.temporal.reset.run_chain import Line
from replaytool.engines.temporal.reset.run_facts import Child, Override, Record
from replaytool.model.reset_plan import BLOCK, NOTE, WARN, Level, Point


@dataclass(frozen=True, slots=True)
class Case:
    """One item while it is looked at."""

    rule: Rule
    line: Line
    base: Record
    later: tuple[Record, ...]
    point: Point
    effects: Effects
    bad: frozenset[str]
    """Builds that must not get the workflow again."""
    children: Mapping[str, tuple[str | None, str]]
    """Run id and status of the newest known run of each child's workflow id."""

    def with_children(self, children: Mapping[str, tuple[str | None, str]]) -> Case:
        """The same, with what is known of the children."""
        return replace(self, children=children)

    @property
    def is_running(self) -> bool:
        """Whether there is a run to end."""
        return self.line.newest.status == "Running"


Told = Iterator[tuple[Level, str]]
"""Level and message."""


def child_state(case: Case, child: Child) -> str:
    """How the child stands: what its parent was told of its end, else what is known of it by itself."""
    run_id, status = case.children.get(child.workflow_id, (None, child.outcome))
    return child.outcome if child.closed and run_id in (None, child.run_id) else status


def _incomplete(case: Case) -> Told:
    if "missing-event-id" in case.base.problems:
        yield BLOCK, "events are missing in the loaded history: what is said here may be wrong; load all of it"


def _same_ids(case: Case) -> Told:
    if "same-ids" in case.base.problems:
        yield BLOCK, "two different histories with these ids are loaded: nobody knows which one the server has"


def _id_taken(case: Case) -> Told:
    if case.line.newer_chain:
        yield (
            BLOCK,
            (
                f"the workflow id was used again since: resetting this execution would end run {case.line.newer_chain} "
                "of the other one"
            ),
        )


def _before_missing(case: Case) -> Told:
    if case.line.before_missing and case.base is case.line.runs[0] and case.rule.kind != "event":
        yield (
            WARN,
            (f"the run before this one, {case.line.before_missing}, is not loaded: the rule may hold for it already"),
        )


def _later_missing(case: Case) -> Told:
    last = case.line.newest
    if last.next_run_id is not None:
        yield (
            BLOCK,
            (f"it went on in run {last.next_run_id}, which is not loaded: pull it, for its signals come back as well"),
        )


def _already_reset(case: Case) -> Told:
    if broken := case.line.broken_after(case.base):
        text = (
            f"run {broken[0].next_run_id} behind this base was reset to run {broken[1].run_id} since: the server would "
            "bring back what was sent before that reset, and lose what was sent to the newer run"
        )
        yield BLOCK, text


def _reset_before(case: Case) -> Told:
    if case.base.reset_from and case.point.event_id > case.base.resets[-1].event_id:
        yield NOTE, f"this run came out of a reset of run {case.base.reset_from} itself"


def _child_of_another(case: Case) -> Told:
    parent = case.base.parent_workflow_id
    if parent and not case.is_running:
        yield WARN, f"its parent {parent} has been told its result: the new one reaches nobody"


_REOPENED: dict[str, tuple[Level, str]] = {
    "Terminated": (BLOCK, "somebody terminated it: a reset makes it run again"),
    "Canceled": (BLOCK, "it was cancelled: a reset makes it run again, and the request to cancel does not come back"),
}


def _closed(case: Case) -> Told:
    newest = case.line.newest
    if newest.status in ("Running", "ContinuedAsNew"):
        return
    if newest.terminated_by_reset:
        yield BLOCK, "a reset ended it: the run that it made is not loaded; pull the workflow again"
        return
    level, text = _REOPENED.get(newest.status, (WARN, f"it is closed ({newest.status}): a reset makes it run again"))
    yield level, text


def _cancel_lost(case: Case) -> Told:
    if case.effects.cancels_lost and case.line.newest.status != "Canceled":
        yield BLOCK, "a request to cancel came behind the point: the server drops it, so the workflow goes on"


def _continued(case: Case) -> Told:
    if case.later:
        yield (
            WARN,
            (
                f"it was continued as new behind the point: {len(case.later)} later runs are undone, and all that they "
                "were sent goes to the earlier run"
            ),
        )


def _queue_lost(case: Case) -> Told:
    if count := case.effects.later_signals:
        text = (
            f"{count} signals and updates of later runs reach the earlier run all at once: what it has not handled "
            "when it continues as new is lost, unless the workflow hands it on"
        )
        yield WARN, text


def in_force(case: Case) -> Override | None:
    """The override that the new run will have: the newest, since changes of options always come back."""
    found = [one for run in (case.base, *case.later) for one in run.overrides]
    return found[-1] if found and not found[-1].removed else None


def _bad_override(case: Case) -> Told:
    override = in_force(case)
    if override and override.build_id in case.bad:
        text = (
            f"an override (event {override.event_id}) pins it to {override.deployment}:{override.build_id} and comes "
            "back, so that the new run would go to the bad build: `reset apply --pin DEPLOYMENT:BUILD` replaces it"
        )
        yield BLOCK, text


def _old_pin(case: Case) -> Told:
    kept = [task for task in case.base.tasks if task.event_id < case.point.event_id]
    if in_force(case) is None and kept and kept[-1].behavior == "PINNED":
        pinned = f"{kept[-1].deployment}:{kept[-1].build_id}"
        text = f"it is pinned to {pinned}: without --pin the new run waits for a worker of that version"
        yield BLOCK if kept[-1].build_id in case.bad else WARN, text


def _children(case: Case, *, random: bool) -> list[tuple[Child, str]]:
    return [
        (child, child_state(case, child))
        for child in case.effects.children_again
        if has_random_id(child, case.base) == random
    ]


_OPEN = ("Running", "Started")
_REFUSED: dict[str, tuple[str, ...]] = {
    "REJECT_DUPLICATE": ("Completed", "Failed", "Canceled", "Terminated", "TimedOut", "ContinuedAsNew"),
    "ALLOW_DUPLICATE_FAILED_ONLY": ("Completed", "ContinuedAsNew"),
}
"""The ends after which a policy does not let an id be used again."""


def _fixed_child(case: Case) -> Told:
    for child, state in _children(case, random=False):
        name = f"child {child.workflow_id} ({child.type})"
        if state in _OPEN and child.reuse_policy != "TERMINATE_IF_RUNNING":
            yield BLOCK, f"{name} still runs and would be started again: that fails, and the workflow with it"
        elif state in _OPEN:
            yield WARN, f"{name} still runs: it would be terminated and started again"
        elif state in _REFUSED.get(child.reuse_policy, ()):
            yield BLOCK, f"{name} is {state}, and its id may not be used again: starting it fails"
        elif state != "StartFailed":
            yield WARN, f"{name} is {state}, and would be started again under the same id"


def _random_child(case: Case) -> Told:
    """The SDK draws new numbers in a reset run only behind the first signals: before that a made-up id is the old."""
    for child, state in _children(case, random=True):
        name = f"child {child.workflow_id} ({child.type}), whose id the SDK made up,"
        if state in _OPEN:
            text = (
                f"{name} still runs: a second one would be started, and nobody waits for the first; or, where a signal "
                "starts it at once, under the same id, which fails"
            )
            yield BLOCK, text
        elif state != "StartFailed":
            yield WARN, f"{name} is {state}: a second one would be started, mostly under another id"


def _pending_child(case: Case) -> Told:
    for child in case.effects.children_pending:
        if child.closed is None and not case.is_running:
            text = (
                f"child {child.workflow_id} was under way at the point and had not ended when this run closed: what "
                "it gave is lost, and the new run waits for it for ever"
            )
            yield BLOCK, text
        else:
            yield NOTE, f"child {child.workflow_id} is under way at the point: the new run takes it up again"


def _repeats(case: Case) -> Told:
    if case.effects.repeats or case.effects.repeats_local:
        counts = case.effects.repeats | case.effects.repeats_local
        yield NOTE, "activities run again: " + ", ".join(f"{name} ({count})" for name, count in counts.items())


def _pending_activity(case: Case) -> Told:
    if case.effects.pending_activities:
        names = ", ".join(case.effects.pending_activities)
        yield WARN, f"activities were under way when the history was taken, and are asked for again: {names}"


def _failed_activity(case: Case) -> Told:
    for kind in case.effects.failed_by_reset:
        yield BLOCK, f"activity {kind} had started before the point: the server makes it fail in the new run"


def _externals(case: Case) -> Told:
    if case.effects.externals_again:
        yield WARN, "sent to other workflows again: " + ", ".join(dict.fromkeys(case.effects.externals_again))


def _nexus(case: Case) -> Told:
    if case.effects.nexus_again:
        yield WARN, "Nexus operations start again: " + ", ".join(dict.fromkeys(case.effects.nexus_again))


def _update_results(case: Case) -> Told:
    if found := case.effects.updates_may_change:
        yield WARN, f"{len(found)} updates are worked out again, and may answer differently: {', '.join(found[:5])}"


def _order(case: Case) -> Told:
    sent = case.effects.reapplied["signals"] + case.effects.reapplied["updates"]
    if sent and case.effects.repeats:
        yield NOTE, f"{sent} signals and updates come back before any activity runs, and not between them as they did"


def _came_back(case: Case) -> Told:
    if case.rule.kind != "build":
        return
    found = [task.event_id for task, _ in entries(case.base) if task.build_id == case.rule.value]
    if len(found) > 1 and case.rule.ordinal == 1:
        yield (
            NOTE,
            (
                f"build {case.rule.value} came back at event {', '.join(map(str, found[1:]))}: the point is before its "
                "first task, and what other builds did between is undone as well"
            ),
        )


TRAPS: dict[str, Callable[[Case], Told]] = {
    "incomplete-history": _incomplete,
    "same-ids": _same_ids,
    "workflow-id-reused": _id_taken,
    "earlier-run-missing": _before_missing,
    "later-run-missing": _later_missing,
    "base-already-reset": _already_reset,
    "reset-before": _reset_before,
    "child-of-another": _child_of_another,
    "closed-run": _closed,
    "cancel-lost": _cancel_lost,
    "continued-as-new": _continued,
    "queue-lost": _queue_lost,
    "override-to-bad-build": _bad_override,
    "pinned-to-old-build": _old_pin,
    "child-fixed-id": _fixed_child,
    "child-random-id": _random_child,
    "child-pending": _pending_child,
    "activities-again": _repeats,
    "activity-pending": _pending_activity,
    "activity-failed-by-reset": _failed_activity,
    "external-again": _externals,
    "nexus-again": _nexus,
    "update-results": _update_results,
    "order-changes": _order,
    "build-came-back": _came_back,
}
PIN_SOLVES = frozenset({"override-to-bad-build", "pinned-to-old-build"})
"""What `--pin` at apply puts right, so that it no longer keeps an item out."""
