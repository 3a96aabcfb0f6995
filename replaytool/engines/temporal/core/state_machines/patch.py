"""The state machines of patch markers, and of upserts of search attributes and memo: a patch may bring an upsert."""

from __future__ import annotations

import json

from temporalio.bridge.proto.workflow_commands import WorkflowCommand

from replaytool.engines.temporal.core.state_machines.base import SENT, Fault, MachineHost, StateMachine, transitions
from replaytool.engines.temporal.core.state_machines.workflow_end import one_event_table
from replaytool.engines.temporal.events.event_structs import MarkerRecorded


class PatchMachine(StateMachine):
    """A patch marker. The look-ahead announces it to the workflow, so its event gives no job."""

    __slots__ = ("patch_id",)
    REFUSES = "Change machine cannot handle this event: "
    FIRST = "MarkerCommandCreated"

    def __init__(self, command: WorkflowCommand, patch_id: str) -> None:
        super().__init__(command)
        self.patch_id = patch_id

    def on_marker_recorded(self, host: MachineHost, event: MarkerRecorded, event_id: int) -> Fault | None:
        """Compare the patch ids; whether the marker is deprecated is not compared."""
        found = read_patch_marker(event)
        if found is None:
            return Fault("nondeterminism", f"{self.REFUSES}HistoryEvent(id: {event_id}, MarkerRecorded)")
        if found[0] != self.patch_id:
            return Fault("nondeterminism", f"Change id {found[0]} does not match expected id {self.patch_id}")
        return None

    TABLE = transitions(
        ("MarkerCommandCreated", SENT, "Notified"),
        ("Notified", "MarkerRecorded", "MarkerCommandRecorded", on_marker_recorded),
    )


def read_patch_marker(marker: MarkerRecorded) -> tuple[str, bool] | None:
    """Return the patch id of a marker and whether it is deprecated, or None for any other marker.

    sdk-core treats an unreadable patch marker as one of another SDK.
    """
    if marker.marker_name != "core_patch":
        return None
    try:
        if "patch-data" in marker.details:
            data = json.loads(marker.details["patch-data"].payloads[0].data)
            return str(data["id"]), bool(data["deprecated"])
        # the older encoding: one detail for each value
        name = marker.details["patch_id"].payloads[0].data.decode()
        return name, marker.details["deprecated"].payloads[0].data[0] != 0
    except (KeyError, IndexError, TypeError, ValueError):
        return None


class UpsertSearchAttributesMachine(StateMachine):
    """An upsert of search attributes; its values are not compared."""

    __slots__ = ()
    REFUSES = "UpsertWorkflowSearchAttributesMachine does not handle "
    FIRST = "CommandCreated"
    TABLE = one_event_table("UpsertWorkflowSearchAttributes")


class ModifyWorkflowPropertiesMachine(StateMachine):
    """An upsert of the memo; its values are not compared."""

    __slots__ = ()
    REFUSES = "ModifyWorkflowPropertiesMachine does not handle "
    FIRST = "CommandCreated"
    TABLE = one_event_table("WorkflowPropertiesModified")
