"""Machines of the commands that nothing answers, or that are answered in one word."""

from __future__ import annotations

import json
from typing import Any

from temporalio.bridge.proto.workflow_activation import (
    FireTimer,
    ResolveRequestCancelExternalWorkflow,
    ResolveSignalExternalWorkflow,
    UpdateRandomSeed,
    WorkflowActivationJob,
)

from replaytool.engines.temporal.core import failures
from replaytool.engines.temporal.core.random_seed import derive_random_seed
from replaytool.engines.temporal.core.state_machines.base import (
    CANCEL,
    SENT,
    Fault,
    MachineHost,
    StateMachine,
    transition_table,
)


class WorkflowTaskMachine(StateMachine):
    """A workflow task: it moves the clock, and a reset is told by one that failed."""

    __slots__ = ("ends_sequence", "started_id", "time")
    NAME = "WorkflowTaskMachine"
    REFUSES = "Event does not apply to a wf task machine: "
    HANDLES = frozenset(
        [
            "WorkflowTaskScheduled",
            "WorkflowTaskStarted",
            "WorkflowTaskTimedOut",
            "WorkflowTaskCompleted",
            "WorkflowTaskFailed",
        ]
    )
    FIRST = "Scheduled"
    started_id: int
    """Zero until the task has started; its time counts when it completes, or at once at a sequence's end."""
    time: int
    ends_sequence: int

    @staticmethod
    def started(machine: Any, core: MachineHost, record: Any, event_id: int) -> Fault | None:
        """The clock moves on at once where this start ends a sequence."""
        time = core.current_event_time()
        if time is None:
            return Fault("fatal", "Workflow task started event must contain timestamp")
        machine.started_id, machine.time = event_id, time
        return core.start_workflow_task(machine.ends_sequence, time) if event_id >= machine.ends_sequence else None

    @staticmethod
    def completed(machine: Any, core: MachineHost, record: Any, event_id: int) -> Fault | None:
        """Else it moves on when the task is done."""
        return core.start_workflow_task(machine.started_id, machine.time)

    @staticmethod
    def failed_unstarted(machine: Any, core: MachineHost, record: Any, event_id: int) -> Fault | None:
        """Only a pause may take a task away before it began."""
        if record.cause == "WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_PAUSE_REQUESTED_BEFORE_TASK_STARTED":
            return None
        return Fault("fatal", f"Workflow task failed before it started with cause {record.cause}")

    @staticmethod
    def failed(machine: Any, core: MachineHost, record: Any, event_id: int) -> Fault | None:
        """A reset gives the workflow another seed."""
        if record.cause == "WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW":
            seed = UpdateRandomSeed(randomness_seed=derive_random_seed(record.new_run_id))
            core.queue_job(WorkflowActivationJob(update_random_seed=seed))
        return None


WorkflowTaskMachine.TABLE = transition_table(
    ("Scheduled", "WorkflowTaskStarted", "Started", WorkflowTaskMachine.started),
    ("Scheduled", "WorkflowTaskFailed", "Failed", WorkflowTaskMachine.failed_unstarted),
    ("Scheduled", "WorkflowTaskTimedOut", "TimedOut"),
    ("Started", "WorkflowTaskCompleted", "Completed", WorkflowTaskMachine.completed),
    ("Started", "WorkflowTaskFailed", "Failed", WorkflowTaskMachine.failed),
    ("Started", "WorkflowTaskTimedOut", "TimedOut"),
)


class TimerMachine(StateMachine):
    """A timer; its length is not compared, its number is."""

    __slots__ = ()
    NAME = "TimerMachine"
    REFUSES = "Timer machine does not handle this event: "
    HANDLES = frozenset({"TimerStarted", "TimerFired", "TimerCanceled"})
    FIRST = "StartCommandCreated"

    @staticmethod
    def dropped(machine: Any, core: MachineHost, record: Any, event_id: int) -> None:
        """It never reached the server."""
        machine.is_dropped = True

    @staticmethod
    def fired(machine: Any, core: MachineHost, record: Any, event_id: int) -> Fault | None:
        """The number tells whether it is the right one."""
        if record.timer_id != str(machine.seq):
            text = f"Timer fired event did not have expected timer id {machine.seq}, it was {record.timer_id}!"
            return Fault("nondeterminism", text)
        core.queue_job(WorkflowActivationJob(fire_timer=FireTimer(seq=machine.seq)))
        return None

    @staticmethod
    def cancelled(machine: Any, core: MachineHost, record: Any, event_id: int) -> None:
        """The server has to be told."""
        core.issue_command(machine, "cancel_timer")


