"""The verdict on what one pass met by luck and no watched pass showed again: all is told but the line that asked."""

from __future__ import annotations

from dataclasses import replace

from replaytool.engines.temporal.core.command_queue import Line, Waiting
from replaytool.engines.temporal.replay.produced_commands import Translator
from replaytool.engines.temporal.replay.recorded_commands import Record
from replaytool.engines.temporal.sdk.replayer_errors import Says
from replaytool.model.verdict import CallSite, Command, Divergence, Failure, Verdict
from replaytool.replay.compare import drift


def unseen(record: Record, says: Says, line: Line, decode: drift.Decode, site: CallSite | None) -> Verdict:
    """What was met; the site is where the code is known to look at what may answer otherwise."""
    if says.word == "history":
        return Verdict("unverified", f"the SDK cannot replay this history: {says.message}", engine="direct")
    if says.word == "code":
        failure = Failure(record.last_id, "TaskFailed", says.message, site)
        return Verdict("failed", f"a task fails: {says.message}", engine="direct", failure=failure)
    if says.word == "nondeterminism":
        return _diverged(record, says.event_id, line.refused, line, decode, site, says.message)
    if line.has_leftovers:
        extra = next(one for one in line.waiting if one.command is not None)
        return _diverged(record, None, extra, line, decode, site, "the code asks for what the record does not hold")
    return Verdict("drift", "the same commands, with other values", engine="direct")


def _diverged(
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
        actual=_command(refused, decode),
        call_site=site,
        last_matched_event_id=record.events[matched.place].event_id if matched else None,
    )
    return Verdict("diverged", message, engine="direct", divergence=divergence)


def _command(refused: Waiting | None, decode: drift.Decode) -> Command | None:
    if refused is None or refused.command is None:
        return None
    made = Translator().command(refused.command, None)
    return replace(made, fields=drift.decode_payloads(made.fields, decode))
