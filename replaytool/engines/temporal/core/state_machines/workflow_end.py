"""The state machines of the commands that end a run: complete, fail, cancel, continue as new.

Only the kind of the event is compared; results, failures and arguments are not.
"""

from __future__ import annotations

from replaytool.engines.temporal.core.state_machines.base import SENT, StateMachine, Table, transitions


def one_event_table(event_type: str) -> Table:
    """Build the table of a command that one event records and ends."""
    return transitions(("CommandCreated", SENT, "CommandCreated"), ("CommandCreated", event_type, "Recorded"))


class CompleteWorkflowMachine(StateMachine):
    """The workflow returns."""

    __slots__ = ()
    REFUSES = "Complete workflow machine does not handle this event: "
    FIRST = "CommandCreated"
    TABLE = one_event_table("WorkflowExecutionCompleted")


class FailWorkflowMachine(StateMachine):
    """The workflow raises a failure."""

    __slots__ = ()
    REFUSES = "Fail workflow machine does not handle this event: "
    FIRST = "CommandCreated"
    TABLE = one_event_table("WorkflowExecutionFailed")


class CancelWorkflowMachine(StateMachine):
    """The workflow ends as cancelled."""

    __slots__ = ()
    REFUSES = "Cancel workflow machine does not handle this event: "
    FIRST = "CommandCreated"
    TABLE = one_event_table("WorkflowExecutionCanceled")


class ContinueAsNewWorkflowMachine(StateMachine):
    """The workflow continues as a new run."""

    __slots__ = ()
    REFUSES = "Continue as new workflow machine does not handle this event: "
    FIRST = "CommandCreated"
    TABLE = one_event_table("WorkflowExecutionContinuedAsNew")
