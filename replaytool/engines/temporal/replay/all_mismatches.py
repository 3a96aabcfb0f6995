"""Find every later mismatch of a diverged run, so that one check shows all that a change broke."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import msgspec

from replaytool.engines.temporal.core.skip_mismatch import Astray, Parting
from replaytool.engines.temporal.replay import direct
from replaytool.engines.temporal.replay.looking import drive_with_recorder
from replaytool.engines.temporal.replay.produced_commands import CommandTranslator
from replaytool.engines.temporal.replay.recorded_commands import Record
from replaytool.engines.temporal.replay.stepper import Stepper
from replaytool.engines.temporal.sdk import recorder
from replaytool.model.history import Run
from replaytool.model.verdict import Command, Divergence, Verdict
from replaytool.replay.code.user_code import Code
from replaytool.replay.compare import drift
from replaytool.replay.options import Options


def add_later_mismatches(verdict: Verdict, run: Run, code: Code, options: Options) -> Verdict:
    """Return the verdict with the mismatches after its divergence. The verdict word stays as it is."""
    after = verdict.event_id or 0
    cannot = direct.find_handover_reason(run, code)
    try:
        behind = [] if cannot else [one for one in _find_later_mismatches(run, code, options) if one.event_id > after]
    except msgspec.ValidationError as error:
        cannot = direct.HandOver(f"an event does not read as the SDK would read it: {error}")
    if cannot is not None:
        note = f"mismatches after event {after} are not listed: {cannot.reason}"
        return replace(verdict, notes=(*verdict.notes, note))
    return replace(verdict, further=tuple(behind))


def _find_later_mismatches(run: Run, code: Code, options: Options) -> list[Divergence]:
    tape = recorder.Tape()
    with drive_with_recorder(run, code, options, tape) as course:
        course.replay.astray = Astray()
        asked = _collect_produced_commands(course, tape)
    record, decode = Record(run), direct.get_direct_replayer(code, options).decode
    return [_build_divergence(one, asked, record, decode) for one in course.skipped_mismatches]


def _collect_produced_commands(course: Stepper, tape: recorder.Tape) -> dict[int, tuple[Any, Command]]:
    """Drive the run and return its commands by the `id()` of their message. Keeping the message keeps the id unique."""
    translator, found = CommandTranslator(), {}
    for told in course.run_steps():
        for job in told.activation.jobs:
            translator.translate_job(job)
        sites: Iterable[Any] = tape.current.sites if tape.current else ()
        for command, site in zip(told.answer.commands, sites, strict=False):
            found[id(command)] = command, translator.translate_command(command, site)
    return found


def _build_divergence(
    parting: Parting, asked: dict[int, tuple[Any, Command]], record: Record, decode: drift.Decode
) -> Divergence:
    # A command that stays at the front of the queue misses several events: only the first mismatch names it.
    _, actual = asked.pop(id(parting.command), (None, None))
    expected = record.expected(record.by_id[parting.event_id])
    return Divergence(
        parting.event_id,
        replace(expected, fields=drift.decode_payloads(expected.fields, decode)),
        replace(actual, fields=drift.decode_payloads(actual.fields, decode)) if actual else None,
        call_site=actual.call_site if actual else None,
    )
