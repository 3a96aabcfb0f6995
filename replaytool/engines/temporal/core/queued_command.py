"""A command in the command queue, alone and with the event that records it."""

from __future__ import annotations

import msgspec
from temporalio.bridge.proto.workflow_commands import WorkflowCommand

from replaytool.engines.temporal.core.state_machines.base import StateMachine
from replaytool.engines.temporal.core.state_machines.local_activity import LocalActivityMachine
from replaytool.engines.temporal.core.state_machines.patch import PatchMachine, UpsertSearchAttributesMachine


class QueuedCommand(msgspec.Struct, frozen=True):
    """A command in the queue."""

    machine: StateMachine
    kind: str
    command: WorkflowCommand | None
    """The workflow's command that led to it."""

    @property
    def is_patch_upsert(self) -> bool:
        """Whether it is the search attribute upsert that sdk-core sends with a patch."""
        return self.machine.is_core_made and isinstance(self.machine, UpsertSearchAttributesMachine)

    @property
    def needs_event(self) -> bool:
        """Whether the history lacks this command if no event records it.

        A patch needs no marker, so its upsert needs no event. The marker of a local activity is no command of the
        code. The cancel of a child is: sdk-core creates the command, but the code asked for it.
        """
        return not self.is_patch_upsert and not isinstance(self.machine, PatchMachine | LocalActivityMachine)


class MatchedCommand(msgspec.Struct, frozen=True):
    """A command and the place of the event that records it."""

    place: int
    waiting: QueuedCommand
