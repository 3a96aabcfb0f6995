"""Record what a workflow instance does: each activation, its commands, and the line of code that issued each command.

The recorder works under the SDK's replayer and under any other caller of workflow instances. It writes to the active
tape, so one process replays one run after the other.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Literal, ParamSpec, TypeVar

from temporalio.bridge.proto.workflow_activation import (
    InitializeWorkflow,
    WorkflowActivation,
    WorkflowActivationJob,
)
from temporalio.bridge.proto.workflow_commands import WorkflowCommand
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.worker import ExecuteWorkflowInput, UnsandboxedWorkflowRunner, WorkflowInstance, WorkflowInstanceDetails
from temporalio.workflow import Info

from replaytool.engines.temporal.sdk.private import WorkflowInstanceImpl
from replaytool.model.verdict import CallSite
from replaytool.replay import call_site as callsite
from replaytool.replay import line_coverage as reach
from replaytool.replay.isolation import side_effects as guard
from replaytool.replay.isolation.limits import read_starved_seconds

P = ParamSpec("P")
T = TypeVar("T")
ProfileEvent = Literal["call", "return", "c_call", "c_return", "c_exception"]
DEADLOCK = 2.0
"""Seconds after which the SDK interrupts an activation and fails its task."""
_BEGUN = "__replaytool_begun"
_NUMBER = "__replaytool_number"
LOOP = WorkflowInstanceImpl._run_once.__code__
_ACTIVATION = WorkflowInstanceImpl.activate.__code__  # the SDK starts tasks of its own before the loop runs


@dataclass
class RecordedActivation:
    """One activation: the jobs that the code got, and what it did."""

    event_id: int
    replaying: bool
    time: str
    jobs: tuple[WorkflowActivationJob, ...]
    commands: list[WorkflowCommand] = field(default_factory=list)
    sites: list[CallSite | None] = field(default_factory=list)
    error: BaseException | None = None
    failed: bool = False
    deadlocked: bool = False
    done: bool = False
    state: Any = None
    began: float = 0.0
    thread: int = 0
    starved: float = 0.0
    """Seconds for which the thread had waited for a processor by then."""
    kept_at: CallSite | None = None
    """The line that blocked the thread for too long, or the function that could not be started."""
    refused_result: WorkflowActivationJob | None = None
    """The job whose result the code's types do not accept."""
    awaited_at: CallSite | None = None
    """The line that waits for this result."""
    stands_at: CallSite | None = None
    """The line where the code waits afterwards, or the line that it returned from."""


@dataclass
class RecordedTape:
    """The activations of one replay of one run, and how to record them."""

    activations: list[RecordedActivation] = field(default_factory=list)
    snapshot: Callable[[object], object] | None = None
    """Called with the workflow object after each activation; returns the state to keep."""
    copies: bool = False
    """Whether to copy commands: a codec encodes them in place later."""
    guard: guard.SideEffectWatch | None = None
    instance: RecordingInstance | None = None
    """The instance of the last activation."""
    times: bool = True
    """Whether to keep the time of activations: formatting it is slow."""
    creation_error: BaseException | None = None
    """Why no instance could be made."""
    evicted_at: int | None = None
    """The last event applied when the replay ended or failed."""

    @property
    def broken_activation(self) -> RecordedActivation | None:
        """The last activation if it failed, or if the code never returned; else None."""
        last = self.current_activation
        return last if last is not None and (last.failed or last.deadlocked or not last.done) else None

    @property
    def current_activation(self) -> RecordedActivation | None:
        """The current or last activation."""
        return self.activations[-1] if self.activations else None


_tape: RecordedTape | None = None


def set_active_tape(tape: RecordedTape | None) -> None:
    """Record to this tape from now on; None stops recording."""
    global _tape
    _tape = tape


def note_creation_error(error: BaseException) -> None:
    """Note on the active tape why no instance could be made."""
    if _tape is not None:
        _tape.creation_error = error


