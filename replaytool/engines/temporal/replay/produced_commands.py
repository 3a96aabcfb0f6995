"""Translate the SDK's command protos to `Command` values, with names for commands that only refer to an earlier one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from temporalio.bridge.proto.workflow_activation import WorkflowActivationJob
from temporalio.bridge.proto.workflow_commands import UpdateResponse, WorkflowCommand

from replaytool.engines.temporal.replay.command_fields import SINGLE, drop_none_values, strip_failure_noise
from replaytool.engines.temporal.replay.command_kinds import BY_KIND, BY_VARIANT, read_produced_fields
from replaytool.model.verdict import ActivationJob, CallSite, Command

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
class CommandTranslator:
    """Translates the commands and jobs of one run, in the order in which they occur."""

    named: dict[tuple[str, int], tuple[str, str]] = field(default_factory=dict)
    """By variant and seq: the id and the name of what was scheduled."""
    updates: dict[str, tuple[str, str]] = field(default_factory=dict)
    """By protocol instance: the id and the name of the update."""

    def translate_job(self, job: WorkflowActivationJob) -> ActivationJob:
        """Return an activation job as a value."""
        variant = job.WhichOneof("variant") or "unknown"
        message = getattr(job, variant, None)
        fields = message.DESCRIPTOR.fields_by_name if message is not None else {}
        name = next((str(getattr(message, one)) for one in _JOB_NAMES if one in fields and getattr(message, one)), "")
        seq = getattr(message, "seq", None)
        if variant == "do_update" and message is not None:
            self.updates[message.protocol_instance_id] = (message.id, message.name)
        if variant == "resolve_activity":
            name = self.named.get(("schedule_activity", seq or 0), ("", ""))[1]
        return ActivationJob(variant, name, drop_none_values({"seq": seq}))

    def translate_command(self, command: WorkflowCommand, site: CallSite | None) -> Command:
        """Return a command as a value with its fields."""
        variant = command.WhichOneof("variant") or ""
        message = getattr(command, variant)
        if variant == "update_response":
            return self._translate_update_response(message, site)
        kind = BY_VARIANT.get(variant)
        if kind is None:
            return Command(variant, str(getattr(message, "seq", "")), {}, site)
        fields = read_produced_fields(kind, message)
        name = str(fields.get(kind.name) or "")
        if variant in _NAMED_BY.values():
            self.named[variant, message.seq] = (str(fields.get("activityId", "")), name)
        elif variant in _NAMED_BY:
            held = self.named.get((_NAMED_BY[variant], message.seq), ("", ""))
            name, fields = held[1], drop_none_values({"activityId": held[0] or None, "name": held[1] or None})
        elif variant == "signal_external_workflow_execution" and message.child_workflow_id:
            fields["workflowExecution"] = message.child_workflow_id
        elif variant == "set_patch_marker":
            fields["deprecated"] = message.deprecated
        return Command(kind.kind, name, fields, site)

    def translate_name_only(self, command: WorkflowCommand, site: CallSite | None) -> Command:
        """Return a command with its kind and name only, for callers that compare no fields."""
        variant = command.WhichOneof("variant") or ""
        row = _ROWS_OF_NAMES.get(variant)
        if row is None:
            return self.translate_command(command, site)
        message = getattr(command, variant)
        name = str(row.reader.produced(getattr(message, row.attribute)) or "")
        if variant in _NAMED_BY.values():
            self.named[variant, message.seq] = (str(getattr(message, "activity_id", "")), name)
        return Command(BY_VARIANT[variant].kind, name, {}, site)

    def _translate_update_response(self, message: UpdateResponse, site: CallSite | None) -> Command:
        update_id, name = self.updates.get(message.protocol_instance_id, ("", ""))
        fields: dict[str, Any] = {"name": name or None, "updateId": update_id or None}
        response = message.WhichOneof("response")
        if response == "accepted":
            return Command(BY_KIND["update_accepted"].kind, name, drop_none_values(fields), site)
        if response == "completed":
            fields["outcome"] = {"success": SINGLE.produced(message.completed)}
        else:
            fields["outcome"] = {"failure": strip_failure_noise(message.rejected)}
        return Command(BY_KIND["update_completed"].kind, name, drop_none_values(fields), site)
