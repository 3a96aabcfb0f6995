"""A workflow instance of the SDK's that writes down all it is told and all it asks for, with the lines that asked.

It works under the SDK's replayer and under anything else that makes instances and activates them. What happens goes
to the tape that is in place at that time, so one process replays one run after the other.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_commands import WorkflowCommand
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.worker import UnsandboxedWorkflowRunner, WorkflowInstance, WorkflowInstanceDetails

from replaytool.engines.temporal.sdk.private import WorkflowInstanceImpl
from replaytool.model.verdict import CallSite
from replaytool.replay import call_site as callsite
from replaytool.replay import line_coverage as reach
from replaytool.replay.isolation import side_effects as guard

DEADLOCK = 2.0
"""Seconds after which the SDK breaks an activation off, and its task is taken to have failed."""
_BEGUN = "__replaytool_begun"
_NUMBER = "__replaytool_number"
LOOP = WorkflowInstanceImpl._run_once.__code__
_ACTIVATION = WorkflowInstanceImpl.activate.__code__  # the SDK begins tasks of its own before the loop runs


@dataclass
class Activation:
    """One activation: what the code was told, and what it did."""

    event_id: int
    replaying: bool
    time: str
    jobs: tuple[Any, ...]
    commands: list[WorkflowCommand] = field(default_factory=list)
    sites: list[CallSite | None] = field(default_factory=list)
    error: BaseException | None = None
    failed: bool = False
    deadlocked: bool = False
    done: bool = False
    state: Any = None
    began: float = 0.0
    thread: int = 0
    kept_at: CallSite | None = None
    """Where the code was when it had kept its thread for too long, or could not be begun."""
    stands_at: CallSite | None = None
    """Where the code waits afterwards, or the line that it ended with."""


@dataclass
class Tape:
    """What one replay of one run did."""

    activations: list[Activation] = field(default_factory=list)
    snapshot: Callable[[Any], Any] | None = None
    """Makes a value of the workflow object after each activation."""
    copies: bool = False
    """Whether commands are copied before a codec encodes them where they stand."""
    guard: guard.SideEffectWatch | None = None
    instance: RecordingInstance | None = None
    """The instance that was activated last."""
    times: bool = True
    """Whether anybody will ask when activations were: writing that down takes a while."""
    evicted_at: int | None = None
    """The last event that the engine had taken in when it gave up or was done."""

    @property
    def broken(self) -> Activation | None:
        """The activation in which the code failed or never came back, if there is one."""
        last = self.current
        return last if last is not None and (last.failed or last.deadlocked or not last.done) else None

    @property
    def current(self) -> Activation | None:
        """The activation that is going on, or went on last."""
        return self.activations[-1] if self.activations else None


_tape: Tape | None = None


def use(tape: Tape | None) -> None:
    """Put a tape in place; None takes it away."""
    global _tape
    _tape = tape


class RecordingInstance(WorkflowInstanceImpl):
    """The SDK's own instance, watched."""

    def __init__(self, details: WorkflowInstanceDetails) -> None:
        super().__init__(details)
        self._now: Activation | None = None
        self._run_coroutine: Any = None
        self._run_frame: FrameType | None = None
        self._handler: FrameType | CallSite | None = None
        self._begun = 0

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        """Run one activation and write it down; the one that evicts is no part of the replay."""
        tape = _tape
        if tape is None or _evicts(tape, act):
            return super().activate(act)
        self._now = now = _begun(act, tape)
        tape.activations.append(now)
        tape.instance = self
        with guard.watch_side_effects(tape.guard), reach.trace_activation():
            completion = super().activate(act)
        self._finish(now, completion, tape)
        return completion

    def _finish(self, now: Activation, completion: WorkflowActivationCompletion, tape: Tape) -> None:
        now.failed = completion.HasField("failed")
        now.deadlocked = time.monotonic() - now.began >= DEADLOCK
        if not now.failed:
            now.error = None
            produced = completion.successful.commands
            now.commands = [_copy(one) for one in produced] if tape.copies else list(produced)
        del now.sites[len(now.commands) :]  # a task that fails asks for nothing
        now.sites += [None] * (len(now.commands) - len(now.sites))
        for index, command in enumerate(now.commands):
            if now.sites[index] is None:
                now.sites[index] = self._site_afterwards(command)
        if tape.snapshot is not None and self._object is not None:
            now.state = tape.snapshot(self._object)
        now.stands_at = callsite.site_of_coroutine(self._run_coroutine) or self._ended_at()
        now.done = True
        self._now = None

    def _site_afterwards(self, command: WorkflowCommand) -> CallSite | None:
        """For what the SDK does in the code's name: the line that returned, or else where the code waits."""
        if command.HasField("complete_workflow_execution") and self._run_frame is not None:
            return self._ended_at()
        return callsite.site_of_coroutine(self._run_coroutine)

    def _ended_at(self) -> CallSite | None:
        return _of_frame(self._run_frame) if self._run_frame is not None else None

    def _add_command(self) -> WorkflowCommand:
        command = super()._add_command()
        if self._now is not None:
            self._now.sites.append(self._site())
        return command

    def _site(self) -> CallSite | None:
        found = callsite.site_of_stack(sys._getframe(2), LOOP) or callsite.site_of_exception(sys.exc_info()[1])
        begun = getattr(asyncio.current_task(self), _BEGUN, None)
        if found is not None:
            return found if begun is None else callsite.join_sites(found, begun)
        if self._handler is not None:
            held, self._handler = self._handler, None
            return held if isinstance(held, CallSite) else _of_frame(held)
        return begun

    def create_task(self, coro: Any, **options: Any) -> Any:
        """A task that remembers the line which began it: in gathered calls of the SDK's no other line is the user's."""
        task = super().create_task(coro, **options)
        setattr(task, _BEGUN, callsite.site_of_stack(sys._getframe(1), _ACTIVATION))
        self._begun += 1
        setattr(task, _NUMBER, self._begun)
        return task

    def waiting_tasks(self) -> list[tuple[Any, CallSite | None]]:
        """The tasks that wait, in the order in which they were begun, each with the line that began it."""
        begun = [(getattr(task, _NUMBER, 0), task) for task in self._tasks]
        return [(task, getattr(task, _BEGUN, None)) for _, task in sorted(begun, key=lambda pair: pair[0])]

    def _make_workflow_input(self, init_job: Any) -> Any:
        if self._now is not None:
            self._now.kept_at = _of_function(self._defn.run_fn)
        found = self._noting(super()._make_workflow_input, init_job)
        if self._now is not None:
            self._now.kept_at = None
        found.run_fn = self._holding(found.run_fn)
        return found

    def _holding(self, run_fn: Callable[..., Any]) -> Callable[..., Any]:
        """A frame that is held tells, when all is over, which line returned."""

        @functools.wraps(run_fn)
        def started(*args: Any) -> Any:
            self._run_coroutine = run_fn(*args)
            self._run_frame = getattr(self._run_coroutine, "cr_frame", None)
            return self._run_coroutine

        return started

    def workflow_get_update_handler(self, name: str | None) -> Callable[..., Any] | None:
        """The handler, and for the SDK's own call one that remembers the line which returned."""
        handler = super().workflow_get_update_handler(name)
        if handler is None or self._now is None or sys._getframe(1).f_code.co_name != "handle_update_handler":
            return handler
        definition = self._updates[name]
        own = functools.partial(definition.fn, self._object) if definition.is_method else definition.fn
        return self._remembering(own)

    def _remembering(self, handler: Callable[..., Any]) -> Callable[..., Any]:
        if not inspect.iscoroutinefunction(handler):
            return functools.partial(self._run_plain, handler)

        async def handled(*args: Any) -> Any:
            coroutine = handler(*args)
            frame = coroutine.cr_frame
            result = await coroutine
            self._handler = frame
            return result

        return handled

    def _run_plain(self, handler: Callable[..., Any], *args: Any) -> Any:
        code = getattr(getattr(handler, "func", handler), "__code__", None)
        before = sys.getprofile()

        def returning(frame: FrameType, event: Any, arg: Any) -> None:
            if event == "return" and frame.f_code is code:
                self._handler = _of_frame(frame)
            if before is not None:
                before(frame, event, arg)

        sys.setprofile(returning)
        try:
            return handler(*args)
        finally:
            sys.setprofile(before)

    def _apply(self, job: Any) -> None:
        self._noting(super()._apply, job)

    def _run_once(self, **options: Any) -> None:
        self._noting(super()._run_once, **options)

    def _noting(self, call: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Keep what a call raises, deadlocks that are broken from outside included."""
        try:
            return call(*args, **options)
        except BaseException as error:
            if self._now is not None:
                self._now.error = error
            raise


class RecordingRunner(UnsandboxedWorkflowRunner):
    """What the SDK asks for instances, in the sandbox and without."""

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """A watched instance."""
        return RecordingInstance(det)  # type: ignore[abstract]


class PlainRecording(WorkflowInstance):
    """Around an instance of a runner of the user's: what it is told and asks for, without lines."""

    def __init__(self, inner: WorkflowInstance) -> None:
        self._inner = inner

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        """Run one activation and write it down."""
        tape = _tape
        if tape is None or _evicts(tape, act):
            return self._inner.activate(act)
        now = _begun(act, tape)
        tape.activations.append(now)
        with guard.watch_side_effects(tape.guard), reach.trace_activation():
            completion = self._inner.activate(act)
        now.failed = completion.HasField("failed")
        now.commands = [_copy(one) for one in completion.successful.commands]
        now.sites = [None] * len(now.commands)
        now.done = True
        return completion

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def get_serialization_context(self, command_info: Any) -> Any:
        """As the inner one says."""
        return self._inner.get_serialization_context(command_info)

    def get_external_store_context(self, command_info: Any) -> Any:
        """As the inner one says."""
        return self._inner.get_external_store_context(command_info)

    def get_info(self) -> Any:
        """As the inner one says."""
        return self._inner.get_info()

    def get_thread_id(self) -> int | None:
        """As the inner one says."""
        return self._inner.get_thread_id()


def _evicts(tape: Tape, act: WorkflowActivation) -> bool:
    if not any(job.HasField("remove_from_cache") for job in act.jobs):
        return False
    tape.evicted_at = act.history_length
    return True


def _begun(act: WorkflowActivation, tape: Tape) -> Activation:
    return Activation(
        event_id=act.history_length,
        replaying=act.is_replaying,
        time=act.timestamp.ToJsonString() if tape.times else "",
        jobs=tuple(act.jobs),
        began=time.monotonic(),
        thread=guard.this_thread(),
    )


def _copy(command: WorkflowCommand) -> WorkflowCommand:
    copied = WorkflowCommand()
    copied.CopyFrom(command)
    return copied


def _of_frame(frame: FrameType) -> CallSite | None:
    return callsite.site_of_frames(iter([(frame.f_code, frame.f_lineno)]))


def _of_function(function: Any) -> CallSite | None:
    code = getattr(function, "__code__", None)
    return callsite.site_of_frames(iter([(code, code.co_firstlineno)])) if code else None
