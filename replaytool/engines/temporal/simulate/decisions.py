"""What code asked for and answered, in one vocabulary for what is recorded and what is simulated."""

from __future__ import annotations

import difflib
import json
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from replaytool.engines.temporal.core.state_machines.base import Machine
from replaytool.engines.temporal.core.state_machines.local_activity import LocalActivity
from replaytool.engines.temporal.events.decoding import heads
from replaytool.engines.temporal.events.labels import attributes
from replaytool.engines.temporal.events.payloads import from_json
from replaytool.engines.temporal.replay.command_fields import payload_of
from replaytool.engines.temporal.replay.command_kinds import (
    BY_EVENT,
    BY_KIND,
    BY_VARIANT,
    produced_fields,
    recorded_fields,
)
from replaytool.engines.temporal.replay.recorded_commands import SEARCH_ATTRIBUTE_OF_PATCHES, marker
from replaytool.model.history import Event, Payload
from replaytool.replay.compare.drift import Decode
from replaytool.replay.inspect_state.json_state import plain


@dataclass(frozen=True)
class Decision:
    """Something that the code asked for."""

    kind: str
    name: str
    value: Any = None
    event_id: int | None = None
    """Where it is recorded."""


@dataclass(frozen=True)
class Change:
    """Where the decisions part from the recorded ones; one side is empty where there is nothing beside the other."""

    recorded: Decision | None
    simulated: Decision | None


class Reader:
    """Reads decisions and answers, their values decoded."""

    def __init__(self, decode: Decode) -> None:
        self._decode = decode

    def plain(self, value: Any) -> Any:
        """A value with its payloads decoded, as JSON."""
        if isinstance(value, Payload):
            return plain(self._decode([value])[0])
        if isinstance(value, list):
            return [self.plain(one) for one in value]
        if isinstance(value, dict):
            return {name: self.plain(one) for name, one in value.items()}
        return plain(value)

    def sent(self, sent: Iterable[tuple[str, Machine]]) -> list[Decision]:
        """What a simulated server was asked for."""
        found = (self._sent_one(variant, machine) for variant, machine in sent)
        return [one for one in found if one is not None]

    def _sent_one(self, variant: str, machine: Machine) -> Decision | None:
        if isinstance(machine, LocalActivity):
            return Decision("local_activity", machine.attrs.activity_type)
        if variant not in BY_VARIANT or variant == "set_patch_marker":
            return None
        kind = BY_VARIANT[variant]
        asked = machine.command.WhichOneof("variant")
        message = getattr(machine.command, asked)
        if machine.is_core_made:
            return Decision(kind.kind, message.workflow_id) if hasattr(message, "workflow_id") else None
        return self._decision(kind.kind, produced_fields(kind, message) if asked == variant else {})

    def recorded(self, events: Sequence[Event], behind: int = 0) -> Iterator[Decision]:
        """What a recorded run asked for behind this event."""
        for event in of_types(events, _DECISIONS):
            found = self._recorded_one(event) if event.event_id > behind else None
            if found is not None:
                yield replace(found, event_id=event.event_id)

    def _recorded_one(self, event: Event) -> Decision | None:
        said = attributes(msgspec.json.decode(event.raw))
        if event.event_type == "MarkerRecorded":
            expected = marker(event, said)
            return Decision(expected.kind, expected.name) if expected.kind == "local_activity" else None
        kind = BY_EVENT[event.event_type]
        fields = recorded_fields(kind, said)
        if set(fields.get("searchAttributes") or {}) == {SEARCH_ATTRIBUTE_OF_PATCHES}:
            return None  # the core's own
        return self._decision(kind.kind, fields)

    def _decision(self, kind: str, fields: dict[str, Any]) -> Decision:
        name = "" if kind in _NAMELESS else str(fields.get(BY_KIND[kind].name) or "")
        held = {key: self.plain(fields[key]) for key in _TELLING if key in fields}
        return Decision(kind, name, next(iter(held.values())) if len(held) == 1 else held or None)

    def answers(self, responses: Iterable[Any]) -> dict[str, Any]:
        """What the code answered to updates, by their ids."""
        found: dict[str, Any] = {}
        for response in responses:
            if response.HasField("completed"):
                found[response.protocol_instance_id] = self.plain(payload_of(response.completed))
            elif response.HasField("rejected"):
                found[response.protocol_instance_id] = {"error": response.rejected.message}
        return found

    def recorded_answers(self, events: Sequence[Event]) -> dict[str, Any]:
        """The same of a recorded run."""
        found: dict[str, Any] = {}
        for event in of_types(events, {"WorkflowExecutionUpdateCompleted"}):
            said = attributes(msgspec.json.decode(event.raw))
            update_id = str((said.get("meta") or {}).get("updateId") or "")
            found[update_id] = self._outcome(said.get("outcome") or {})
        return found

    def _outcome(self, outcome: dict[str, Any]) -> Any:
        if "failure" in outcome:
            return {"error": (outcome["failure"] or {}).get("message", "")}
        listed = (outcome.get("success") or {}).get("payloads") or [None]
        return self.plain(from_json(listed[0])) if listed[0] else None


_NAMELESS = {"timer", "cancel_timer", "cancel_activity", "cancel_nexus_operation", "continue_as_new"}
_TELLING = ("input", "result", "failure", "startToFireTimeout", "searchAttributes", "upsertedMemo")
_DECISIONS = frozenset(event for event, kind in BY_EVENT.items() if kind.variant or kind.kind == "marker")


def of_types(events: Sequence[Event], types: Container[str]) -> Iterator[Event]:
    """The events of these types, and no other one touched."""
    return (events[place] for place, head in enumerate(heads(events)) if head.event_type in types)


def changes(recorded: Sequence[Decision], simulated: Sequence[Decision]) -> tuple[list[Change], int]:
    """Where the two part, aligned by what they are and what went into them; how many are the same."""
    found: list[Change] = []
    same = 0
    matcher = difflib.SequenceMatcher(None, _texts(recorded), _texts(simulated), autojunk=False)
    for word, left, left_end, right, right_end in matcher.get_opcodes():
        if word == "equal":
            same += left_end - left
            continue
        ours, theirs = recorded[left:left_end], simulated[right:right_end]
        for index in range(max(len(ours), len(theirs))):
            pair = (ours[index] if index < len(ours) else None, theirs[index] if index < len(theirs) else None)
            found.append(Change(*pair))
    return found, same


def _texts(decisions: Sequence[Decision]) -> list[str]:
    return [json.dumps([one.kind, one.name, one.value], sort_keys=True, default=repr) for one in decisions]
