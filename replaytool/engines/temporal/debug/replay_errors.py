"""Say why a replay ended early: the code failed in a task, or did not match the history."""

from __future__ import annotations

from replaytool.engines.temporal.replay.sandbox_refusals import NO_INSTANCE, judge_refusal
from replaytool.engines.temporal.replay.stepper import ActivationStep, Stepper
from replaytool.engines.temporal.sdk import recorder
from replaytool.model.debug_state import Trouble
from replaytool.model.verdict import CallSite
from replaytool.replay import call_site as callsite


def find_replay_error(told: ActivationStep, course: Stepper, tape: recorder.RecordedTape) -> Trouble | None:
    """Return what went wrong in this activation, if anything. States before its event remain valid."""
    if told.answer.failure is not None:
        return _describe_failure(told, course, tape)
    if told.fault is None:
        return None
    replay = course.machines
    event_id = course.outcome.event_id or replay.last_id + 1
    refused = replay.queue.refused
    site = _find_call_site(refused.command if refused is not None else None, told, tape)
    if told.fault.kind == "nondeterminism":
        return Trouble("diverged", told.fault.message, event_id, site)
    return Trouble("unverified", told.fault.message, event_id, site)


def _describe_failure(told: ActivationStep, course: Stepper, tape: recorder.RecordedTape) -> Trouble:
    if tape.creation_error is not None:
        refused = judge_refusal(tape.creation_error, NO_INSTANCE, "direct")
        return Trouble("failed", refused.reason, 1, callsite.site_of_exception(tape.creation_error))
    error = tape.current_activation.error if tape.current_activation else None
    site = callsite.site_of_exception(error) or (tape.current_activation.kept_at if tape.current_activation else None)
    last = course.machines.history.heads[-1].event_id
    # The activation ends at WorkflowTaskStarted, so the server would record the failure in the event after it.
    event_id = min(told.activation.history_length + 1, last)
    if told.answer.is_deadlock:
        return Trouble("failed", "the code does not yield", event_id, site)
    what = f"{type(error).__name__}: {error}" if error else told.answer.failure or ""
    return Trouble("failed", what, event_id, site)


def _find_call_site(asked: object, told: ActivationStep, tape: recorder.RecordedTape) -> CallSite | None:
    if tape.current_activation is None:
        return None
    for command, site in zip(told.answer.commands, tape.current_activation.sites, strict=False):
        if command is asked:
            return site
    return None
