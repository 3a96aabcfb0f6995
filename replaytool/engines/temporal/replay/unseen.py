"""Judge an ending of the first pass that no recorded pass repeated: the verdict lacks only the call site."""

from __future__ import annotations

from dataclasses import replace

from replaytool.engines.temporal.core.command_queue import Line, Waiting
from replaytool.engines.temporal.replay.produced_commands import CommandTranslator
from replaytool.engines.temporal.replay.recorded_commands import Record
from replaytool.engines.temporal.sdk.replayer_errors import ReplayerOutcome
from replaytool.model.verdict import CallSite, Command, Divergence, Failure, Verdict
from replaytool.replay.compare import drift


def judge_unrepeated_pass(
    record: Record, says: ReplayerOutcome, line: Line, decode: drift.Decode, site: CallSite | None
) -> Verdict:
    """Return the verdict; `site` is a line with a known side effect, the likely cause of the different ending."""
    if says.word == "history":
        return Verdict("unverified", f"the SDK cannot replay this history: {says.message}", engine="direct")
    if says.word == "code":
        failure = Failure(record.last_id, "TaskFailed", says.message, site)
        return Verdict("failed", f"a task fails: {says.message}", engine="direct", failure=failure)
    if says.word == "nondeterminism":
        return _build_diverged_verdict(record, says.event_id, line.refused, line, decode, site, says.message)
    if line.has_leftovers:
        extra = next(one for one in line.waiting if one.command is not None)
        return _build_diverged_verdict(
            record, None, extra, line, decode, site, "the code asks for a command that the history does not have"
        )
    return Verdict("drift", "same commands, different values", engine="direct")


def _build_diverged_verdict(
    record: Record,
    event_id: int | None,
    refused: Waiting | None,
    line: Line,
    decode: drift.Decode,
    site: CallSite | None,
    message: str,
) -> Verdict:
    event = record.by_id.get(event_id or 0)
    expected = record.expected(event) if event is not None else None
    matched = line.matched[-1] if line.matched else None
    divergence = Divergence(
        event_id=event_id or record.last_id + 1,
        expected=replace(expected, fields=drift.decode_payloads(expected.fields, decode)) if expected else None,
        actual=_read_refused_command(refused, decode),
        call_site=site,
        last_matched_event_id=record.events[matched.place].event_id if matched else None,
    )
    return Verdict("diverged", message, engine="direct", divergence=divergence)


def _read_refused_command(refused: Waiting | None, decode: drift.Decode) -> Command | None:
    if refused is None or refused.command is None:
        return None
    made = CommandTranslator().translate_command(refused.command, None)
    return replace(made, fields=drift.decode_payloads(made.fields, decode))
