"""Workflow runners: what the SDK's worker asks for an instance, with the recorder or the recorded context put in."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from temporalio.worker import UnsandboxedWorkflowRunner, WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from replaytool.engines.temporal.sdk.private import WorkflowDefinition, WorkflowWorker
from replaytool.engines.temporal.sdk.recorder import RecordingRunner, RecordingWrapper, note_creation_error
from replaytool.model.history import Run
from replaytool.replay.options import OFF


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


class LazyRunner(WorkflowRunner):
    """Another runner without the SDK's trial instance: `sandbox_check` asks for one once per class."""

    def __init__(self, inner: WorkflowRunner) -> None:
        self.inner = inner

    def prepare_workflow(self, defn: WorkflowDefinition) -> None:
        """Do nothing, where the SDK would make an instance to see whether that works."""

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """Return an instance of the inner runner."""
        try:
            return self.inner.create_instance(det)
        except BaseException as error:
            note_creation_error(error)
            raise

    def set_worker_level_failure_exception_types(self, types: Sequence[type[BaseException]]) -> None:
        """Pass the types on to the inner runner."""
        self.inner.set_worker_level_failure_exception_types(types)


class _CustomRunnerRecorder(LazyRunner):
    """Records around a runner class that the user wrote; it knows no lines."""

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        return RecordingWrapper(self.inner.create_instance(det))


class RecordedContextRunner(LazyRunner):
    """Gives the code the recorded task queue and namespace; the SDK's replayer makes up its own.

    Workflow code may branch on them, and an activity without a task queue of its own goes to the workflow's.
    """

    def __init__(self, inner: WorkflowRunner, run: Run) -> None:
        super().__init__(inner)
        self._run = run
        self.errors: list[BaseException] = []
        """Why an instance could not be made."""

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """Return an instance with the recorded task queue and namespace in its info."""
        queue, namespace = self._run.task_queue or det.info.task_queue, self._run.namespace or det.info.namespace
        info = dataclasses.replace(det.info, task_queue=queue, namespace=namespace)
        try:
            return super().create_instance(dataclasses.replace(det, info=info))
        except BaseException as error:
            self.errors.append(error)
            raise


_REPORTED = {
    "nondeterminism_as_workflow_fail": lambda worker: False,
    "nondeterminism_as_workflow_fail_for_types": lambda worker: set(),
}


@contextmanager
def report_nondeterminism() -> Iterator[None]:
    """Make sdk-core report nondeterminism: where it fails the workflow instead, the SDK's replayer never returns."""
    before = {name: getattr(WorkflowWorker, name) for name in _REPORTED}
    for name, answer in _REPORTED.items():
        setattr(WorkflowWorker, name, answer)
    try:
        yield
    finally:
        for name, method in before.items():
            setattr(WorkflowWorker, name, method)
