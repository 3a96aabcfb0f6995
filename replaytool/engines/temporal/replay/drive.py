"""Drive a run from outside: at full speed and past the end of its record, or recorded, to inspect it between steps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from replaytool.engines.temporal.replay.direct import get_direct_replayer
from replaytool.engines.temporal.replay.recorded_commands import RecordedHistory
from replaytool.engines.temporal.replay.stepper import Stepper
from replaytool.engines.temporal.sdk import fast_paths, recorder
from replaytool.engines.temporal.sdk.quiet_runtime import relax_garbage_collector, silence_sdk_logs
from replaytool.engines.temporal.sdk.shared_sandbox import check_sandbox, enter_sandbox
from replaytool.model.history import Run
from replaytool.replay import call_site as callsite
from replaytool.replay.code.user_code import Code
from replaytool.replay.compare.drift import Decode
from replaytool.replay.isolation import side_effects as guard
from replaytool.replay.options import Options


@contextmanager
def drive_past_end(run: Run, code: Code, options: Options, *, inside: bool = True) -> Iterator[Stepper]:
    """Open a stepper with side effects guarded; the instance is torn down when the block ends.

    With `inside` the block itself runs in the sandbox. That is faster, but the block can import nothing new.
    """
    replayer = get_direct_replayer(code, options)
    factory = replayer.get_factory("plain")
    workflow = code.workflow_class(run.workflow_type)
    # A codec runs outside of the sandbox in a worker, and may import anything.
    inside = inside and factory.converter.payload_codec is None
    watch = guard.SideEffectWatch(lambda frame: None, options.guard) if options.watch or options.guard else None
    with (
        silence_sdk_logs(),
        replayer.hold_plugins(),
        guard.watch_side_effects(watch),
        enter_sandbox(factory.runner, workflow if inside else None),
        relax_garbage_collector(),
    ):
        stepper = replayer.start_stepper(run, factory, keep=True)
        try:
            yield stepper
        finally:
            stepper.driver.evict()
    check_sandbox(factory.runner, workflow)


@contextmanager
def drive_with_recorder(
    run: Run, code: Code, options: Options, tape: recorder.RecordedTape, *, patient: bool = False
) -> Iterator[Stepper]:
    """Open a stepper that records to the tape; `patient` switches the deadlock watchdog off."""
    replayer = get_direct_replayer(code, options)
    factory = replayer.get_factory("walked")
    factory = replace(factory, watchdog=None) if patient else factory
    factory.note_deadlocks_on(tape)
    workflow = code.workflow_class(run.workflow_type)
    stepper = replayer.start_stepper(run, factory)
    stepper.is_brief = not stepper.driver.uses_codec
    stepper.stay_inside = partial(enter_sandbox, factory.runner, workflow)
    watch = guard.SideEffectWatch(lambda frame: None, options.guard) if options.guard else None
    callsite.claim_user_folders(code.roots)
    recorder.set_active_tape(tape)
    try:
        with (
            silence_sdk_logs(),
            replayer.hold_plugins(),
            guard.watch_side_effects(watch),
            relax_garbage_collector(),
            fast_paths.use_fast_awaits(),
        ):
            yield stepper
    finally:
        recorder.set_active_tape(None)
    check_sandbox(factory.runner, workflow)


def follows_record(stepper: Stepper, run: Run, code: Code, options: Options) -> bool:
    """Return whether the code issued exactly the recorded commands, without drift."""
    if stepper.outcome.word != "ok" or stepper.machines.replaying:
        return False
    return get_direct_replayer(code, options).has_equal_commands(RecordedHistory(run), stepper)


def get_payload_decoder(code: Code, options: Options) -> Decode:
    """Return the function that reads payloads as the user's code does."""
    return get_direct_replayer(code, options).decode