TimerMachine.TABLE = transition_table(
    ("StartCommandCreated", SENT, "StartCommandCreated"),
    ("StartCommandCreated", "TimerStarted", "StartCommandRecorded"),
    ("StartCommandCreated", CANCEL, "Canceled", TimerMachine.dropped),
    ("StartCommandRecorded", "TimerFired", "Fired", TimerMachine.fired),
    ("StartCommandRecorded", CANCEL, "CancelTimerCommandCreated", TimerMachine.cancelled),
    ("CancelTimerCommandCreated", CANCEL, "CancelTimerCommandCreated"),
    ("CancelTimerCommandCreated", SENT, "CancelTimerCommandSent"),
    ("CancelTimerCommandSent", "TimerCanceled", "Canceled"),
    ("Canceled", CANCEL, "Canceled"),
    ("Fired", CANCEL, "Fired"),
)


class SignalExternalMachine(StateMachine):
    """A signal to another workflow or to a child; where it goes and what it says are not compared."""

    __slots__ = ()
    NAME = "SignalExternalMachine"
    REFUSES = "Signal external WF machine does not handle this event: "
    HANDLES = frozenset(
        [
            "SignalExternalWorkflowExecutionInitiated",
            "SignalExternalWorkflowExecutionFailed",
            "ExternalWorkflowExecutionSignaled",
        ]
    )
    FIRST = "SignalExternalCommandCreated"

    @staticmethod
    def done(machine: Any, core: MachineHost, record: Any, event_id: int) -> None:
        """It arrived."""
        job = ResolveSignalExternalWorkflow(seq=machine.seq)
        core.queue_job(WorkflowActivationJob(resolve_signal_external_workflow=job))

    @staticmethod
    def failed(machine: Any, core: MachineHost, record: Any, event_id: int) -> None:
        """Nobody was there."""
        kind, number = _cause(record.cause, "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_", _SIGNAL_CAUSES)
        text = f"Unable to signal external workflow because {_SIGNAL_TEXTS[number]}"
        _fail(
            core,
            ResolveSignalExternalWorkflow(seq=machine.seq, failure=failures.build_external_failure(text, kind)),
            number,
        )

    @staticmethod
    def cancelled(machine: Any, core: MachineHost, record: Any, event_id: int) -> None:
        """The workflow changed its mind in time."""
        machine.is_dropped = True
        failure = failures.build_canceled_failure()
        failure.message = "Signal was cancelled before being sent"
        job = ResolveSignalExternalWorkflow(seq=machine.seq, failure=failure)
        core.queue_job(WorkflowActivationJob(resolve_signal_external_workflow=job))


SignalExternalMachine.TABLE = transition_table(
    ("SignalExternalCommandCreated", SENT, "SignalExternalCommandCreated"),
    ("SignalExternalCommandCreated", CANCEL, "Cancelled", SignalExternalMachine.cancelled),
    ("SignalExternalCommandCreated", "SignalExternalWorkflowExecutionInitiated", "SignalExternalCommandRecorded"),
    ("SignalExternalCommandRecorded", CANCEL, "SignalExternalCommandRecorded"),
    ("SignalExternalCommandRecorded", "ExternalWorkflowExecutionSignaled", "Signaled", SignalExternalMachine.done),
    ("SignalExternalCommandRecorded", "SignalExternalWorkflowExecutionFailed", "Failed", SignalExternalMachine.failed),
    ("Cancelled", CANCEL, "Cancelled"),
    ("Signaled", CANCEL, "Signaled"),
)


class CancelExternalMachine(StateMachine):
    """A request to cancel another workflow, or a child on the core's behalf."""

    __slots__ = ()
    NAME = "CancelExternalMachine"
    REFUSES = "Cancel external WF machine does not handle this event: "
    HANDLES = frozenset(
        [
            "RequestCancelExternalWorkflowExecutionInitiated",
            "RequestCancelExternalWorkflowExecutionFailed",
            "ExternalWorkflowExecutionCancelRequested",
        ]
    )
    FIRST = "RequestCancelExternalCommandCreated"

    @staticmethod
    def done(machine: Any, core: MachineHost, record: Any, event_id: int) -> None:
        """It arrived."""
        if not machine.is_core_made:
            job = ResolveRequestCancelExternalWorkflow(seq=machine.seq)
            core.queue_job(WorkflowActivationJob(resolve_request_cancel_external_workflow=job))

    @staticmethod
    def failed(machine: Any, core: MachineHost, record: Any, event_id: int) -> None:
        """Nobody was there."""
        if machine.is_core_made:
            return
        kind, number = _cause(record.cause, "CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED_CAUSE_", _CANCEL_CAUSES)
        text = f"Unable to cancel external workflow because {'not found' if number else 'unknown'}"
        _fail(
            core,
            ResolveRequestCancelExternalWorkflow(seq=machine.seq, failure=failures.build_external_failure(text, kind)),
            number,
        )


CancelExternalMachine.TABLE = transition_table(
    ("RequestCancelExternalCommandCreated", SENT, "RequestCancelExternalCommandCreated"),
    (
        "RequestCancelExternalCommandCreated",
        "RequestCancelExternalWorkflowExecutionInitiated",
        "RequestCancelExternalCommandRecorded",
    ),
    (
        "RequestCancelExternalCommandRecorded",
        "ExternalWorkflowExecutionCancelRequested",
        "CancelRequested",
        CancelExternalMachine.done,
    ),
    (
        "RequestCancelExternalCommandRecorded",
        "RequestCancelExternalWorkflowExecutionFailed",
        "RequestCancelFailed",
        CancelExternalMachine.failed,
    ),
)

