"""The recorded results of a run, to answer commands of other code.

A command gets the result that was recorded for the same name and input. Else it gets the next result of the same
name, else none. A result is used once.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from replaytool.engines.temporal.core.history_batches import HistoryBatches
from replaytool.engines.temporal.core.state_machines.local_activity import (
    LOCAL_ACTIVITY,
    LocalActivityResolution,
    read_local_activity_marker,
)
from replaytool.engines.temporal.events import event_types as types
from replaytool.engines.temporal.events.decoding import RECORDS
from replaytool.engines.temporal.events.event_structs import EventPart, MarkerRecorded, ScheduledReference
from replaytool.engines.temporal.events.labels import decode_attributes
from replaytool.engines.temporal.events.timestamps import parse_nanoseconds
from replaytool.engines.temporal.replay.command_kinds import (
    BY_EVENT,
    BY_KIND,
    read_produced_fields,
    read_recorded_fields,
)
from replaytool.model.history import Event, EventHead, Payload
from replaytool.replay.compare.drift import Decode

Match = Literal["exact", "assumed"]


@dataclass(frozen=True, slots=True)
class AnswerKeyFields:
    """The fields of a command that identify its recorded result."""

    name: tuple[str, ...]
    input: tuple[str, ...] = ()


NAMINGS: dict[str, AnswerKeyFields] = {
    "activity": AnswerKeyFields(("activityType",), ("input",)),
    "child_workflow": AnswerKeyFields(("workflowType",), ("input",)),
    "signal_workflow": AnswerKeyFields(("signalName",), ("input",)),
    "cancel_workflow": AnswerKeyFields(("workflowExecution",)),
    "nexus_operation": AnswerKeyFields(("endpoint", "service", "operation"), ("input",)),
    # Not by timer ID, which is a sequence number: it shifts when the new code starts one timer more.
    "timer": AnswerKeyFields(("startToFireTimeout",)),
    # The marker of a local activity holds no input, so its sequence number stands for it.
    "local_activity": AnswerKeyFields(("activityType",), ("seq",)),
}
_FOLLOWS = frozenset(
    name
    for name, record in RECORDS.items()
    if "of" in record.__struct_fields__ and name not in types.COMMAND_EVENTS
    # Workflow tasks refer to a scheduled event too, but no command waits for them.
) - {types.TASK_STARTED, types.TASK_COMPLETED, types.TASK_FAILED, types.TASK_TIMED_OUT}


@dataclass(frozen=True, slots=True)
class FollowUpEvent:
    """An event that followed a command, and how long after it."""

    event_type: str
    said: EventPart
    delay: int
    """In nanoseconds."""
    at: int


@dataclass(slots=True)
class RecordedResult:
    """A command, and all events about it."""

    kind: str
    event_id: int
    at: int
    follows: list[FollowUpEvent] = field(default_factory=list)
    keys: tuple[str, str] = ("", "")
    is_taken: bool = False
    is_suspect: bool = False
    """Whether a bad build gave the result."""
    marker: LocalActivityResolution | None = None
    """The marker of a local activity: it is the only event of one."""


class RecordedResults:
    """All results recorded after a point, and those that were pending there."""

    def __init__(self, decode: Decode, bad_builds: Iterable[str] = ()) -> None:
        self._decode = decode
        self._bad = tuple(f'"buildId":{json.dumps(build)}'.encode() for build in bad_builds)
        self._exact: defaultdict[tuple[str, str, str], list[RecordedResult]] = defaultdict(list)
        self._named: defaultdict[tuple[str, str], list[RecordedResult]] = defaultdict(list)
        self.open: dict[int, RecordedResult] = {}
        """Commands from before the point that were still open there, by the event that records the command."""

    def add_run(self, events: Sequence[Event], since: int = 0) -> None:
        """Add a run: its commands from event `since` on, and its results from there on."""
        opened: dict[int, RecordedResult] = {}
        tape = HistoryBatches(events)
        for place, head in enumerate(tape.heads):
            kind = head.event_type
            if kind in _OPENING:
                is_kept = head.event_id < since
                opened[head.event_id] = (
                    _open_before_point(head) if is_kept else self._open_result(tape.recorded_event(place))
                )
            elif kind in _FOLLOWS and head.event_id >= since:
                found = self._add_follow_up(opened, head, tape.read_event(place).attributes, since)
                # Of an activity's events only Started names a build: that of the worker that executed it.
                if found is not None and self._bad and kind == types.ACTIVITY_STARTED:
                    raw = tape.recorded_event(place).raw
                    found.is_suspect = any(build in raw for build in self._bad)
            elif kind == types.MARKER and head.event_id >= since:
                self._add_local_activity(head, tape.read_event(place).attributes)

    def _open_result(self, event: Event) -> RecordedResult:
        kind = BY_EVENT[event.event_type].kind
        found = RecordedResult(kind, event.event_id, parse_nanoseconds(event.event_time) or 0)
        found.keys = self.build_keys(kind, read_recorded_fields(BY_KIND[kind], decode_attributes(event)))
        self._index_result(found)
        return found

    def _index_result(self, found: RecordedResult) -> None:
        self._exact[found.kind, *found.keys].append(found)
        self._named[found.kind, found.keys[0]].append(found)

    def _add_follow_up(
        self, opened: dict[int, RecordedResult], head: EventHead, said: ScheduledReference | None, since: int
    ) -> RecordedResult | None:
        found = opened.get(said.of) if said is not None else None
        if found is None or said is None:
            return None
        if found.event_id < since:
            self.open[found.event_id] = found
        at = parse_nanoseconds(head.event_time) or found.at
        # Never below 0: hosts of the server disagree about the time, so a later event can have an earlier one.
        found.follows.append(FollowUpEvent(head.event_type, said, max(at - found.at, 0), at))
        return found

    def _add_local_activity(self, head: EventHead, said: MarkerRecorded | None) -> None:
        known = read_local_activity_marker(said) if said is not None and said.marker_name == LOCAL_ACTIVITY else None
        if known is not None:
            found = RecordedResult(
                "local_activity", head.event_id, parse_nanoseconds(head.event_time) or 0, marker=known
            )
            found.keys = self.build_keys(
                "local_activity", {"activityType": known.data.activity_type, "seq": known.data.seq}
            )
            self._index_result(found)

    def build_keys(self, kind: str, fields: dict[str, object]) -> tuple[str, str]:
        """Return the name and the input of a command as text, to compare commands."""
        naming = NAMINGS[kind]
        return self._encode_fields(fields, naming.name), self._encode_fields(fields, naming.input)

    def _encode_fields(self, fields: dict[str, object], names: Iterable[str]) -> str:
        return json.dumps([self._decode_field(fields.get(name)) for name in names], sort_keys=True, default=repr)

    def _decode_field(self, value: object) -> object:
        if isinstance(value, list) and value and isinstance(value[0], Payload):
            return self._decode(value)
        return self._decode([value]) if isinstance(value, Payload) else value

    def keys_of_command(self, kind: str, message: object) -> tuple[str, str]:
        """Return the name and the input of a command that the code has just issued."""
        return self.build_keys(kind, read_produced_fields(BY_KIND[kind], message))

    def take_result(self, kind: str, keys: tuple[str, str]) -> tuple[RecordedResult, Match] | None:
        """Return the result for a command, and mark it as used."""
        found = _first_unused(self._exact.get((kind, *keys), ()))
        if found is not None:
            match: Match = "assumed" if kind == "local_activity" else "exact"  # their input is not recorded
        else:
            found, match = _first_unused(self._named.get((kind, keys[0]), ())), "assumed"
        if found is None:
            return None
        found.is_taken = True
        return found, match


_OPENING = frozenset(BY_KIND[kind].event for kind in NAMINGS if BY_KIND[kind].event)


def _first_unused(found: Iterable[RecordedResult]) -> RecordedResult | None:
    return next((one for one in found if not one.is_taken), None)


def _open_before_point(event: EventHead) -> RecordedResult:
    """Return a result whose command is before the point. It needs no key: the code does not issue it again."""
    return RecordedResult(BY_EVENT[event.event_type].kind, event.event_id, parse_nanoseconds(event.event_time) or 0)
