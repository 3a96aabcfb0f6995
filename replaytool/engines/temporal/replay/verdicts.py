"""From what the engine says and what the tape shows to one verdict, and to the sentence that gives its reason."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from replaytool.engines.temporal.replay.command_kinds import words
from replaytool.engines.temporal.replay.findings import Findings, lay_beside, with_matches
from replaytool.engines.temporal.replay.recorded_commands import Record
from replaytool.engines.temporal.replay.server_defaults import comparable
from replaytool.engines.temporal.sdk.recorder import Activation, Tape
from replaytool.engines.temporal.sdk.replayer_errors import Says
from replaytool.model.verdict import (
    STILL_FAILS,
    WOULD_PROCEED,
    CallSite,
    Command,
    Divergence,
    Drift,
    Expected,
    Failure,
    Match,
    Verdict,
)
from replaytool.replay import call_site as callsite
from replaytool.replay.compare import advice, drift
from replaytool.replay.compare.mismatch import Mismatch
from replaytool.replay.isolation.memory import is_out_of_memory

_BLIND = "no SDK flags are recorded, so the SDK's replayer compares no names; here they were compared all the same"
_DEADLOCK = "Potential deadlock"


@dataclass(frozen=True)
class Case:
    """All that is known about one replay."""

    record: Record
    tape: Tape
    says: Says
    decode: drift.Decode
    policy: Mapping[str, drift.Level]
    engine: str = "sdk"
    steps: bool = False


def judge(case: Case) -> Verdict:
    """The verdict."""
    found = lay_beside(case.record, case.tape.activations)
    verdict = _JUDGES[case.says.word](case, found)
    notes = (_BLIND,) if case.record.blind else ()
    hazards = case.tape.guard.found_hazards if case.tape.guard else ()
    steps = with_matches(found) if case.steps else ()
    return replace(verdict, engine=case.engine, notes=(*notes, *verdict.notes), hazards=hazards, steps=steps)


def _passed(case: Case, found: Findings) -> Verdict:
    """The SDK is content: what it hides or never looks at is still to be told."""
    last = case.tape.current
    if case.tape.broken is not None:
        return _fails(case, found, case.tape.broken)
    if found.mismatch is not None:
        why = _BLIND if found.mismatch.only_strict else "the SDK's replayer lets this pass"
        return _diverged(case, found, found.mismatch, f" ({why})")
    if found.leftovers:
        return _left_over(case, found)
    drifts = _drifts(case, found)
    stuck = WOULD_PROCEED if case.record.stuck_on and last and not last.replaying else None
    following = tuple(_readable(case, one) for one in found.next)
    reason = _reason_of_passed(drifts, stuck, following)
    return Verdict("drift" if drifts else "ok", reason, stuck=stuck, next=following, drift=drifts)


def _reason_of_passed(drifts: tuple[Drift, ...], stuck: str | None, following: tuple[Command, ...]) -> str:
    parts = []
    if stuck:
        coming = ", ".join(words(one.kind, one.name) for one in following) or "nothing that asks for a command"
        parts.append(f"stuck: {stuck} with {coming}")
    if drifts:
        fields = sorted({one.path.partition("[")[0].partition(".")[0] for one in drifts})
        parts.append(f"the same commands, with another {', '.join(fields)}")
    return "; ".join(parts)


def _drifts(case: Case, found: Findings) -> tuple[Drift, ...]:
    return drift.find_drift(found.pairs.matched, case.decode, case.policy, partial(comparable, record=case.record))


def _left_over(case: Case, found: Findings) -> Verdict:
    """Commands that nothing records: nobody notices until the next task, which then fails."""
    extra = found.leftovers[0]
    behind = [one for one in case.record.events if one.event_id > case.record.last_completed]
    matched = [one.expected.event_id for one in found.pairs.matched]
    event_id = next((one.event_id for one in behind if one.event_id not in matched), case.record.last_id + 1)
    event = case.record.by_id.get(event_id)
    scene = advice.DivergenceScene(
        _nothing(event_id), extra, (), found.leftovers[1:], advice.source_of_site(extra.call_site)
    )
    divergence = Divergence(
        event_id=event_id,
        expected=None if event is None else _told(case, case.record.expected(event)),
        actual=_readable(case, extra),
        call_site=extra.call_site,
        last_matched_event_id=matched[-1] if matched else None,
        before=tuple(_told_pair(case, one) for one in found.pairs.matched[-5:]),
        advice=advice.advise_on_divergence(scene),
    )
    reason = (
        f"the code asks for {words(extra.kind, extra.name)}, which the record does not hold: "
        "the SDK's replayer passes it, and the next task would fail"
    )
    return Verdict("diverged", reason, divergence=divergence)


def _nothing(event_id: int) -> Expected:
    return Expected(event_id, "", "", "")


def _nondeterministic(case: Case, found: Findings) -> Verdict:
    """The SDK says where; our own matching says what stood there."""
    mismatch, event_id = found.mismatch, case.says.event_id
    if mismatch is not None and mismatch.expected.event_id == event_id:
        return _diverged(case, found, mismatch, "", confirmed=True)
    event = case.record.by_id.get(event_id or 0)
    if event is None:
        where = mismatch or Mismatch(_nothing(event_id or 0), None)
        return _diverged(case, found, where, f" (the SDK says: {case.says.message})")
    if mismatch is not None and mismatch.expected.event_id < event.event_id and mismatch.only_strict:
        return _diverged(case, found, mismatch, f" (the SDK notices at event {event_id} only)")
    told = Mismatch(case.record.expected(event), found.leftovers[0] if found.leftovers else None)
    return _diverged(case, found, told, f" (the SDK says: {case.says.message})", confirmed=True)


def _diverged(case: Case, found: Findings, mismatch: Mismatch, aside: str, *, confirmed: bool = False) -> Verdict:
    later = [one for one in case.record.commands() if one.event_id > mismatch.expected.event_id]
    site = mismatch.actual.call_site if mismatch.actual else _stands_at(case, mismatch.expected.event_id)
    scene = advice.DivergenceScene(
        mismatch.expected, mismatch.actual, later, found.same_task, advice.source_of_site(site)
    )
    divergence = found.pairs.make_divergence(mismatch, advice.advise_on_divergence(scene))
    told = replace(
        divergence,
        expected=_told(case, mismatch.expected),
        actual=_readable(case, mismatch.actual) if mismatch.actual else None,
        call_site=site,
        before=tuple(_told_pair(case, pair) for pair in divergence.before),
    )
    return Verdict(
        "diverged", _difference(mismatch) + aside, divergence=told, confirmed_by="sdk" if confirmed else None
    )


def _stands_at(case: Case, event_id: int) -> CallSite | None:
    """Where code that asks for nothing waits, or the line that it ended with, when the record goes on."""
    before = [one for one in case.tape.activations if one.event_id < event_id]
    return before[-1].stands_at if before else None


def _difference(mismatch: Mismatch) -> str:
    expected, actual = mismatch.expected, mismatch.actual
    recorded = words(expected.kind, expected.name)
    if actual is None:
        return f"event {expected.event_id} records {recorded}, and the code asks for nothing"
    if mismatch.differing and (expected.kind, expected.name) == (actual.kind, actual.name):
        name = mismatch.differing[0]
        both = f"{expected.fields.get(name)!r}, the code's is {actual.fields.get(name)!r}"
        return f"event {expected.event_id} records {recorded} with {name} {both}"
    return f"event {expected.event_id} records {recorded}, the code asks for {words(actual.kind, actual.name)}"


def _code_fails(case: Case, found: Findings) -> Verdict:
    """A task fails; or else what the code was given could not even be read."""
    last = case.tape.current
    if last is None:
        if is_out_of_memory(case.says.message):
            raise MemoryError
        return Verdict("unverified", f"the run cannot be given to the code: {case.says.message}")
    if found.mismatch is not None and not found.mismatch.only_strict:
        return _diverged(case, found, found.mismatch, f" (then the code fails: {case.says.message})")
    return _fails(case, found, last)


def _unreadable(error: BaseException | None) -> str:
    """What was in no encoding that the converter knows, or ""; a value of the wrong type is the code's own affair."""
    cause = error.__cause__ if error is not None else None
    unknown = isinstance(cause, KeyError) and "encoding" in str(cause)
    return f"{error} ({cause})" if unknown or isinstance(cause, json.JSONDecodeError) else ""


