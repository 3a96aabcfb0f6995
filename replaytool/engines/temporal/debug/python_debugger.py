"""Stop in pdb, inside the workflow's code, where a task of a recorded run begins."""

from __future__ import annotations

import pdb
import sys
from types import FrameType
from typing import TYPE_CHECKING

from temporalio.bridge.proto.workflow_activation import WorkflowActivation

from replaytool.engines.temporal.events.workflow_tasks import index_tasks
from replaytool.engines.temporal.replay.drive import drive_with_recorder
from replaytool.engines.temporal.sdk import recorder
from replaytool.model.history import Run
from replaytool.model.task_index import CompletedTask, TaskIndex
from replaytool.replay import call_site as callsite
from replaytool.replay.code.user_code import Code
from replaytool.replay.options import OFF, Options

if TYPE_CHECKING:
    from _typeshed import TraceFunction

_ENGINES = ["temporalio.*", "asyncio.*", "replaytool.*"]


def stop_in_pdb(run: Run, code: Code, event_id: int) -> str:
    """Replay up to the task of an event, and stop at the first line of user code in it.

    Return how the session ended.

    There is no sandbox and no deadlock timeout: a person takes time.
    """
    tasks = index_tasks(run.events)
    wanted = tasks.task_of_event(event_id)
    stopper = _TaskBreakpoint(wanted, tasks)
    try:
        with drive_with_recorder(run, code, Options(sandbox=OFF), recorder.RecordedTape(), patient=True) as course:
            course.before_activation = stopper.watch_activation
            for _ in course.run_steps():
                if stopper.has_quit:
                    return "left"
    finally:
        sys.settrace(None)
    if not stopper.has_stopped:
        return f"no user code ran in that task ({course.outcome.message or 'the task has no activation'})"
    return course.outcome.message or "the replay has ended"


class _TaskBreakpoint:
    """Waits for the task, and then for the first call of a user's function."""

    def __init__(self, wanted: CompletedTask | None, tasks: TaskIndex) -> None:
        self._wanted, self._tasks = wanted, tasks
        self._debugger = pdb.Pdb(skip=_ENGINES)
        self.has_stopped = False

    @property
    def has_quit(self) -> bool:
        """Return whether the person quit the debugger."""
        return self.has_stopped and bool(self._debugger.quitting)

    def watch_activation(self, activation: WorkflowActivation) -> None:
        """Start tracing if this activation begins the task."""
        task = self._tasks.next_task(activation.history_length) if activation.is_replaying else None
        if task == self._wanted and not self.has_stopped:
            sys.settrace(self._trace_call)

    def _trace_call(self, frame: FrameType, event: str, arg: object) -> TraceFunction | None:
        return self._trace_line if callsite.is_user_code(frame.f_code) else None

    def _trace_line(self, frame: FrameType, event: str, arg: object) -> TraceFunction | None:
        """Stop at the first line.

        A resumed coroutine is entered from the outside in, so `call` events come too early. From Python 3.13 on, the
        end of an `await` is reported as StopIteration at its own line, which has run already.
        """
        is_failure = event == "exception" and isinstance(arg, tuple) and arg[0] is not StopIteration
        if self.has_stopped or not (event == "line" or is_failure):
            return self._trace_line
        self.has_stopped = True
        self._debugger.set_trace(frame)
        # set_trace took the first frame of the process as the bottom: `where` and `up` would show the replay itself.
        self._debugger.botframe = _outermost_user_frame(frame)
        return self._debugger.trace_dispatch(frame, event, arg)


def _outermost_user_frame(frame: FrameType) -> FrameType:
    """Return the outermost user frame: pdb shows nothing below it."""
    found, at = frame, frame.f_back
    while at is not None and at.f_code is not recorder.LOOP:
        found = at if callsite.is_user_code(at.f_code) else found
        at = at.f_back
    return found
