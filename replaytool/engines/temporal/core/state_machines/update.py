"""The state machine of an update: its acceptance and its completion are two commands."""

from __future__ import annotations

from temporalio.bridge.proto.workflow_activation import DoUpdate

from replaytool.engines.temporal.core.state_machines.base import SENT, Fault, MachineHost, StateMachine, transitions

_END = "completed, rejected"


class UpdateMachine(StateMachine):
    """An update. Which update an event names is not compared, only the order of the commands."""

    __slots__ = ()
    attrs: DoUpdate
    REFUSES = "Update machine does not handle this event: "
    FIRST = "RequestInitiated"

    def respond(self, host: MachineHost, response: str) -> Fault | None:
        """Apply the handler's response: accepted, rejected or completed."""
        row = self.TABLE[self.state].get(response)
        if row is None:
            text = f"Invalid transition while handling update response (id {self.attrs.id}) in state {self.state}"
            return Fault("nondeterminism", text)
        # a rejection by the validator leaves nothing in the history, so it is no command
        if self.state != "RequestInitiated" or response == "accepted":
            host.issue_command(self, "update_accept" if response == "accepted" else "update_complete")
        self.state = row[0]
        return None

    TABLE = transitions(
        ("RequestInitiated", "accepted", "Accepted"),
        ("RequestInitiated", "rejected", "Rejected"),
        ("Accepted", _END, "CompletedImmediately"),
        ("Accepted", SENT, "AcceptCommandCreated"),
        ("AcceptCommandCreated", "WorkflowExecutionUpdateAccepted", "AcceptCommandRecorded"),
        ("AcceptCommandCreated", _END, "CompletedImmediatelyAcceptCreated"),
        ("AcceptCommandRecorded", _END, "Completed"),
        ("Completed", SENT, "CompletedCommandCreated"),
        ("CompletedCommandCreated", "WorkflowExecutionUpdateCompleted", "CompletedCommandRecorded"),
        # accepted and completed in one activation, or in two of one workflow task: both commands wait in the queue
        ("CompletedImmediately", SENT, "CompletedImmediatelyAcceptCreated"),
        ("CompletedImmediatelyAcceptCreated", SENT, "CompletedImmediatelyCompleteCreated"),
        ("CompletedImmediatelyCompleteCreated", "WorkflowExecutionUpdateAccepted", "CompletedCommandCreated"),
    )
