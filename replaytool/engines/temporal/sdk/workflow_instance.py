"""Make and drive the SDK's own workflow instance as the SDK's worker does, without the worker's threads.

The SDK's own code builds what an instance is made from: a workflow worker is set up as the SDK's Replayer sets it up,
and never run. A release that passes something new to its instances needs no change here.
"""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import dataclass
from functools import cache
from typing import Any, NoReturn

from temporalio.bridge.proto.workflow_activation import RemoveFromCache, WorkflowActivation, WorkflowActivationJob
from temporalio.bridge.proto.workflow_commands import WorkflowCommand
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.converter import DataConverter
from temporalio.exceptions import ApplicationError
from temporalio.worker import Replayer, ReplayerConfig, WorkflowInstance, WorkflowRunner

from replaytool.engines.temporal.sdk.codec import ActivationCodec, needs_codec
from replaytool.engines.temporal.sdk.default_build import name_default_build
from replaytool.engines.temporal.sdk.private import (
    SandboxInstance,
    WorkflowInstanceImpl,
    WorkflowWorker,
)
from replaytool.engines.temporal.sdk.quiet_runtime import get_silent_runtime
from replaytool.engines.temporal.sdk.recorder import RecordedTape
from replaytool.engines.temporal.sdk.recording_runner import LazyRunner
from replaytool.model.history import Run
from replaytool.replay import call_site as callsite
from replaytool.replay import line_coverage as reach
from replaytool.replay.isolation.limits import DEADLOCK, Watchdog

_EVICT = WorkflowActivation(
    jobs=[WorkflowActivationJob(remove_from_cache=RemoveFromCache(message="the replay is over"))]
)


@dataclass(frozen=True, slots=True)
class ActivationAnswer:
    """What the code answers to one activation."""

    commands: tuple[WorkflowCommand, ...] = ()
    failure: str | None = None
    """The message that a worker would report for the failed task."""
    is_deadlock: bool = False


@dataclass
class InstanceFactory:
    """A workflow worker that only makes instances and never polls."""

    worker: WorkflowWorker
    converter: DataConverter
    runner: WorkflowRunner
    build_id: str | None
    default_namespace: str
    watchdog: Watchdog | None
    encodes_headers: bool = False

    def get_build_id(self) -> str:
        """Return the build ID of the worker, or the one of a worker that was given none."""
        return self.build_id or name_default_build()

    def set_run(self, run: Run) -> None:
        """Set the namespace and task queue of the next run; a missing one is made up as the SDK's replayer does."""
        self.worker._namespace = run.namespace or self.default_namespace
        self.worker._task_queue = run.task_queue or f"replay-{self.build_id}"

    def note_deadlocks_on(self, tape: RecordedTape) -> None:
        """Have the watchdog note on the tape at which line it interrupts code that does not yield."""

        def note_call_site(thread: int) -> None:
            if tape.current_activation is not None:
                tape.current_activation.kept_at = callsite.site_of_thread(thread, ACTIVATE_CODE)

        if self.watchdog is not None:
            self.watchdog.on_interrupt = note_call_site


