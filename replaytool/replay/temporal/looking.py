"""Drive a run activation by activation with the recorder in place, for whoever wants to look in between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial

from replaytool.history import Run
from replaytool.replay import guard
from replaytool.replay.code import Code
from replaytool.replay.options import Options
from replaytool.replay.temporal import direct
from replaytool.replay.temporal.quiet import quiet, unhurried
from replaytool.replay.temporal.sandbox import SharedSandbox


@contextmanager
def driven(run: Run, code: Code, options: Options, *, patient: bool = False) -> Iterator[direct.Course]:
    """A run to be driven with the recorder in place, where a tape is in use; `patient` lets its code take its time."""
    bench = direct.bench_of(code, options)
    worker, *runners = bench.worker("walked")
    worker = replace(worker, watchdog=None) if patient else worker
    workflow = code.workflow(run.workflow_type)
    sandbox = next((one.inner for one in runners if isinstance(one.inner, SharedSandbox)), None)
    course = bench.begun(run, worker, *runners)
    course.inside = partial(sandbox.entered, workflow) if sandbox is not None and workflow is not None else nullcontext
    watch = guard.Watch(lambda frame: None, options.guard) if options.guard else None
    with quiet(), guard.watched(watch), unhurried():
        yield course
    if sandbox is not None and workflow is not None:
        sandbox.look_after(workflow)
