"""The SDK's own workflow instance, made and driven as the SDK's worker does it, without the worker's threads.

What the instance is made from is built by the SDK's own code: a workflow worker is set up as the SDK's Replayer sets
one up, and never run. So a new release that hands its instances something new needs nothing new here.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from temporalio.bridge.proto.workflow_activation import RemoveFromCache, WorkflowActivation, WorkflowActivationJob
from temporalio.bridge.proto.workflow_commands import WorkflowCommand
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.converter import DataConverter
from temporalio.exceptions import ApplicationError
from temporalio.worker import Replayer, WorkflowInstance
from temporalio.worker._worker import load_default_build_id
from temporalio.worker._workflow import _WorkflowWorker
from temporalio.worker.workflow_sandbox._runner import _Instance as _Sandboxed

from replaytool.engines.temporal.sdk import codec as conversion
from replaytool.engines.temporal.sdk.quiet_runtime import silent_runtime
from replaytool.replay import line_coverage as reach
from replaytool.replay.isolation.limits import DEADLOCK, Watchdog

_EVICT = WorkflowActivation(
    jobs=[WorkflowActivationJob(remove_from_cache=RemoveFromCache(message="the replay is over"))]
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the code said to one activation."""

    commands: tuple[WorkflowCommand, ...] = ()
    failure: str | None = None
    """The task fails: what a worker would report."""
    is_deadlock: bool = False


@dataclass
class Worker:
    """A worker that is asked for instances only."""

    inner: _WorkflowWorker
    converter: DataConverter
    build_id: str | None
    own_namespace: str
    watchdog: Watchdog | None
    encodes_headers: bool = False
    _builds: list[str] = field(default_factory=list)

    def own_build(self) -> str:
        """The build id of the code at hand; working it out takes long, and most runs never ask."""
        if not self._builds:
            self._builds.append(self.build_id or load_default_build_id())
        return self._builds[0]

    def place(self, namespace: str | None, task_queue: str | None) -> None:
        """Where the next run believes to be; a replayer makes up what its record does not say."""
        self.inner._namespace = namespace or self.own_namespace
        self.inner._task_queue = task_queue or self.own_queue

    @property
    def namespace(self) -> str:
        """Where the run believes to be."""
        return self.inner._namespace

    @property
    def own_queue(self) -> str:
        """The queue that a replayer makes up."""
        return f"replay-{self.build_id}"


def worker_of(settings: dict[str, Any], *, debug: bool = False) -> Worker:
    """A worker made as the SDK's Replayer makes its own from these settings."""
    replayer = Replayer(**settings)
    config = _active_config(replayer)
    converter = config.get("data_converter") or DataConverter.default
    runtime = config.get("runtime") or silent_runtime()
    wanted: dict[str, Any] = {
        **config,
        "bridge_worker": _no_bridge,
        "task_queue": f"replay-{config.get('build_id')}",
        "max_concurrent_workflow_tasks": 1,
        "patch_activation_callback": None,
        "metric_meter": runtime.metric_meter,
        "on_eviction_hook": None,
        "disable_eager_activity_execution": False,
        "disable_safe_eviction": config.get("disable_safe_workflow_eviction", False),
        "should_enforce_versioning_behavior": False,
        "assert_local_activity_valid": lambda activity: None,
        "encode_headers": _encodes_headers(config),
        "max_workflow_task_external_storage_concurrency": 1,
        "data_converter": converter,
    }
    flags = getattr(replayer, "_default_workflow_logic_flags", None)
    if flags is not None:
        wanted["default_workflow_logic_flags"] = frozenset(flags)
    known = inspect.signature(_WorkflowWorker.__init__).parameters
    inner = _WorkflowWorker(**{name: value for name, value in wanted.items() if name in known})
    timeout = getattr(inner, "_deadlock_timeout_seconds", 2)
    return Worker(
        inner=inner,
        converter=converter,
        build_id=config.get("build_id"),
        own_namespace=config.get("namespace", "ReplayNamespace"),
        watchdog=None if debug or timeout is None else Watchdog(timeout),
        encodes_headers=wanted["encode_headers"],
    )


def _active_config(replayer: Replayer) -> Any:
    """What a replayer works with; the oldest releases tell it without being asked for the active one."""
    asked = {"active_config": True} if "active_config" in inspect.signature(replayer.config).parameters else {}
    return replayer.config(**asked)


