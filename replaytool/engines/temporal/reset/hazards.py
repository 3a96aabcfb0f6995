"""The hazards of a reset: one function and one row in HAZARDS for each.

A hazard that blocks keeps the workflow out of the plan, unless the person names the hazard. It blocks if the workflow
would fail, be wrong, or lose a message. It warns if work is done twice. A note tells what may surprise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from replaytool.model.reset_case import HazardCase, find_child_state, has_random_id
from replaytool.model.reset_plan import BLOCK, NOTE, WARN, Level
from replaytool.model.run_facts import RunChild, VersionOverride, list_build_entries

Told = Iterator[tuple[Level, str]]
"""Level and message of each hazard that applies."""


def _warn_missing_events(case: HazardCase) -> Told:
    if "missing-event-id" in case.base.problems:
        yield BLOCK, "the loaded history lacks events, so this plan may be wrong: load the whole history"


def _warn_same_ids(case: HazardCase) -> Told:
    if "same-ids" in case.base.problems:
        yield BLOCK, "two different histories with these IDs are loaded: it is unclear which one the server has"


def _warn_id_reused(case: HazardCase) -> Told:
    if case.line.newer_chain:
        yield (
            BLOCK,
            (
                f"the workflow ID was used again: resetting this execution would end run {case.line.newer_chain} of "
                "the newer one"
            ),
        )


def _warn_earlier_missing(case: HazardCase) -> Told:
    if case.line.before_missing and case.base is case.line.runs[0] and case.rule.kind != "event":
        yield (
            WARN,
            (f"the run before this one, {case.line.before_missing}, is not loaded: the rule may match it already"),
        )


def _warn_later_missing(case: HazardCase) -> Told:
    last = case.line.newest_run
    if last.next_run_id is not None:
        yield (
            BLOCK,
            (f"it continued in run {last.next_run_id}, which is not loaded: pull it, its signals are re-applied too"),
        )


def _warn_already_reset(case: HazardCase) -> Told:
    if broken := case.line.find_break_after(case.base):
        text = (
            f"run {broken[0].next_run_id} after this base was already reset, to run {broken[1].run_id}: the server "
            "would re-apply messages from before that reset, and lose those sent to the newer run"
        )
        yield BLOCK, text


def _note_reset_before(case: HazardCase) -> Told:
    if case.base.reset_from and case.point.event_id > case.base.resets[-1].event_id:
        yield NOTE, f"this run is itself the result of a reset of run {case.base.reset_from}"


def _warn_parent_told(case: HazardCase) -> Told:
    parent = case.base.parent_workflow_id
    if parent and not case.is_running:
        yield WARN, f"its parent {parent} has its result already: a new result reaches nobody"


_REOPENED: dict[str, tuple[Level, str]] = {
    "Terminated": (BLOCK, "it was terminated: a reset makes it run again"),
    "Canceled": (BLOCK, "it was cancelled: a reset makes it run again and does not re-apply the cancel request"),
}


def _warn_closed_run(case: HazardCase) -> Told:
    newest = case.line.newest_run
    if newest.status in ("Running", "ContinuedAsNew"):
        return
    if newest.terminated_by_reset:
        yield BLOCK, "a reset ended it, and the new run is not loaded: pull the workflow again"
        return
    level, text = _REOPENED.get(newest.status, (WARN, f"it is closed ({newest.status}): a reset makes it run again"))
    yield level, text


def _warn_cancel_lost(case: HazardCase) -> Told:
    # A reset never re-applies a cancel request: the exclude type for it changes nothing (measured on server 1.32).
    if case.effects.cancels_lost and case.line.newest_run.status != "Canceled":
        yield BLOCK, "a cancel request came after the point: the server drops it, so the workflow goes on"


def _warn_continued_run(case: HazardCase) -> Told:
    if case.later:
        yield (
            WARN,
            (
                f"it continued as new after the point: {len(case.later)} later runs are undone, and the earlier run "
                "gets all their signals"
            ),
        )


def _warn_queue_lost(case: HazardCase) -> Told:
    if count := case.effects.later_signals:
        text = (
            f"{count} signals and updates of later runs reach the earlier run at once: those not handled before "
            "continue-as-new are lost unless the workflow passes them on"
        )
        yield WARN, text


def find_override_in_force(case: HazardCase) -> VersionOverride | None:
    """Return the override that the new run will have: the newest, since the server always re-applies options."""
    found = [one for run in (case.base, *case.later) for one in run.overrides]
    return found[-1] if found and not found[-1].removed else None


def _warn_bad_override(case: HazardCase) -> Told:
    override = find_override_in_force(case)
    if override and override.build_id in case.bad:
        text = (
            f"an override (event {override.event_id}) pins it to {override.deployment}:{override.build_id} and is "
            "re-applied, so the new run would go to the bad build: `reset apply --pin DEPLOYMENT:BUILD` replaces it"
        )
        yield BLOCK, text


def _warn_old_pin(case: HazardCase) -> Told:
    kept = [task for task in case.base.tasks if task.event_id < case.point.event_id]
    if find_override_in_force(case) is None and kept and kept[-1].behavior == "PINNED":
        pinned = f"{kept[-1].deployment}:{kept[-1].build_id}"
        text = f"it is pinned to {pinned}: without --pin the new run waits for a worker of that version"
        yield BLOCK if kept[-1].build_id in case.bad else WARN, text


def _restarted_child_states(case: HazardCase, *, random: bool) -> list[tuple[RunChild, str]]:
    return [
        (child, find_child_state(case, child))
        for child in case.effects.children_again
        if has_random_id(child, case.base) == random
    ]


# "Running" is the word of the store, "Started" that of the parent's history.
_OPEN = ("Running", "Started")
_REFUSED: dict[str, tuple[str, ...]] = {
    "REJECT_DUPLICATE": ("Completed", "Failed", "Canceled", "Terminated", "TimedOut", "ContinuedAsNew"),
    "ALLOW_DUPLICATE_FAILED_ONLY": ("Completed", "ContinuedAsNew"),
}
"""The statuses after which a reuse policy forbids the ID."""


def _warn_fixed_child_id(case: HazardCase) -> Told:
    for child, state in _restarted_child_states(case, random=False):
        name = f"child {child.workflow_id} ({child.type})"
        if state in _OPEN and child.reuse_policy != "TERMINATE_IF_RUNNING":
            yield BLOCK, f"{name} still runs: starting it again fails, and the workflow with it"
        elif state in _OPEN:
            yield WARN, f"{name} still runs: it would be terminated and started again"
        elif state in _REFUSED.get(child.reuse_policy, ()):
            yield BLOCK, f"{name} is {state}, and its reuse policy forbids the ID: starting it fails"
        elif state != "StartFailed":
            yield WARN, f"{name} is {state}, and would be started again with the same ID"


def _warn_random_child_id(case: HazardCase) -> Told:
    """Warn of children with a generated ID.

    The reset run gets a new random seed only after the first signals. Until then it generates the same IDs as before.
    """
    for child, state in _restarted_child_states(case, random=True):
        name = f"child {child.workflow_id} ({child.type}), with a generated ID,"
        if state in _OPEN:
            text = (
                f"{name} still runs: a second one would be started, and nobody waits for the first. If a signal starts "
                "it at once, it gets the same ID, and starting it fails"
            )
            yield BLOCK, text
        elif state != "StartFailed":
            yield WARN, f"{name} is {state}: a second one would be started, most likely with another ID"


def _warn_pending_child(case: HazardCase) -> Told:
    for child in case.effects.children_pending:
        if child.closed is None and not case.is_running:
            text = (
                f"child {child.workflow_id} was running at the point and had not ended when this run closed: its "
                "result is lost, and the new run waits for it forever"
            )
            yield BLOCK, text
        else:
            yield NOTE, f"child {child.workflow_id} is running at the point: the new run waits for it again"


def _note_reruns(case: HazardCase) -> Told:
    if case.effects.repeats or case.effects.repeats_local:
        counts = case.effects.repeats | case.effects.repeats_local
        yield NOTE, "activities are executed again: " + ", ".join(f"{name} ({count})" for name, count in counts.items())


def _warn_pending_activity(case: HazardCase) -> Told:
    if case.effects.pending_activities:
        names = ", ".join(case.effects.pending_activities)
        yield WARN, f"activities were pending when the history was exported, and are scheduled again: {names}"


def _warn_failed_activity(case: HazardCase) -> Told:
    for kind in case.effects.failed_by_reset:
        yield BLOCK, f"activity {kind} had started before the point: the server fails it in the new run"


def _warn_external_again(case: HazardCase) -> Told:
    if case.effects.externals_again:
        yield WARN, "sent to other workflows again: " + ", ".join(dict.fromkeys(case.effects.externals_again))


def _warn_nexus_again(case: HazardCase) -> Told:
    if case.effects.nexus_again:
        yield WARN, "Nexus operations start again: " + ", ".join(dict.fromkeys(case.effects.nexus_again))


def _warn_update_results(case: HazardCase) -> Told:
    if found := case.effects.updates_may_change:
        yield WARN, f"{len(found)} updates are executed again, and may answer differently: {', '.join(found[:5])}"


def _note_order_changes(case: HazardCase) -> Told:
    sent = case.effects.reapplied["signals"] + case.effects.reapplied["updates"]
    if sent and case.effects.repeats:
        yield NOTE, f"{sent} signals and updates come before any activity, not between activities as recorded"


def _note_build_came_back(case: HazardCase) -> Told:
    if case.rule.kind != "build":
        return
    found = [task.event_id for task, _ in list_build_entries(case.base) if task.build_id == case.rule.value]
    if len(found) > 1 and case.rule.ordinal == 1:
        yield (
            NOTE,
            (
                f"build {case.rule.value} returned at event {', '.join(map(str, found[1:]))}: the point is before its "
                "first task, so the work of other builds in between is undone too"
            ),
        )


HAZARDS: dict[str, Callable[[HazardCase], Told]] = {
    "incomplete-history": _warn_missing_events,
    "same-ids": _warn_same_ids,
    "workflow-id-reused": _warn_id_reused,
    "earlier-run-missing": _warn_earlier_missing,
    "later-run-missing": _warn_later_missing,
    "base-already-reset": _warn_already_reset,
    "reset-before": _note_reset_before,
    "child-of-another": _warn_parent_told,
    "closed-run": _warn_closed_run,
    "cancel-lost": _warn_cancel_lost,
    "continued-as-new": _warn_continued_run,
    "queue-lost": _warn_queue_lost,
    "override-to-bad-build": _warn_bad_override,
    "pinned-to-old-build": _warn_old_pin,
    "child-fixed-id": _warn_fixed_child_id,
    "child-random-id": _warn_random_child_id,
    "child-pending": _warn_pending_child,
    "activities-again": _note_reruns,
    "activity-pending": _warn_pending_activity,
    "activity-failed-by-reset": _warn_failed_activity,
    "external-again": _warn_external_again,
    "nexus-again": _warn_nexus_again,
    "update-results": _warn_update_results,
    "order-changes": _note_order_changes,
    "build-came-back": _note_build_came_back,
}
PIN_SOLVES = frozenset({"override-to-bad-build", "pinned-to-old-build"})
"""Hazards that `reset apply --pin` solves, so that they no longer block."""
