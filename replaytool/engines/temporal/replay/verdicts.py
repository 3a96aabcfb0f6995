"""Turn a replayer's outcome and its tape into a verdict with its reason in one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from replaytool.engines.temporal.core.command_queue import CommandQueue
from replaytool.engines.temporal.replay.command_kinds import describe_command
from replaytool.engines.temporal.replay.failure_advice import CONVERTER
from replaytool.engines.temporal.replay.findings import Findings, match_tape, steps_with_matches
from replaytool.engines.temporal.replay.produced_commands import CommandTranslator
from replaytool.engines.temporal.replay.recorded_commands import RecordedHistory
from replaytool.engines.temporal.replay.sandbox_refusals import NO_INSTANCE, judge_refusal
from replaytool.engines.temporal.replay.server_defaults import normalize_pair
from replaytool.engines.temporal.replay.unreadable_results import explain_unreadable_result
from replaytool.engines.temporal.sdk.recorder import RecordedActivation, RecordedTape
from replaytool.engines.temporal.sdk.replayer_errors import ReplayerOutcome, find_fatal_event
from replaytool.model.history import Run
from replaytool.model.verdict import (
    ADDED_COMMAND,
    STILL_FAILS,
    WOULD_PROCEED,
    CallSite,
    Command,
    Divergence,
    Drift,
    ExpectedEvent,
    Failure,
    MatchedPair,
    Verdict,
)
from replaytool.replay import call_site as callsite
from replaytool.replay.code.user_code import Code
from replaytool.replay.compare import drift
from replaytool.replay.compare.mismatch import Mismatch
from replaytool.replay.isolation.limits import is_out_of_memory

_BLIND = "no SDK flags are recorded, so the SDK's replayer compares no names; replaytool compared them anyway"
_DEADLOCK = "Potential deadlock"
_PASSES = ("ok", "drift")


@dataclass(frozen=True)
class ReplayCase:
    """Everything that is known about one replay."""

    record: RecordedHistory
    tape: RecordedTape
    outcome: ReplayerOutcome
    decode: drift.Decode
    policy: Mapping[str, drift.Level]
    engine: str = "sdk"
    steps: bool = False
    has_converter: bool = False
    """Whether the user named a converter. A payload that it cannot read fails the tasks of a worker, too."""
    volatile: drift.VolatileValues | None = None
    """Values that are not compared, since they differ between two replays of the same code."""


def refuse_malformed(record: RecordedHistory, engine: str) -> Verdict | None:
    """Return `unverified` for a history on which the SDK's replayer would hang."""
    malformed = record.find_malformation()
    return Verdict("unverified", f"the history is malformed: {malformed}", engine=engine) if malformed else None


def refuse_missing_code(run: Run, code: Code, engine: str) -> Verdict | None:
    """Return why no code for the run's workflow type can be replayed.

    The verdict is `failed` if the code holds the type's class under another name: a worker fails each task then.
    """
    if code.workflow_class(run.workflow_type) is not None:
        return None
    if code.find_obstacle(run.workflow_type) is not None:
        return Verdict("unverified", code.explain_missing(run.workflow_type), engine=engine)
    renamed = [
        (name, kind)
        for name, kind in code.definitions.items()
        if _fold_name(kind.__name__) == _fold_name(run.workflow_type)
    ]
    if len(renamed) == 1:
        name, kind = renamed[0]
        message = (
            f"workflow type {run.workflow_type!r} is not registered: class {kind.__name__} is registered as {name!r}"
        )
        failure = Failure(1, "NotRegistered", message, callsite.site_of_class(kind))
        return Verdict("failed", message, engine=engine, failure=failure)
    hint = f". If its class was renamed: @workflow.defn(name={run.workflow_type!r})"
    return Verdict("unverified", code.explain_missing(run.workflow_type) + hint, engine=engine)