def _no_bridge() -> Any:
    raise AssertionError("a worker that is asked for instances only polls nothing")


def _encodes_headers(config: Any) -> bool:
    behavior = config.get("header_codec_behavior")
    return behavior is not None and behavior.name != "NO_CODEC"


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """Instances are made while a loop runs; theirs is another one, so this one never does anything."""
    return asyncio.new_event_loop()


@contextmanager
def _running() -> Iterator[None]:
    before = asyncio._get_running_loop()
    asyncio._set_running_loop(_loop())
    try:
        yield
    finally:
        asyncio._set_running_loop(before)


class Driven:
    """One run's instance."""

    def __init__(self, worker: Worker, workflow_id: str) -> None:
        self._worker = worker
        self._workflow_id = workflow_id
        self._instance: WorkflowInstance | None = None
        self.converts = conversion.is_needed(worker.converter)
        """Whether codecs take part, which work on whole messages."""

    def activate(self, activation: WorkflowActivation) -> Answer:
        """Tell the code, and take what it says; whatever goes wrong is an answer too."""
        before = asyncio._get_running_loop()
        try:
            if self.converts:
                conversion.decode(self._worker, activation, self._instance, self._workflow_id)
            if self._instance is None:
                with _running():
                    self._instance = self._created(activation)
            completion, is_deadlock = self._watched(activation)
        except Exception as error:
            return self._failed(error)
        except SystemExit as left:  # it would end the worker's process
            return Answer(failure=f"4: SystemExit: {left.code}")
        finally:
            asyncio._set_running_loop(before)
        if is_deadlock:
            return Answer(failure=DEADLOCK, is_deadlock=True)
        return self._answer(completion)

    def _created(self, activation: WorkflowActivation) -> WorkflowInstance:
        first = next(job.initialize_workflow for job in activation.jobs if job.HasField("initialize_workflow"))
        return self._worker.inner._create_workflow_instance(activation, first)

    def _watched(self, activation: WorkflowActivation) -> tuple[WorkflowActivationCompletion, bool]:
        if self._instance is None:
            raise AssertionError("an instance is made before it is activated")
        with reach.trace_activation():
            if self._worker.watchdog is None:
                return self._instance.activate(activation), False
            return self._worker.watchdog.guard_call(self._instance.activate, activation)

    def _answer(self, completion: WorkflowActivationCompletion) -> Answer:
        if completion.HasField("failed"):
            return Answer(failure=completion.failed.failure.message)
        if self.converts:
            fault = conversion.encode(self._worker, completion, self._instance, self._workflow_id)
            if fault is not None:
                return Answer(failure=fault)
        return Answer(tuple(completion.successful.commands))

    def _failed(self, error: Exception) -> Answer:
        """Before the code runs, too: an instance that cannot be made fails the task, or even the workflow."""
        if isinstance(error, ApplicationError) and error.non_retryable:
            command = WorkflowCommand()
            command.fail_workflow_execution.failure.message = error.message
            return Answer((command,))
        return Answer(failure=str(error) or type(error).__name__)

    @property
    def innermost(self) -> Any:
        """The SDK's own instance, in whatever sandbox it is; None where the run has none, or hides it."""
        found: Any = self._instance
        if isinstance(found, _Sandboxed):
            found = found.globals_and_locals.get("__temporal_in_sandbox")
        found = getattr(found, "_inside", found)
        found = getattr(found, "instance", found)
        return found if hasattr(found, "_object") else None

    def evict(self) -> None:
        """Tear the run's tasks down here and now: left to the garbage collector they would wake in another run.

        What has no task left is only let go of, down to the workflow: it holds itself, and would stay for long.
        """
        instance, inner = self._instance, self.innermost
        self._instance = None
        if instance is None:
            return
        if inner is not None and not getattr(inner, "_tasks", True):
            inner.__dict__ = {"_deleting": True}  # so that it is silent about what nobody asked of its tasks
            return
        before = asyncio._get_running_loop()
        try:
            instance.activate(_EVICT)
        except RuntimeError:
            pass  # tasks that swallow their own end: the SDK would try for ever
        finally:
            asyncio._set_running_loop(before)
