"""The runner that the SDK's worker asks for instances: the user's or the SDK's own, with a recorder inside."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import temporalio.workflow
from temporalio.worker import UnsandboxedWorkflowRunner, WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner
from temporalio.worker._workflow import _WorkflowWorker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from replaytool.engines.temporal.sdk.recorder import PlainRecording, RecordingRunner
from replaytool.model.history import Run

OFF = "off"


def recording(given: WorkflowRunner | None, sandbox: str) -> WorkflowRunner:
    """The runner to record with: as the user's worker has it, unless the sandbox is switched off."""
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
    return _Around(given)


class _Around(WorkflowRunner):
    """A runner of the user's own making."""

    def __init__(self, inner: WorkflowRunner) -> None:
        self.inner = inner

    def prepare_workflow(self, defn: temporalio.workflow._Definition) -> None:
        self.inner.prepare_workflow(defn)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        return PlainRecording(self.inner.create_instance(det))

    def set_worker_level_failure_exception_types(self, types: Sequence[type[BaseException]]) -> None:
        self.inner.set_worker_level_failure_exception_types(types)


@dataclass
class AsRecorded(WorkflowRunner):
    """Gives the code the task queue and the namespace of the record, where a replayer makes up its own.

    Workflow code may branch on them, and whatever it schedules goes to that queue unless it says otherwise.
    """

    inner: WorkflowRunner
    run: Run
    errors: list[BaseException] = field(default_factory=list)
    """What kept an instance from being made."""

    def prepare_workflow(self, defn: temporalio.workflow._Definition) -> None:
        """Nothing: the SDK makes an instance to see whether that works, and this run's is about to be made."""

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """An instance that believes to run where the record was made."""
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
        """As the inner one does."""
        self.inner.set_worker_level_failure_exception_types(types)


@contextmanager
def nondeterminism_is_told() -> Iterator[None]:
    """Keep the core from turning nondeterminism into a failed workflow: its replayer never answers then."""
    before: Mapping[str, Any] = {
        name: getattr(_WorkflowWorker, name)
        for name in ("nondeterminism_as_workflow_fail", "nondeterminism_as_workflow_fail_for_types")
        if hasattr(_WorkflowWorker, name)
    }
    for name, answer in (
        ("nondeterminism_as_workflow_fail", lambda self: False),
        ("nondeterminism_as_workflow_fail_for_types", lambda self: set()),
    ):
        if name in before:
            setattr(_WorkflowWorker, name, answer)
    try:
        yield
    finally:
        for name, method in before.items():
            setattr(_WorkflowWorker, name, method)
