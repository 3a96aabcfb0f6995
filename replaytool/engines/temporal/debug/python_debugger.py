"""Stop in Python's own debugger, inside the workflow's code, where a task of a recorded run begins to run."""

from __future__ import annotations

import pdb
import sys
from types import FrameType
from typing import Any

from temporalio.bridge.proto.workflow_activation import WorkflowActivation

from replaytool.engines.temporal.events.workflow_tasks import CompletedTask, Tasks
from replaytool.engines.temporal.replay.looking import driven
from replaytool.engines.temporal.sdk import recorder
from replaytool.model.history import Run
from replaytool.replay import call_site as callsite
from replaytool.replay.code.user_code import Code
from replaytool.replay.options import OFF, Options

_ENGINES = ["temporalio.*", "asyncio.*", "replaytool.*"]


def stop(run: Run, code: Code, event_id: int) -> str:
    """Replay up to the task of an event, and stop at the first line of the user's that it runs; how it ended.

    There is no sandbox around the code, and no clock that breaks it off: a person takes time.
    """
    tasks = Tasks(run.events)
    wanted = tasks.of(event_id)
    stopper = _Stopper(wanted, tasks)
    try:
        with driven(run, code, Options(sandbox=OFF), recorder.Tape(), patient=True) as course:
            course.before = stopper.before
            for _ in course.steps():
                if stopper.is_left:
                    return "left"
    finally:
        sys.settrace(None)
    if not stopper.has_stopped:
        return f"no line of the code ran in that task ({course.says.message or 'the task told it nothing'})"
    return course.says.message or "the replay came to its end"


class _Stopper:
    """Waits for the task, and then for the first call of a function of the user's."""

    def __init__(self, wanted: CompletedTask | None, tasks: Tasks) -> None:
        self._wanted, self._tasks = wanted, tasks
        self._debugger = pdb.Pdb(skip=_ENGINES)
        self.has_stopped = False

    @property
    def is_left(self) -> bool:
        """Whether the person has had enough."""
        return self.has_stopped and bool(self._debugger.quitting)

    def before(self, activation: WorkflowActivation) -> None:
        """Look out from here on, if this is the task."""
        task = self._tasks.after(activation.history_length) if activation.is_replaying else None
        if task == self._wanted and not self.has_stopped:
            sys.settrace(self._called)

    def _called(self, frame: FrameType, event: str, arg: Any) -> Any:
        return self._stepped if callsite.is_user(frame.f_code) else None

    def _stepped(self, frame: FrameType, event: str, arg: Any) -> Any:
        """A coroutine that goes on is called from the outside in; what runs first is the first line after that."""
        if event not in ("line", "exception") or self.has_stopped:
            return self._stepped
        self.has_stopped = True
        self._debugger.set_trace(frame)
        self._debugger.botframe = _outermost(frame)
        return self._debugger.trace_dispatch(frame, event, arg)


def _outermost(frame: FrameType) -> FrameType:
    """Where the user's code begins: what called that is no help to anybody."""
    found, at = frame, frame.f_back
    while at is not None and at.f_code is not recorder.LOOP:
        found = at if callsite.is_user(at.f_code) else found
        at = at.f_back
    return found
