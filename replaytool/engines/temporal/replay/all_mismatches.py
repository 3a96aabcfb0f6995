"""Find every later mismatch of a diverged run, so that one check shows all that a change broke."""

from __future__ import annotations

from dataclasses import replace

import msgspec
from temporalio.bridge.proto.workflow_commands import WorkflowCommand

from replaytool.engines.temporal.core.skip_mismatch import MismatchSkipper, SkippedMismatch
from replaytool.engines.temporal.replay.direct import HandOver, find_handover_reason
from replaytool.engines.temporal.replay.drive import drive_with_recorder, get_payload_decoder
from replaytool.engines.temporal.replay.produced_commands import CommandTranslator
from replaytool.engines.temporal.replay.recorded_commands import RecordedHistory
from replaytool.engines.temporal.replay.stepper import Stepper
from replaytool.engines.temporal.replay.verdicts import decode_fields
from replaytool.engines.temporal.sdk import recorder
from replaytool.model.history import Run
from replaytool.model.verdict import Command, Divergence, Verdict
from replaytool.replay.code.user_code import Code
from replaytool.replay.compare import drift
from replaytool.replay.isolation.state_keeper import restore_module_state
from replaytool.replay.options import Options


def add_later_mismatches(verdict: Verdict, run: Run, code: Code, options: Options) -> Verdict:
    """Return the verdict with the mismatches after its divergence. The verdict word stays as it is."""
    after = verdict.event_id or 0
    cannot = find_handover_reason(run, code)
    try:
        behind = [] if cannot else [one for one in _find_later_mismatches(run, code, options) if one.event_id > after]
    except msgspec.ValidationError as error:
        cannot = HandOver(f"an event does not read as the SDK would read it: {error}")
    if cannot is not None:
        note = f"mismatches after event {after} are not listed: {cannot.reason}"
        return replace(verdict, notes=(*verdict.notes, note))
    return replace(verdict, further=tuple(behind))


def _find_later_mismatches(run: Run, code: Code, options: Options) -> list[Divergence]:
    restore_module_state()
    tape = recorder.RecordedTape()
    with drive_with_recorder(run, code, options, tape) as stepper:
        stepper.machines.skipper = MismatchSkipper()
        produced = _collect_produced_commands(stepper, tape)
    record, decode = RecordedHistory(run), get_payload_decoder(code, options)
    return [_build_divergence(one, produced, record, decode) for one in stepper.skipped_mismatches]


_ByMessage = dict[int, tuple[WorkflowCommand | None, Command | None]]
"""Commands by the `id()` of their message. The message is kept so that its id stays unique."""


def _collect_produced_commands(stepper: Stepper, tape: recorder.RecordedTape) -> _ByMessage:
    """Drive the run and return all commands of its code."""
    translator, found = CommandTranslator(), _ByMessage()
    for step in stepper.run_steps():
        for job in step.activation.jobs:
            translator.translate_job(job)
        sites = tape.current_activation.sites if tape.current_activation else []
        for command, site in zip(step.answer.commands, sites, strict=False):
            found[id(command)] = command, translator.translate_command(command, site)
    return found


def _build_divergence(
    parting: SkippedMismatch, produced: _ByMessage, record: RecordedHistory, decode: drift.Decode
) -> Divergence:
    # A command that stays at the front of the queue misses several events: only the first mismatch names it.
    _, actual = produced.pop(id(parting.command), (None, None))
    return Divergence(
        parting.event_id,
        decode_fields(record.expected_command(record.events_by_id[parting.event_id]), decode),
        decode_fields(actual, decode) if actual else None,
        call_site=actual.call_site if actual else None,
    )
