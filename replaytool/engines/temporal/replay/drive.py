"""A run driven at full speed by whoever wants to go on with it past its record."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from replaytool.engines.temporal.replay.direct import bench_of
from replaytool.engines.temporal.replay.recorded_commands import Record
from replaytool.engines.temporal.replay.stepper import Course
from replaytool.engines.temporal.sdk.quiet_runtime import quiet, unhurried
from replaytool.engines.temporal.sdk.shared_sandbox import SharedSandbox, entered
from replaytool.model.history import Run
from replaytool.replay.code.user_code import Code
from replaytool.replay.compare.drift import Decode
from replaytool.replay.isolation import side_effects as guard
from replaytool.replay.options import Options


@contextmanager
def driving(run: Run, code: Code, options: Options, *, inside: bool = True) -> Iterator[Course]:
    """The run, with the world shut out; it is torn down when the block ends.

    Inside, the block itself is in the sandbox, which is faster, and imports nothing that it does not have already.
    """
    bench = bench_of(code, options)
    worker, *runners = bench.worker("plain")
    workflow = code.workflow_class(run.workflow_type)
    runner = runners[0].inner
    watch = guard.SideEffectWatch(lambda frame: None, options.guard) if options.watch or options.guard else None
    inside = (
        inside and worker.converter.payload_codec is None
    )  # a codec is not the workflow's, and imports what it likes
    stays = entered(runner, workflow) if inside and workflow is not None else nullcontext()
    with quiet(), guard.watch_side_effects(watch), stays, unhurried():
        course = bench.begun(run, worker, *runners, keep=True)
        try:
            yield course
        finally:
            course.driven.evict()
    if isinstance(runner, SharedSandbox) and workflow is not None:
        runner.look_after(workflow)


def follows(course: Course, run: Run, code: Code, options: Options) -> bool:
    """Whether the code asked for all that is recorded, with nothing in it that is different."""
    if course.says.word != "ok" or course.replay.replaying:
        return False
    return bench_of(code, options).likeness.is_plain(Record(run), course.replay.tape, course.replay.line.matched)


def decoder(code: Code, options: Options) -> Decode:
    """Reads payloads as the user's code would."""
    return bench_of(code, options).decode
