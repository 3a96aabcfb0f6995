"""Decisions of the code (commands and answers to updates) in one form for recorded and simulated runs."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from temporalio.bridge.proto.workflow_commands import UpdateResponse

from replaytool.engines.temporal.core.state_machines.base import StateMachine
from replaytool.engines.temporal.core.state_machines.local_activity import LocalActivityMachine
from replaytool.engines.temporal.events import event_types as types
from replaytool.engines.temporal.events.decoding import select_events
from replaytool.engines.temporal.events.labels import Attributes, decode_attributes
from replaytool.engines.temporal.events.payloads import payload_from_json
from replaytool.engines.temporal.replay.command_fields import payload_from_proto
from replaytool.engines.temporal.replay.command_kinds import (
    BY_EVENT,
    BY_KIND,
    BY_VARIANT,
    read_produced_fields,
    read_recorded_fields,
)
from replaytool.engines.temporal.replay.recorded_commands import SEARCH_ATTRIBUTE_OF_PATCHES, read_marker
from replaytool.model.history import Event, Payload
from replaytool.model.simulation import Decision, DecisionChange
from replaytool.replay.compare.drift import Decode
from replaytool.replay.inspect_state.json_state import to_plain_json


class DecisionReader:
    """Reads decisions and answers, with decoded values."""

    def __init__(self, decode: Decode) -> None:
        self._decode = decode

    def to_plain(self, value: object) -> object:
        """Return a value as JSON, with its payloads decoded."""
        if isinstance(value, Payload):
            return to_plain_json(self._decode([value])[0])
        if isinstance(value, list):
            return [self.to_plain(one) for one in value]
        if isinstance(value, dict):
            return {name: self.to_plain(one) for name, one in value.items()}
        return to_plain_json(value)

    def read_sent(self, sent: Iterable[tuple[str, StateMachine]]) -> list[Decision]:
        """Return the commands that a simulated server received."""
        found = (self._read_sent_command(variant, machine) for variant, machine in sent)
        return [one for one in found if one is not None]

    def _read_sent_command(self, variant: str, machine: StateMachine) -> Decision | None:
        if isinstance(machine, LocalActivityMachine):
            return Decision("local_activity", machine.attrs.activity_type)
        if variant not in BY_VARIANT or variant == "set_patch_marker":
            return None
        kind = BY_VARIANT[variant]
        assert machine.command is not None, f"{variant} is a command of the code"
        asked = str(machine.command.WhichOneof("variant"))
        message = getattr(machine.command, asked)
        # The core itself issues some: a cancel request to a started child, and the search attribute of a patch.
        if machine.is_core_made:
            return Decision(kind.kind, message.workflow_id) if hasattr(message, "workflow_id") else None
        return self._build_decision(kind.kind, read_produced_fields(kind, message) if asked == variant else {})

    def read_recorded(self, events: Sequence[Event], behind: int = 0) -> Iterator[Decision]:
        """Yield the commands that a run recorded after this event."""
        for event in select_events(events, _DECISIONS.__contains__):
            found = self._read_recorded_event(event) if event.event_id > behind else None
            if found is not None:
                yield replace(found, event_id=event.event_id)

    def _read_recorded_event(self, event: Event) -> Decision | None:
        said = decode_attributes(event)
        if event.event_type == types.MARKER:
            expected = read_marker(event, said)
            return Decision(expected.kind, expected.name) if expected.kind == "local_activity" else None
        kind = BY_EVENT[event.event_type]
        fields = read_recorded_fields(kind, said)
        if set(fields.get("searchAttributes") or {}) == {SEARCH_ATTRIBUTE_OF_PATCHES}:
            return None  # the core's own
        return self._build_decision(kind.kind, fields)

    def _build_decision(self, kind: str, fields: dict[str, object]) -> Decision:
        name = "" if kind in _NAMELESS else str(fields.get(BY_KIND[kind].name) or "")
        held = {key: self.to_plain(fields[key]) for key in _TELLING if key in fields}
        return Decision(kind, name, next(iter(held.values())) if len(held) == 1 else held or None)

    def read_answers(self, responses: Iterable[UpdateResponse]) -> dict[str, object]:
        """Return the answers of the code to updates, by update ID."""
        found: dict[str, object] = {}
        for response in responses:
            if response.HasField("completed"):
                found[response.protocol_instance_id] = self.to_plain(payload_from_proto(response.completed))
            elif response.HasField("rejected"):
                found[response.protocol_instance_id] = {"error": response.rejected.message}
        return found

    def read_recorded_answers(self, events: Sequence[Event]) -> dict[str, object]:
        """Return the recorded answers to updates, by update ID."""
        found: dict[str, object] = {}
        for event in select_events(events, types.UPDATE_COMPLETED.__eq__):
            said = decode_attributes(event)
            update_id = str((said.get("meta") or {}).get("updateId") or "")
            found[update_id] = self._read_outcome(said.get("outcome") or {})
        return found

    def _read_outcome(self, outcome: Attributes) -> object:
        if "failure" in outcome:
            return {"error": (outcome["failure"] or {}).get("message", "")}
        listed = (outcome.get("success") or {}).get("payloads") or [None]
        return self.to_plain(payload_from_json(listed[0])) if listed[0] else None


_NAMELESS = {"timer", "cancel_timer", "cancel_activity", "cancel_nexus_operation", "continue_as_new"}
_TELLING = ("input", "result", "failure", "startToFireTimeout", "searchAttributes", "upsertedMemo")
_DECISIONS = frozenset(event for event, kind in BY_EVENT.items() if kind.variant or kind.kind == "marker")


def compare_decisions(recorded: Sequence[Decision], simulated: Sequence[Decision]) -> tuple[list[DecisionChange], int]:
    """Compare decisions by kind, name and input. Return the differences, and how many are the same."""
    found: list[DecisionChange] = []
    same = 0
    # autojunk would ignore each decision that makes up over 1 % of a long run, such as a polled activity.
    matcher = difflib.SequenceMatcher(None, _decision_texts(recorded), _decision_texts(simulated), autojunk=False)
    for word, left, left_end, right, right_end in matcher.get_opcodes():
        if word == "equal":
            same += left_end - left
            continue
        ours, theirs = recorded[left:left_end], simulated[right:right_end]
        for index in range(max(len(ours), len(theirs))):
            pair = (ours[index] if index < len(ours) else None, theirs[index] if index < len(theirs) else None)
            found.append(DecisionChange(*pair))
    return found, same


def _decision_texts(decisions: Sequence[Decision]) -> list[str]:
    return [json.dumps([one.kind, one.name, one.value], sort_keys=True, default=repr) for one in decisions]
