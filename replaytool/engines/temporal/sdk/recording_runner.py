"""Workflow runners that put the recorder inside the user's or the SDK's own runner."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from temporalio.worker import UnsandboxedWorkflowRunner, WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from replaytool.engines.temporal.sdk.private import WorkflowDefinition, WorkflowWorker
from replaytool.engines.temporal.sdk.recorder import PlainRecording, RecordingRunner
from replaytool.model.history import Run

OFF = "off"


def make_recording_runner(given: WorkflowRunner | None, sandbox: str) -> WorkflowRunner:
    """Return the user's runner with the recorder inside; the recorder alone if the sandbox is off."""
    if sandbox == OFF:
        return RecordingRunner()
    if given is None:
        given = SandboxedWorkflowRunner()
    if isinstance(given, SandboxedWorkflowRunner) and given.runner_class is UnsandboxedWorkflowRunner:
        return dataclasses.replace(
            given,
            restrictions=given.restrictions.with_passthrough_modules("replaytool"),
            runner_class=RecordingRunner,
        )
    if type(given) is UnsandboxedWorkflowRunner:
        return RecordingRunner()
    return _CustomRunnerRecorder(given)


class _CustomRunnerRecorder(WorkflowRunner):
    """Records around a runner class that the user wrote; it knows no lines."""

    def __init__(self, inner: WorkflowRunner) -> None:
        self.inner = inner

    def prepare_workflow(self, defn: WorkflowDefinition) -> None:
        self.inner.prepare_workflow(defn)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        return PlainRecording(self.inner.create_instance(det))

    def set_worker_level_failure_exception_types(self, types: Sequence[type[BaseException]]) -> None:
        self.inner.set_worker_level_failure_exception_types(types)


@dataclass
class RecordedContextRunner(WorkflowRunner):
    """Gives the code the recorded task queue and namespace; the SDK's replayer makes up its own.

    Workflow code may branch on them, and an activity without a task queue of its own goes to the workflow's.
    """

    inner: WorkflowRunner
    run: Run
    errors: list[BaseException] = field(default_factory=list)
    """Why an instance could not be made."""

    def prepare_workflow(self, defn: WorkflowDefinition) -> None:
        """Do nothing: the SDK makes a trial instance here, and the run's own instance will show the same errors."""

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """Return an instance with the recorded task queue and namespace in its info."""
        info = det.info
        queue, namespace = self.run.task_queue or info.task_queue, self.run.namespace or info.namespace
        if (queue, namespace) != (info.task_queue, info.namespace):
            info = dataclasses.replace(info, task_queue=queue, namespace=namespace)
            det = dataclasses.replace(det, info=info)
        try:
            return self.inner.create_instance(det)
        except BaseException as error:
            self.errors.append(error)
            raise

    def set_worker_level_failure_exception_types(self, types: Sequence[type[BaseException]]) -> None:
        """Pass the types on to the inner runner."""
        self.inner.set_worker_level_failure_exception_types(types)


@contextmanager
def report_nondeterminism() -> Iterator[None]:
    """Make sdk-core report nondeterminism: where it fails the workflow instead, the SDK's replayer never returns."""
    before: Mapping[str, Any] = {
        name: getattr(WorkflowWorker, name)
        for name in ("nondeterminism_as_workflow_fail", "nondeterminism_as_workflow_fail_for_types")
        if hasattr(WorkflowWorker, name)
    }
    for name, answer in (
        ("nondeterminism_as_workflow_fail", lambda self: False),
        ("nondeterminism_as_workflow_fail_for_types", lambda self: set()),
    ):
        if name in before:
            setattr(WorkflowWorker, name, answer)
    try:
        yield
    finally:
        for name, method in before.items():
            setattr(WorkflowWorker, name, method)
