"""Drive a run activation by activation with the recorder in place, to inspect it in between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial

from replaytool.engines.temporal.replay import direct
from replaytool.engines.temporal.replay.stepper import Stepper
from replaytool.engines.temporal.sdk import fast_paths as lean
from replaytool.engines.temporal.sdk import recorder
from replaytool.engines.temporal.sdk.quiet_runtime import relax_garbage_collector, silence_sdk_logs
from replaytool.engines.temporal.sdk.shared_sandbox import SharedSandbox
from replaytool.model.history import Run
from replaytool.replay import call_site as callsite
from replaytool.replay.code.user_code import Code
from replaytool.replay.isolation import side_effects as guard
from replaytool.replay.options import Options


@contextmanager
def drive_with_recorder(
    run: Run, code: Code, options: Options, tape: recorder.Tape, *, patient: bool = False
) -> Iterator[Stepper]:
    """Open a stepper that records to the tape; `patient` switches the deadlock watchdog off."""
    bench = direct.get_direct_replayer(code, options)
    worker, *runners = bench.get_factory("walked")
    worker = replace(worker, watchdog=None) if patient else worker
    if worker.watchdog is not None:
        worker.watchdog.on_interrupt = partial(_remember_call_site, tape)
    workflow = code.workflow_class(run.workflow_type)
    sandbox = next((one.inner for one in runners if isinstance(one.inner, SharedSandbox)), None)
    course = bench.start_stepper(run, worker, *runners)
    course.is_brief = not course.driven.converts
    course.inside = (
        partial(sandbox.enter_for_run, workflow) if sandbox is not None and workflow is not None else nullcontext
    )
    watch = guard.SideEffectWatch(lambda frame: None, options.guard) if options.guard else None
    callsite.claim_user_folders(code.roots)
    recorder.use(tape)
    try:
        with silence_sdk_logs(), guard.watch_side_effects(watch), relax_garbage_collector(), lean.use_fast_awaits():
            yield course
    finally:
        recorder.use(None)
    if sandbox is not None and workflow is not None:
        sandbox.check_after_run(workflow)


def _remember_call_site(tape: recorder.Tape, thread: int) -> None:
    """Keep the line at which code that does not yield was interrupted."""
    if tape.current is not None:
        tape.current.kept_at = callsite.site_of_thread(thread)