class RecordingInstance(WorkflowInstanceImpl):
    """The SDK's own workflow instance, recorded."""

    def __init__(self, details: WorkflowInstanceDetails) -> None:
        super().__init__(details)
        self._now: RecordedActivation | None = None
        self._run_coroutine: object = None
        self._run_frame: FrameType | None = None
        self._handler: FrameType | CallSite | None = None
        self._begun = 0

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        """Run one activation and record it. The eviction is not recorded: it is not part of the replay."""
        tape = _tape
        if tape is None or _is_eviction(tape, act):
            return super().activate(act)
        self._now = now = _begin_activation(act, tape)
        tape.activations.append(now)
        tape.instance = self
        with guard.watch_side_effects(tape.guard), reach.trace_activation():
            completion = super().activate(act)
        self._finish_activation(now, completion, tape)
        return completion

    def _finish_activation(
        self, now: RecordedActivation, completion: WorkflowActivationCompletion, tape: RecordedTape
    ) -> None:
        now.failed = completion.HasField("failed")
        now.deadlocked = time.monotonic() - now.began >= DEADLOCK
        if not now.failed:
            now.error = None
            produced = completion.successful.commands
            now.commands = [_copy_command(one) for one in produced] if tape.copies else list(produced)
        del now.sites[len(now.commands) :]  # a task that fails asks for nothing
        now.sites += [None] * (len(now.commands) - len(now.sites))
        for index, command in enumerate(now.commands):
            if now.sites[index] is None:
                now.sites[index] = self._find_later_call_site(command)
        if tape.snapshot is not None and self._object is not None:
            now.state = tape.snapshot(self._object)
        now.stands_at = callsite.site_of_coroutine(self._run_coroutine) or self._find_end_call_site()
        now.done = True
        self._now = None

    def _find_later_call_site(self, command: WorkflowCommand) -> CallSite | None:
        """Return the line for a command that the SDK issues for the code: the return, or where the code waits."""
        if command.HasField("complete_workflow_execution") and self._run_frame is not None:
            return self._find_end_call_site()
        return callsite.site_of_coroutine(self._run_coroutine)

    def _find_end_call_site(self) -> CallSite | None:
        return _call_site_of_frame(self._run_frame) if self._run_frame is not None else None

    def _add_command(self) -> WorkflowCommand:
        command = super()._add_command()
        if self._now is not None:
            self._now.sites.append(self._find_call_site())
        return command

    def _find_call_site(self) -> CallSite | None:
        found = callsite.site_of_stack(sys._getframe(2), LOOP) or callsite.site_of_exception(sys.exc_info()[1])
        begun = self._find_task_beginning()
        if found is not None:
            return callsite.join_sites(found, begun)
        if self._handler is not None:
            held, self._handler = self._handler, None
            return held if isinstance(held, CallSite) else _call_site_of_frame(held)
        return begun

    def _find_task_beginning(self) -> CallSite | None:
        found: CallSite | None = getattr(asyncio.current_task(self), _BEGUN, None)
        return found

    def create_task(self, coro: Any, **options: Any) -> Any:
        """Create a task that remembers the line that started it: under `gather` only that line is the user's."""
        task = super().create_task(coro, **options)
        site, outer = callsite.site_of_stack(sys._getframe(1), _ACTIVATION), self._find_task_beginning()
        # A task of a library's is the doing of the workflow's line that called the library.
        setattr(
            task, _BEGUN, site if outer is None or callsite.is_user_site(site) else callsite.join_sites(site, outer)
        )
        self._begun += 1
        setattr(task, _NUMBER, self._begun)
        return task

    def waiting_tasks(self) -> list[tuple[asyncio.Task[object], CallSite | None]]:
        """Return the waiting tasks in the order of their start, each with the line that started it."""
        # The SDK keeps its tasks in a set, which has no order of its own.
        begun = [(getattr(task, _NUMBER, 0), task) for task in self._tasks]
        return [(task, getattr(task, _BEGUN, None)) for _, task in sorted(begun, key=lambda pair: pair[0])]

    def _make_workflow_input(self, init_job: InitializeWorkflow) -> ExecuteWorkflowInput:
        if self._now is not None:
            self._now.kept_at = _call_site_of_function(self._defn.run_fn)
        found = self._keep_errors(super()._make_workflow_input, init_job)
        if self._now is not None:
            self._now.kept_at = None
        found.run_fn = self._keep_run_frame(found.run_fn)
        return found

    def _keep_run_frame(self, run_fn: Callable[..., Awaitable[T]]) -> Callable[..., Awaitable[T]]:
        """Keep the frame of the run function: afterwards it tells which line returned."""

        @functools.wraps(run_fn)
        def started(*args: object) -> Awaitable[T]:
            self._run_coroutine = coroutine = run_fn(*args)
            # A finished coroutine drops its frame, and the frame knows the line that returned.
            self._run_frame = getattr(coroutine, "cr_frame", None)
            return coroutine

        return started

    def workflow_get_update_handler(self, name: str | None) -> Callable[..., object] | None:
        """Return the handler; for the SDK's own call, one that remembers the line that returned."""
        handler = super().workflow_get_update_handler(name)
        # User code may ask for a handler too, and must get its own function back.
        if handler is None or self._now is None or sys._getframe(1).f_code.co_name != "handle_update_handler":
            return handler
        definition = self._updates[name]
        own = functools.partial(definition.fn, self._object) if definition.is_method else definition.fn
        return self._wrap_update_handler(own)

    def _wrap_update_handler(self, handler: Callable[..., Any]) -> Callable[..., Any]:
        if not inspect.iscoroutinefunction(handler):
            return functools.partial(self._run_sync_handler, handler)

        async def handled(*args: Any) -> Any:
            coroutine = handler(*args)
            frame = coroutine.cr_frame
            result = await coroutine
            self._handler = frame
            return result

        return handled

    def _run_sync_handler(self, handler: Callable[..., T], *args: object) -> T:
        # A function that is no coroutine leaves no frame behind, so a profiler notes the line that returns.
        code = getattr(getattr(handler, "func", handler), "__code__", None)
        before = sys.getprofile()

        def returning(frame: FrameType, event: ProfileEvent, arg: object) -> None:
            if event == "return" and frame.f_code is code:
                self._handler = _call_site_of_frame(frame)
            if before is not None:
                before(frame, event, arg)

        sys.setprofile(returning)
        try:
            return handler(*args)
        finally:
            sys.setprofile(before)

    def _apply(self, job: WorkflowActivationJob) -> None:
        handle = self._find_awaited_handle(job)
        try:
            self._keep_errors(super()._apply, job)
        except BaseException:
            if self._now is not None and _brings_result(job):
                self._now.refused_result = job
                self._now.awaited_at = callsite.site_of_waiter(handle)
            raise

    def _find_awaited_handle(self, job: WorkflowActivationJob) -> object:
        """Return the task of the activity or child workflow that the job resolves. The SDK forgets it at once."""
        if job.HasField("resolve_activity"):
            return self._pending_activities.get(job.resolve_activity.seq)
        if job.HasField("resolve_child_workflow_execution"):
            return self._pending_child_workflows.get(job.resolve_child_workflow_execution.seq)
        return None

    def _run_once(self, **options: Any) -> None:
        self._keep_errors(super()._run_once, **options)

    def _keep_errors(self, call: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
        """Run a call and keep the error that it raises, even an interrupt from the deadlock watchdog."""
        try:
            return call(*args, **options)
        except BaseException as error:
            if self._now is not None:
                self._now.error = error
            raise


class RecordingRunner(UnsandboxedWorkflowRunner):
    """The runner that the SDK asks for instances, with or without a sandbox."""

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """Return a recorded instance."""
        return RecordingInstance(det)  # type: ignore[abstract]


class RecordingWrapper(WorkflowInstance):
    """Record an instance of the user's own runner: jobs and commands, but no lines of code."""

    def __init__(self, inner: WorkflowInstance) -> None:
        self._inner = inner

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        """Run one activation and record it."""
        tape = _tape
        if tape is None or _is_eviction(tape, act):
            return self._inner.activate(act)
        now = _begin_activation(act, tape)
        tape.activations.append(now)
        with guard.watch_side_effects(tape.guard), reach.trace_activation():
            completion = self._inner.activate(act)
        now.failed = completion.HasField("failed")
        now.commands = [_copy_command(one) for one in completion.successful.commands]
        now.sites = [None] * len(now.commands)
        now.done = True
        return completion

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def get_serialization_context(self, command_info: Any) -> Any:
        """Return what the inner instance returns."""
        return self._inner.get_serialization_context(command_info)

    def get_external_store_context(self, command_info: Any) -> Any:
        """Return what the inner instance returns."""
        return self._inner.get_external_store_context(command_info)

    def get_info(self) -> Info:
        """Return what the inner instance returns."""
        return self._inner.get_info()

    def get_thread_id(self) -> int | None:
        """Return what the inner instance returns."""
        return self._inner.get_thread_id()


def _brings_result(job: WorkflowActivationJob) -> bool:
    variant = job.WhichOneof("variant") or ""
    return variant.startswith("resolve_") and hasattr(getattr(job, variant), "result")


def _is_eviction(tape: RecordedTape, act: WorkflowActivation) -> bool:
    if not any(job.HasField("remove_from_cache") for job in act.jobs):
        return False
    tape.evicted_at = act.history_length
    return True


def _begin_activation(act: WorkflowActivation, tape: RecordedTape) -> RecordedActivation:
    thread = guard.this_thread()
    return RecordedActivation(
        event_id=act.history_length,
        replaying=act.is_replaying,
        time=act.timestamp.ToJsonString() if tape.times else "",
        jobs=tuple(act.jobs),
        began=time.monotonic(),
        thread=thread,
        starved=read_starved_seconds(thread),
    )


def _copy_command(command: WorkflowCommand) -> WorkflowCommand:
    copied = WorkflowCommand()
    copied.CopyFrom(command)
    return copied


def _call_site_of_frame(frame: FrameType) -> CallSite | None:
    return callsite.site_of_frames(iter([(frame.f_code, frame.f_lineno)]))


def _call_site_of_function(function: object) -> CallSite | None:
    code = getattr(function, "__code__", None)
    return callsite.site_of_frames(iter([(code, code.co_firstlineno)])) if code else None
