"""The state machine of a workflow task: it moves the workflow's clock, and a reset reaches the code through it."""

from __future__ import annotations

from temporalio.bridge.proto.workflow_activation import UpdateRandomSeed, WorkflowActivationJob

from replaytool.engines.temporal.core.random_seed import derive_random_seed
from replaytool.engines.temporal.core.state_machines.base import Fault, MachineHost, StateMachine, transitions
from replaytool.engines.temporal.events.event_structs import TaskCompleted, TaskFailed, TaskStarted


class WorkflowTaskMachine(StateMachine):
    """A workflow task; the only machine that belongs to no command."""

    __slots__ = ("_batch_end_id", "_started_id", "_time")
    REFUSES = "Event does not apply to a wf task machine: "
    FIRST = "Scheduled"

    def __init__(self, batch_end_id: int) -> None:
        super().__init__(None)
        self._batch_end_id = batch_end_id
        """The WorkflowTaskStarted event that ends the batch being applied."""
        self._started_id = self._time = 0

    def on_task_started(self, host: MachineHost, event: TaskStarted, event_id: int) -> Fault | None:
        """Move the clock at once if this start ends the batch, else when the task completes.

        The start of a task that failed or timed out never counts: its activation did not happen in the history.
        """
        time = host.current_event_time()
        if time is None:
            return Fault("fatal", "Workflow task started event must contain timestamp")
        self._started_id, self._time = event_id, time
        if event_id >= self._batch_end_id:
            host.start_workflow_task(self._batch_end_id, time)
        return None

    def on_task_completed(self, host: MachineHost, event: TaskCompleted, event_id: int) -> None:
        """Move the clock to the start of the completed task."""
        host.start_workflow_task(self._started_id, self._time)

    def on_task_failed_before_start(self, host: MachineHost, event: TaskFailed, event_id: int) -> Fault | None:
        """Accept a pause; no other cause can fail a task before it starts."""
        if event.cause == "WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_PAUSE_REQUESTED_BEFORE_TASK_STARTED":
            return None
        return Fault("fatal", f"Workflow task failed before it started with cause {event.cause}")

    def on_task_failed(self, host: MachineHost, event: TaskFailed, event_id: int) -> None:
        """Give the workflow the random seed of the new run if a reset failed the task."""
        if event.cause == "WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW":
            seed = UpdateRandomSeed(randomness_seed=derive_random_seed(event.new_run_id))
            host.queue_job(WorkflowActivationJob(update_random_seed=seed))

    TABLE = transitions(
        ("Scheduled", "WorkflowTaskStarted", "Started", on_task_started),
        ("Scheduled", "WorkflowTaskFailed", "Failed", on_task_failed_before_start),
        ("Scheduled", "WorkflowTaskTimedOut", "TimedOut"),
        ("Started", "WorkflowTaskCompleted", "Completed", on_task_completed),
        ("Started", "WorkflowTaskFailed", "Failed", on_task_failed),
        ("Started", "WorkflowTaskTimedOut", "TimedOut"),
    )