def _fold_name(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def judge_replay(case: ReplayCase) -> Verdict:
    """Return the verdict on one replay."""
    found = match_tape(case.record, case.tape.activations)
    verdict = _JUDGES[case.outcome.word](case, found)
    # Matching explains what the replayer reports, and adds what it ignores. It never turns a failed replay into a pass.
    assert case.outcome.word == "ok" or verdict.verdict not in _PASSES, f"{case.outcome} is judged {verdict.verdict}"
    notes = (_BLIND,) if case.record.lacks_check_flags else ()
    hazards = case.tape.guard.found_hazards if case.tape.guard else ()
    steps = steps_with_matches(found) if case.steps else ()
    return replace(verdict, engine=case.engine, notes=(*notes, *verdict.notes), hazards=hazards, steps=steps)


def _judge_passed(case: ReplayCase, found: Findings) -> Verdict:
    """Judge a run that the SDK's replayer passes: it ignores later failures, left-over commands and drift."""
    last = case.tape.current_activation
    if case.tape.broken_activation is not None:
        return _build_failed_verdict(case, found, case.tape.broken_activation)
    if found.mismatch is not None:
        why = _BLIND if found.mismatch.only_strict else "the SDK's replayer lets this pass"
        return _build_diverged_verdict(case, found, found.mismatch, f" ({why})")
    if found.leftovers:
        return _judge_leftovers(case, found)
    drifts = _find_drifts(case, found)
    stuck = WOULD_PROCEED if case.record.stuck_task and last and not last.replaying else None
    following = tuple(decode_fields(one, case.decode) for one in found.next)
    reason = _describe_pass(drifts, stuck, following)
    return Verdict("drift" if drifts else "ok", reason, stuck=stuck, next=following, drift=drifts)


def _describe_pass(drifts: tuple[Drift, ...], stuck: str | None, following: tuple[Command, ...]) -> str:
    parts = []
    if stuck:
        coming = ", ".join(describe_command(one.kind, one.name) for one in following) or "no command"
        parts.append(f"stuck: {stuck} with {coming}")
    if drifts:
        parts.append(drift.describe_drift(drifts))
    return "; ".join(parts)


def _find_drifts(case: ReplayCase, found: Findings) -> tuple[Drift, ...]:
    return drift.find_drift(
        found.pairs.matched, case.decode, case.policy, partial(normalize_pair, record=case.record), case.volatile
    )


def _judge_leftovers(case: ReplayCase, found: Findings) -> Verdict:
    """Judge a run with commands that no event records.

    sdk-core keeps them in its queue: a worker sends them with the next task that it completes, in the order of the
    code, so that no later event disagrees with them. The run goes on, and does there what its history does not show.
    """
    extra = found.leftovers[0]
    matched = [one.expected.event_id for one in found.pairs.matched]
    behind = [one for one in case.record.events if one.event_id > case.record.last_completed_task_id]
    event_id = next((one.event_id for one in behind if one.event_id not in matched), case.record.last_event_id + 1)
    added = tuple(
        Drift(event_id, ADDED_COMMAND, None, describe_command(one.kind, one.name), one.call_site)
        for one in found.leftovers
    )
    reason = (
        f"the code asks for {describe_command(extra.kind, extra.name)}, which the history does not have: "
        "the SDK's replayer passes it, and a worker sends it only with its next task"
    )
    return Verdict("drift", reason, drift=(*added, *_find_drifts(case, found)))


def _judge_nondeterminism(case: ReplayCase, found: Findings) -> Verdict:
    """Judge nondeterminism: the SDK names the event, our own matching names the command."""
    mismatch, event_id = found.mismatch, case.outcome.event_id
    if mismatch is not None and mismatch.expected.event_id == event_id:
        return _build_diverged_verdict(case, found, mismatch, "", confirmed=True)
    event = case.record.events_by_id.get(event_id or 0)
    if event is None:
        where = mismatch or Mismatch(ExpectedEvent(event_id or 0, "", "", ""), None)
        return _build_diverged_verdict(case, found, where, f" (the SDK says: {case.outcome.message})")
    if mismatch is not None and mismatch.expected.event_id < event.event_id and mismatch.only_strict:
        return _build_diverged_verdict(case, found, mismatch, f" (the SDK notices at event {event_id} only)")
    told = Mismatch(case.record.expected_command(event), found.leftovers[0] if found.leftovers else None)
    return _build_diverged_verdict(case, found, told, f" (the SDK says: {case.outcome.message})", confirmed=True)


def _build_diverged_verdict(
    case: ReplayCase, found: Findings, mismatch: Mismatch, aside: str, *, confirmed: bool = False
) -> Verdict:
    site = mismatch.actual.call_site if mismatch.actual else _find_waiting_site(case, mismatch.expected.event_id)
    divergence = found.pairs.make_divergence(mismatch)
    told = replace(
        divergence,
        expected=decode_fields(mismatch.expected, case.decode),
        actual=decode_fields(mismatch.actual, case.decode) if mismatch.actual else None,
        call_site=site,
        before=tuple(_decode_pair(case, pair) for pair in divergence.before),
    )
    return Verdict(
        "diverged", _describe_difference(mismatch) + aside, divergence=told, confirmed_by="sdk" if confirmed else None
    )


def _find_waiting_site(case: ReplayCase, event_id: int) -> CallSite | None:
    """Return the line at which the code waited, or ended, before this event."""
    before = [one for one in case.tape.activations if one.event_id < event_id]
    return before[-1].stands_at if before else None


def _describe_difference(mismatch: Mismatch) -> str:
    expected, actual = mismatch.expected, mismatch.actual
    recorded = describe_command(expected.kind, expected.name)
    if actual is None:
        return f"event {expected.event_id} records {recorded}, and the code asks for nothing"
    if mismatch.differing and (expected.kind, expected.name) == (actual.kind, actual.name):
        name = mismatch.differing[0]
        both = f"{expected.fields.get(name)!r}, the code's is {actual.fields.get(name)!r}"
        return f"event {expected.event_id} records {recorded} with {name} {both}"
    return (
        f"event {expected.event_id} records {recorded}, the code asks for {describe_command(actual.kind, actual.name)}"
    )


def _judge_code_failure(case: ReplayCase, found: Findings) -> Verdict:
    """Judge a failed task, or an input that could not be read."""
    last = case.tape.current_activation
    if last is None:
        if is_out_of_memory(case.outcome.message):
            raise MemoryError
        if case.tape.creation_error is not None:
            return judge_refusal(case.tape.creation_error, NO_INSTANCE, case.engine)
        return Verdict("unverified", f"the code cannot start this run: {case.outcome.message}")
    if found.mismatch is not None and not found.mismatch.only_strict:
        return _build_diverged_verdict(case, found, found.mismatch, f" (then the code fails: {case.outcome.message})")
    return _build_failed_verdict(case, found, last)


def _describe_unreadable_payload(error: BaseException | None) -> str:
    """Return the error if the converter does not know the payload's encoding, else "".

    A value of the wrong type is no such error: the code fails on it in production too.
    """
    cause = error.__cause__ if error is not None else None
    unknown = isinstance(cause, KeyError) and "encoding" in str(cause)
    return f"{error} ({cause})" if unknown or isinstance(cause, json.JSONDecodeError) else ""


def _build_failed_verdict(case: ReplayCase, found: Findings, last: RecordedActivation) -> Verdict:
    if not case.has_converter and _describe_unreadable_payload(last.error):
        return Verdict("unverified", f"{_describe_unreadable_payload(last.error)}. {CONVERTER}")
    failure = _build_failure(case, last)
    at = "" if failure.call_site is None else f" at {failure.call_site.file}:{failure.call_site.line}"
    stuck = STILL_FAILS if case.record.stuck_task and not last.replaying else None
    reason = f"{'stuck: still fails' if stuck else 'a task fails'}{at}: {failure.type}: {failure.message}"
    hidden = ("the SDK's replayer passes this run: it ignores failures after the last completed task",)
    return Verdict("failed", reason, stuck=stuck, failure=failure, notes=hidden if case.outcome.word == "ok" else ())


def _build_failure(case: ReplayCase, last: RecordedActivation) -> Failure:
    error = last.error
    deadlock = last.deadlocked or not last.done or _DEADLOCK in case.outcome.message
    kind = "Deadlock" if deadlock else type(error).__name__ if error else "TaskFailed"
    message = "the code does not yield" if deadlock else _describe_exception(error) if error else case.outcome.message
    if not deadlock and (found := explain_unreadable_result(case.record, case.tape, last)) is not None:
        text = "\n".join(filter(None, (callsite.user_traceback(error), _describe_causes(error))))
        return Failure(_find_failure_event(case.record, last), found.kind, found.message, found.call_site, text)
    site = last.kept_at if deadlock else callsite.site_of_exception(error) or last.kept_at
    return Failure(_find_failure_event(case.record, last), kind, message, site, callsite.user_traceback(error))


def _describe_causes(error: BaseException | None) -> str:
    """Return the errors below an error, one a line, with the values that they name."""
    lines = []
    while error is not None and (error := error.__cause__) is not None:
        lines.append(f"{type(error).__name__}: {error}")
    return "\n".join(lines)


def _describe_exception(error: BaseException) -> str:
    """Return an exception's message, with its cause where the message only says that a step failed."""
    cause = error.__cause__
    return f"{error} ({type(cause).__name__}: {cause})" if str(error).startswith("Failed ") and cause else str(error)


def _find_failure_event(record: RecordedHistory, last: RecordedActivation) -> int:
    """Return the id of the first event that the task would have written; the last event if no task had begun."""
    if last.replaying:
        return last.event_id + 2
    return record.last_started_task_id + 2 if record.last_started_task_id else record.last_event_id


def _judge_odd_history(case: ReplayCase, found: Findings) -> Verdict:
    """Judge a history that sdk-core rejects: a mismatch before that point is the code's, the rest is not."""
    mismatch = found.mismatch
    if mismatch is not None and not mismatch.only_strict and _caused_rejection(case, found, mismatch):
        return _build_diverged_verdict(case, found, mismatch, f" (the SDK says: {case.outcome.message})")
    return Verdict("unverified", f"the SDK cannot replay this history: {case.outcome.message}")


def _caused_rejection(case: ReplayCase, found: Findings, mismatch: Mismatch) -> bool:
    """Return whether a command that does not match may be why sdk-core rejects a later event.

    sdk-core stops there, so what matching finds behind it is a consequence. A command that the code asked for earlier
    is a cause, even if the event that it does not match comes later.
    """
    fatal = find_fatal_event(case.outcome.message)
    if fatal is None or mismatch.expected.event_id <= fatal:
        return True
    return any(mismatch.actual is command for step in found.steps if step.event_id < fatal for command in step.commands)


_Side = TypeVar("_Side", Command, ExpectedEvent)


def decode_fields(side: _Side, decode: drift.Decode) -> _Side:
    """Return one side of a comparison with its payloads as plain values."""
    return replace(side, fields=drift.decode_payloads(side.fields, decode))


def _decode_pair(case: ReplayCase, pair: MatchedPair) -> MatchedPair:
    return MatchedPair(decode_fields(pair.expected, case.decode), decode_fields(pair.actual, case.decode))


def judge_unrepeated_pass(
    record: RecordedHistory, outcome: ReplayerOutcome, queue: CommandQueue, decode: drift.Decode, site: CallSite | None
) -> Verdict:
    """Judge an ending of the first pass that no recorded pass repeated, so that no call site is known.

    `site` is a line with a known side effect, the likely cause of the different ending.
    """
    if outcome.word == "history":
        return Verdict("unverified", f"the SDK cannot replay this history: {outcome.message}", engine="direct")
    if outcome.word == "code":
        failure = Failure(record.last_event_id, "TaskFailed", outcome.message, site)
        return Verdict("failed", f"a task fails: {outcome.message}", engine="direct", failure=failure)
    if outcome.word == "ok":
        is_more = "; the code asks for a command that the history does not have" if queue.has_leftovers else ""
        return Verdict("drift", f"same commands, different values{is_more}", engine="direct")
    reason, refused = outcome.message, queue.refused
    actual = refused.command if refused is not None else None
    event = record.events_by_id.get(outcome.event_id or 0)
    divergence = Divergence(
        event_id=outcome.event_id or record.last_event_id + 1,
        expected=decode_fields(record.expected_command(event), decode) if event is not None else None,
        actual=decode_fields(CommandTranslator().translate_command(actual, None), decode) if actual else None,
        call_site=site,
        last_matched_event_id=record.events[queue.matched[-1].place].event_id if queue.matched else None,
    )
    return Verdict("diverged", reason, engine="direct", divergence=divergence)


_JUDGES: dict[str, Callable[[ReplayCase, Findings], Verdict]] = {
    "ok": _judge_passed,
    "nondeterminism": _judge_nondeterminism,
    "code": _judge_code_failure,
    "history": _judge_odd_history,
}
