"""Commands of the SDK's as one half of a comparison, with the names that a later command only points to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from temporalio.bridge.proto.workflow_commands import WorkflowCommand

from replaytool.engines.temporal.replay.command_fields import SINGLE, failure, given
from replaytool.engines.temporal.replay.command_kinds import BY_KIND, BY_VARIANT, produced_fields
from replaytool.model.verdict import CallSite, Command, Job

_NAMED_BY = {
    "request_cancel_activity": "schedule_activity",
    "request_cancel_nexus_operation": "schedule_nexus_operation",
}
_ROWS_OF_NAMES = {
    variant: row
    for variant, kind in BY_VARIANT.items()
    for row in kind.rows
    if row.key == kind.name and variant not in ("", *_NAMED_BY)
}
_JOB_NAMES = ("signal_name", "workflow_type", "name", "query_type", "patch_id", "reason")


@dataclass
class Translator:
    """Turns commands into values, in the order in which one run makes them."""

    named: dict[tuple[str, int], tuple[str, str]] = field(default_factory=dict)
    """By variant and seq: the id and the name of what was scheduled."""
    updates: dict[str, tuple[str, str]] = field(default_factory=dict)
    """By protocol instance: the id and the name of the update."""

    def job(self, job: Any) -> Job:
        """What the code was told."""
        variant = job.WhichOneof("variant") or "unknown"
        message = getattr(job, variant, None)
        fields = message.DESCRIPTOR.fields_by_name if message is not None else {}
        name = next((str(getattr(message, one)) for one in _JOB_NAMES if one in fields and getattr(message, one)), "")
        seq = getattr(message, "seq", None)
        if variant == "do_update" and message is not None:
            self.updates[message.protocol_instance_id] = (message.id, message.name)
        if variant == "resolve_activity":
            name = self.named.get(("schedule_activity", seq or 0), ("", ""))[1]
        return Job(variant, name, given({"seq": seq}))

    def command(self, command: WorkflowCommand, site: CallSite | None) -> Command:
        """What the code asked for."""
        variant = command.WhichOneof("variant") or ""
        message = getattr(command, variant)
        if variant == "update_response":
            return self._update(message, site)
        kind = BY_VARIANT.get(variant)
        if kind is None:
            return Command(variant, str(getattr(message, "seq", "")), {}, site)
        fields = produced_fields(kind, message)
        name = str(fields.get(kind.name) or "")
        if variant in _NAMED_BY.values():
            self.named[variant, message.seq] = (str(fields.get("activityId", "")), name)
        elif variant in _NAMED_BY:
            held = self.named.get((_NAMED_BY[variant], message.seq), ("", ""))
            name, fields = held[1], given({"activityId": held[0] or None, "name": held[1] or None})
        elif variant == "signal_external_workflow_execution" and message.child_workflow_id:
            fields["workflowExecution"] = message.child_workflow_id
        elif variant == "set_patch_marker":
            fields["deprecated"] = message.deprecated
        return Command(kind.kind, name, fields, site)

    def named_command(self, command: WorkflowCommand, site: CallSite | None) -> Command:
        """What the code asked for by kind and name alone, where nobody will compare its fields."""
        variant = command.WhichOneof("variant") or ""
        row = _ROWS_OF_NAMES.get(variant)
        if row is None:
            return self.command(command, site)
        message = getattr(command, variant)
        name = str(row.reader.produced(getattr(message, row.attribute)) or "")
        if variant in _NAMED_BY.values():
            self.named[variant, message.seq] = (str(getattr(message, "activity_id", "")), name)
        return Command(BY_VARIANT[variant].kind, name, {}, site)

    def _update(self, message: Any, site: CallSite | None) -> Command:
        update_id, name = self.updates.get(message.protocol_instance_id, ("", ""))
        fields: dict[str, Any] = {"name": name or None, "updateId": update_id or None}
        response = message.WhichOneof("response")
        if response == "accepted":
            return Command(BY_KIND["update_accepted"].kind, name, given(fields), site)
        if response == "completed":
            fields["outcome"] = {"success": SINGLE.produced(message.completed)}
        else:
            fields["outcome"] = {"failure": failure(message.rejected)}
        return Command(BY_KIND["update_completed"].kind, name, given(fields), site)