def make_instance_factory(settings: dict[str, Any]) -> InstanceFactory:
    """Return a factory for these settings, set up as the SDK's Replayer sets up its worker."""
    lazy = {name: LazyRunner(settings[name]) for name in _RUNNERS if name in settings}
    replayer = Replayer(**{**settings, **lazy})
    config = _get_active_config(replayer)
    converter = config.get("data_converter") or DataConverter.default
    runtime = config.get("runtime") or get_silent_runtime()
    wanted: dict[str, Any] = {
        **config,
        "bridge_worker": _refuse_bridge,
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
    known = inspect.signature(WorkflowWorker.__init__).parameters
    worker = WorkflowWorker(**{name: value for name, value in wanted.items() if name in known})
    timeout = worker._deadlock_timeout_seconds
    return InstanceFactory(
        worker=worker,
        converter=converter,
        runner=settings["workflow_runner"],
        build_id=config.get("build_id"),
        default_namespace=config.get("namespace", "ReplayNamespace"),
        watchdog=None if timeout is None else Watchdog(timeout),
        encodes_headers=wanted["encode_headers"],
    )


_RUNNERS = ("workflow_runner", "unsandboxed_workflow_runner")


def _get_active_config(replayer: Replayer) -> ReplayerConfig:
    """Return a replayer's effective settings; the oldest releases have no `active_config` option."""
    asked = {"active_config": True} if "active_config" in inspect.signature(replayer.config).parameters else {}
    return replayer.config(**asked)


def _refuse_bridge() -> NoReturn:
    raise AssertionError("this worker only makes instances and never polls")


def _encodes_headers(config: ReplayerConfig) -> bool:
    behavior = config.get("header_codec_behavior")
    return behavior is not None and behavior.name != "NO_CODEC"


get_creation_loop = cache(asyncio.new_event_loop)
"""The loop that must be running while an instance is made. It runs nothing: an instance is a loop itself."""


class InstanceDriver:
    """Makes and drives the instance of one run."""

    def __init__(self, factory: InstanceFactory, workflow_id: str) -> None:
        self._factory = factory
        self._instance: WorkflowInstance | None = None
        self._codec: ActivationCodec | None = None
        if needs_codec(factory.converter):
            namespace = factory.worker._namespace
            self._codec = ActivationCodec(factory.converter, namespace, workflow_id, factory.encodes_headers)

    @property
    def uses_codec(self) -> bool:
        """Whether a codec or external storage takes part; both work on whole protos."""
        return self._codec is not None

    def activate(self, activation: WorkflowActivation) -> ActivationAnswer:
        """Send an activation to the code and return its answer; an error is an answer too."""
        before = asyncio._get_running_loop()
        try:
            if self._codec is not None:
                self._codec.decode_in_place(activation, self._instance)
            if self._instance is None:
                asyncio._set_running_loop(get_creation_loop())
                self._instance = self._create_instance(activation)
                asyncio._set_running_loop(before)
            completion, is_late = self._activate_guarded(self._instance, activation)
        except Exception as error:
            return self._answer_exception(error)
        except SystemExit as left:  # it would end our process
            return ActivationAnswer(failure=f"4: SystemExit: {left.code}")
        finally:
            asyncio._set_running_loop(before)
        if is_late:
            return ActivationAnswer(failure=DEADLOCK, is_deadlock=True)
        assert completion is not None, "only an interrupted activation has no completion"
        return self._read_completion(self._instance, completion)

    def _create_instance(self, activation: WorkflowActivation) -> WorkflowInstance:
        first = next(job.initialize_workflow for job in activation.jobs if job.HasField("initialize_workflow"))
        return self._factory.worker._create_workflow_instance(activation, first)

    def _activate_guarded(
        self, instance: WorkflowInstance, activation: WorkflowActivation
    ) -> tuple[WorkflowActivationCompletion | None, bool]:
        with reach.trace_activation():
            if self._factory.watchdog is None:
                return instance.activate(activation), False
            return self._factory.watchdog.guard_call(instance.activate, activation)

    def _read_completion(
        self, instance: WorkflowInstance, completion: WorkflowActivationCompletion
    ) -> ActivationAnswer:
        if completion.HasField("failed"):
            return ActivationAnswer(failure=completion.failed.failure.message)
        fault = self._codec.find_encoding_error(completion, instance) if self._codec is not None else None
        if fault is not None:
            return ActivationAnswer(failure=fault)
        return ActivationAnswer(tuple(completion.successful.commands))

    def _answer_exception(self, error: Exception) -> ActivationAnswer:
        """Turn an error around the code into an answer: it fails the task, or the workflow if it is not retryable."""
        if isinstance(error, ApplicationError) and error.non_retryable:
            command = WorkflowCommand()
            command.fail_workflow_execution.failure.message = error.message
            return ActivationAnswer((command,))
        return ActivationAnswer(failure=str(error) or type(error).__name__)

    @property
    def sdk_instance(self) -> WorkflowInstanceImpl | None:
        """The SDK's own instance inside its sandbox; None before the first activation, or if a runner hides it."""
        found: Any = self._instance
        if isinstance(found, SandboxInstance):
            found = found.globals_and_locals.get("__temporal_in_sandbox")
        found = getattr(found, "_inside", found)
        found = getattr(found, "instance", found)
        return found if hasattr(found, "_object") else None

    def evict(self) -> None:
        """Tear down the run's tasks now: left to the garbage collector, they would wake up during another run.

        An instance without tasks is only cleared, which frees the workflow too: it is in a reference cycle.
        """
        instance, inner = self._instance, self.sdk_instance
        self._instance = None
        if instance is None:
            return
        if inner is not None and not inner._tasks:
            inner.__dict__ = {"_deleting": True}  # keeps its `__del__` from warning about results nobody read
            return
        before = asyncio._get_running_loop()
        try:
            instance.activate(_EVICT)
        except RuntimeError:
            pass  # tasks that ignore their cancellation: the SDK would try for ever
        finally:
            asyncio._set_running_loop(before)


ACTIVATE_CODE = InstanceDriver.activate.__code__
"""Frames below this function's on a stack do not belong to the run."""
