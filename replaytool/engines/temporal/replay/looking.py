"""Drive a run activation by activation with the recorder in place, for whoever wants to look in between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial

from replaytool.engines.temporal.replay import direct
from replaytool.engines.temporal.replay.stepper import Course
from replaytool.engines.temporal.sdk import fast_paths as lean
from replaytool.engines.temporal.sdk import recorder
from replaytool.engines.temporal.sdk.quiet_runtime import quiet, unhurried
from replaytool.engines.temporal.sdk.shared_sandbox import SharedSandbox
from replaytool.model.history import Run
from replaytool.replay import call_site as callsite
from replaytool.replay.code.user_code import Code
from replaytool.replay.isolation import side_effects as guard
from replaytool.replay.options import Options


@contextmanager
def driven(run: Run, code: Code, options: Options, tape: recorder.Tape, *, patient: bool = False) -> Iterator[Course]:
    """A run to be driven by the caller, written down on the tape; `patient` lets its code take its time."""
    bench = direct.bench_of(code, options)
    worker, *runners = bench.worker("walked")
    worker = replace(worker, watchdog=None) if patient else worker
    if worker.watchdog is not None:
        worker.watchdog.on_interrupt = partial(_remember, tape)
    workflow = code.workflow_class(run.workflow_type)
    sandbox = next((one.inner for one in runners if isinstance(one.inner, SharedSandbox)), None)
    course = bench.begun(run, worker, *runners)
    course.is_brief = not course.driven.converts
    course.inside = partial(sandbox.entered, workflow) if sandbox is not None and workflow is not None else nullcontext
    watch = guard.SideEffectWatch(lambda frame: None, options.guard) if options.guard else None
    callsite.claim_user_folders(code.roots)
    recorder.use(tape)
    try:
        with quiet(), guard.watch_side_effects(watch), unhurried(), lean.short_waits():
            yield course
    finally:
        recorder.use(None)
    if sandbox is not None and workflow is not None:
        sandbox.look_after(workflow)


def _remember(tape: recorder.Tape, thread: int) -> None:
    """Where code is that does not yield."""
    if tape.current is not None:
        tape.current.kept_at = callsite.site_of_thread(thread)
