"""Drive a run at full speed and go on past the end of its record."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from replaytool.engines.temporal.replay.direct import get_direct_replayer
from replaytool.engines.temporal.replay.recorded_commands import Record
from replaytool.engines.temporal.replay.stepper import Stepper
from replaytool.engines.temporal.sdk.quiet_runtime import relax_garbage_collector, silence_sdk_logs
from replaytool.engines.temporal.sdk.shared_sandbox import SharedSandbox, enter_sandbox
from replaytool.model.history import Run
from replaytool.replay.code.user_code import Code
from replaytool.replay.compare.drift import Decode
from replaytool.replay.isolation import side_effects as guard
from replaytool.replay.options import Options


@contextmanager
def drive_past_end(run: Run, code: Code, options: Options, *, inside: bool = True) -> Iterator[Stepper]:
    """Open a stepper with side effects guarded; the instance is torn down when the block ends.

    With `inside` the block itself runs in the sandbox. That is faster, but the block can import nothing new.
    """
    bench = get_direct_replayer(code, options)
    worker, *runners = bench.get_factory("plain")
    workflow = code.workflow_class(run.workflow_type)
    runner = runners[0].inner
    watch = guard.SideEffectWatch(lambda frame: None, options.guard) if options.watch or options.guard else None
    # A codec runs outside of the sandbox in a worker, and may import anything.
    inside = inside and worker.converter.payload_codec is None
    stays = enter_sandbox(runner, workflow) if inside and workflow is not None else nullcontext()
    with silence_sdk_logs(), guard.watch_side_effects(watch), stays, relax_garbage_collector():
        course = bench.start_stepper(run, worker, *runners, keep=True)
        try:
            yield course
        finally:
            course.driven.evict()
    if isinstance(runner, SharedSandbox) and workflow is not None:
        runner.check_after_run(workflow)


def follows_record(course: Stepper, run: Run, code: Code, options: Options) -> bool:
    """Return whether the code issued exactly the recorded commands, without drift."""
    if course.says.word != "ok" or course.replay.replaying:
        return False
    return get_direct_replayer(code, options).likeness.are_all_equal(
        Record(run), course.replay.tape, course.replay.line.matched
    )


def get_payload_decoder(code: Code, options: Options) -> Decode:
    """Return the function that reads payloads as the user's code does."""
    return get_direct_replayer(code, options).decode