_SIGNAL_CAUSES = ("Unspecified", "ExternalWorkflowExecutionNotFound", "NamespaceNotFound", "SignalCountLimitExceeded")
_SIGNAL_TEXTS = ("unknown", "it was not found", "it was not found", "The per-workflow signal limit was exceeded")
_CANCEL_CAUSES = ("Unspecified", "ExternalWorkflowExecutionNotFound", "NamespaceNotFound")


def _cause(recorded: str, prefix: str, known: tuple[str, ...]) -> tuple[str, int]:
    name = recorded.removeprefix(prefix).title().replace("_", "")
    return (name, known.index(name)) if name in known else (known[0], 0)


def _fail(core: MachineHost, job: Any, cause: int) -> None:
    """Newer SDKs tell the cause beside the failure."""
    if "cause" in job.DESCRIPTOR.fields_by_name:
        job.cause = cause
    kind = _ANSWERS[job.DESCRIPTOR.name]
    core.queue_job(WorkflowActivationJob(**{kind: job}))


_ANSWERS = {
    "ResolveSignalExternalWorkflow": "resolve_signal_external_workflow",
    "ResolveRequestCancelExternalWorkflow": "resolve_request_cancel_external_workflow",
}


class PatchMachine(StateMachine):
    """A patch marker; the workflow learns of it from the look-ahead, and hears nothing back."""

    __slots__ = ("patch_id",)
    NAME = "PatchMachine"
    REFUSES = "Change machine cannot handle this event: "
    HANDLES = frozenset({"MarkerRecorded"})
    FIRST = "MarkerCommandCreated"
    patch_id: str

    @staticmethod
    def recorded(machine: Any, core: MachineHost, record: Any, event_id: int) -> Fault | None:
        """Markers tell which patch they are of."""
        found = read_patch_marker(record)
        if found is None:
            event = f"HistoryEvent(id: {event_id}, MarkerRecorded)"
            return Fault("nondeterminism", f"Change machine cannot handle this event: {event}")
        if found[0] != machine.patch_id:
            text = f"Change id {found[0]} does not match expected id {machine.patch_id}"
            return Fault("nondeterminism", text)
        return None


PatchMachine.TABLE = transition_table(
    ("MarkerCommandCreated", SENT, "Notified"),
    ("Notified", "MarkerRecorded", "MarkerCommandRecorded", PatchMachine.recorded),
)


def read_patch_marker(marker: Any) -> tuple[str, bool] | None:
    """The patch that a marker records and whether it was deprecated, in both spellings that there have been."""
    if marker.marker_name != "core_patch":
        return None
    try:
        if "patch-data" in marker.details:
            data = json.loads(marker.details["patch-data"].payloads[0].data)
            return str(data["id"]), bool(data["deprecated"])
        name = marker.details["patch_id"].payloads[0].data.decode()
        return name, marker.details["deprecated"].payloads[0].data[0] != 0
    except (KeyError, IndexError, TypeError, ValueError):
        return None


def _recorded_once(name: str, refuses: str, event_type: str) -> type[StateMachine]:
    """A command that has one event, which is its end."""
    return type(
        name,
        (StateMachine,),
        {
            "__slots__": (),
            "__doc__": f"A command that is done when {event_type} is recorded; what that holds is not compared.",
            "NAME": name,
            "REFUSES": refuses,
            "HANDLES": frozenset({event_type}),
            "FIRST": "CommandCreated",
            "TABLE": transition_table(
                ("CommandCreated", SENT, "CommandCreated"), ("CommandCreated", event_type, "Recorded")
            ),
        },
    )


_TERMINAL = " machine does not handle this event: "
CompleteWorkflow = _recorded_once(
    "CompleteWorkflowMachine", f"Complete workflow{_TERMINAL}", "WorkflowExecutionCompleted"
)
FailWorkflow = _recorded_once("FailWorkflowMachine", f"Fail workflow{_TERMINAL}", "WorkflowExecutionFailed")
CancelWorkflow = _recorded_once("CancelWorkflowMachine", f"Cancel workflow{_TERMINAL}", "WorkflowExecutionCanceled")
ContinueAsNew = _recorded_once(
    "ContinueAsNewWorkflowMachine", f"Continue as new workflow{_TERMINAL}", "WorkflowExecutionContinuedAsNew"
)
UpsertSearchAttributes = _recorded_once(
    "UpsertSearchAttributesMachine",
    "UpsertWorkflowSearchAttributesMachine does not handle ",
    "UpsertWorkflowSearchAttributes",
)
ModifyProperties = _recorded_once(
    "ModifyWorkflowPropertiesMachine",
    "ModifyWorkflowPropertiesMachine does not handle ",
    "WorkflowPropertiesModified",
)