def _fails(case: Case, found: Findings, last: Activation) -> Verdict:
    if _unreadable(last.error):
        return Verdict("unverified", _unreadable(last.error))
    failure = _failure(case, last)
    at = "" if failure.call_site is None else f" at {failure.call_site.file}:{failure.call_site.line}"
    stuck = STILL_FAILS if case.record.stuck_on and not last.replaying else None
    reason = f"{'stuck: still fails' if stuck else 'a task fails'}{at}: {failure.type}: {failure.message}"
    hidden = ("the SDK's replayer passes this run: it does not judge what comes after the last completed task",)
    return Verdict("failed", reason, stuck=stuck, failure=failure, notes=hidden if case.says.word == "ok" else ())


def _failure(case: Case, last: Activation) -> Failure:
    error = last.error
    deadlock = last.deadlocked or not last.done or _DEADLOCK in case.says.message
    kind = "Deadlock" if deadlock else type(error).__name__ if error else "TaskFailed"
    message = "the code does not yield" if deadlock else _message(error) if error else case.says.message
    site = last.kept_at if deadlock else callsite.site_of_exception(error) or last.kept_at
    return Failure(_led_to(case.record, last), kind, message, site, callsite.user_traceback(error))


def _message(error: BaseException) -> str:
    """What an exception says, with what is behind it where it says no more than that something failed."""
    cause = error.__cause__
    return f"{error} ({type(cause).__name__}: {cause})" if str(error).startswith("Failed ") and cause else str(error)


def _led_to(record: Record, last: Activation) -> int:
    """The first event that the task should have led to; the newest event where no task had begun."""
    if last.replaying:
        return last.event_id + 2
    return record.last_task_started + 2 if record.last_task_started else record.last_id


def _odd_history(case: Case, found: Findings) -> Verdict:
    """The core gives up for a reason that is not the code's, unless the code left the record's course before."""
    if found.mismatch is not None and not found.mismatch.only_strict:
        return _diverged(case, found, found.mismatch, f" (the SDK says: {case.says.message})")
    return Verdict("unverified", f"the SDK cannot replay this history: {case.says.message}")


def _readable(case: Case, command: Command) -> Command:
    return replace(command, fields=drift.decode_payloads(command.fields, case.decode))


def _told(case: Case, expected: Expected) -> Expected:
    return replace(expected, fields=drift.decode_payloads(expected.fields, case.decode))


def _told_pair(case: Case, pair: Match) -> Match:
    return Match(_told(case, pair.expected), _readable(case, pair.actual))


_JUDGES: dict[str, Callable[[Case, Findings], Verdict]] = {
    "ok": _passed,
    "nondeterminism": _nondeterministic,
    "code": _code_fails,
    "history": _odd_history,
}
