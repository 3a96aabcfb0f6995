"""What does not fit behind the first mismatch: who mends code wants to see at once all that a change broke."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import msgspec

from replaytool.engines.temporal.core.skip_mismatch import Astray, Parting
from replaytool.engines.temporal.replay import direct
from replaytool.engines.temporal.replay.looking import driven
from replaytool.engines.temporal.replay.produced_commands import Translator
from replaytool.engines.temporal.replay.recorded_commands import Record
from replaytool.engines.temporal.replay.stepper import Course
from replaytool.engines.temporal.sdk import recorder
from replaytool.model.history import Run
from replaytool.model.verdict import Command, Divergence, Verdict
from replaytool.replay.code.user_code import Code
from replaytool.replay.compare import drift
from replaytool.replay.options import Options


def with_further(verdict: Verdict, run: Run, code: Code, options: Options) -> Verdict:
    """The verdict with whatever parts behind its divergence. Nothing of it changes the verdict itself."""
    after = verdict.event_id or 0
    cannot = direct.cannot_judge(run, code)
    try:
        behind = [] if cannot else [one for one in _partings(run, code, options) if one.event_id > after]
    except msgspec.ValidationError as error:
        cannot = direct.HandOver(f"an event does not read as the SDK would read it: {error}")
    if cannot is not None:
        note = f"what parts behind event {after} is not told: {cannot.reason}"
        return replace(verdict, notes=(*verdict.notes, note))
    return replace(verdict, further=tuple(behind))


def _partings(run: Run, code: Code, options: Options) -> list[Divergence]:
    tape = recorder.Tape()
    with driven(run, code, options, tape) as course:
        course.replay.astray = Astray()
        asked = _asked(course, tape)
    record, decode = Record(run), direct.bench_of(code, options).decode
    return [_divergence(one, asked, record, decode) for one in course.partings]


def _asked(course: Course, tape: recorder.Tape) -> dict[int, tuple[Any, Command]]:
    """All that the code asked for, by the identity of its message, which is kept for as long as that is needed."""
    translator, found = Translator(), {}
    for told in course.steps():
        for job in told.activation.jobs:
            translator.job(job)
        sites: Iterable[Any] = tape.current.sites if tape.current else ()
        for command, site in zip(told.answer.commands, sites, strict=False):
            found[id(command)] = command, translator.command(command, site)
    return found


def _divergence(
    parting: Parting, asked: dict[int, tuple[Any, Command]], record: Record, decode: drift.Decode
) -> Divergence:
    _, actual = asked.pop(id(parting.command), (None, None))  # one that waits on is told once, where it is missed first
    expected = record.expected(record.by_id[parting.event_id])
    return Divergence(
        parting.event_id,
        replace(expected, fields=drift.decode_payloads(expected.fields, decode)),
        replace(actual, fields=drift.decode_payloads(actual.fields, decode)) if actual else None,
        call_site=actual.call_site if actual else None,
    )
