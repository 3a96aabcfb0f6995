"""What the record knows of the world: how each thing that the code asked for ended, ready to be given once more.

A command of other code finds its answer here: one recorded under the same name with the same input, or the next one
under the same name, or none. An answer is given once, and nothing is ever made up.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from replaytool.engines.temporal.core.state_machines.local_activity import LOCAL_ACTIVITY, resolution_of
from replaytool.engines.temporal.core.task_batches import Tape
from replaytool.engines.temporal.events.decoding import RECORDS
from replaytool.engines.temporal.events.event_types import COMMAND_EVENTS
from replaytool.engines.temporal.events.labels import attributes
from replaytool.engines.temporal.events.timestamps import nanoseconds
from replaytool.engines.temporal.replay.command_kinds import BY_EVENT, BY_KIND, produced_fields, recorded_fields
from replaytool.model.history import Event, Payload
from replaytool.replay.compare.drift import Decode

Match = Literal["exact", "assumed"]


@dataclass(frozen=True, slots=True)
class Naming:
    """By which fields of a command its answers are known."""

    name: tuple[str, ...]
    input: tuple[str, ...] = ()


NAMINGS: dict[str, Naming] = {
    "activity": Naming(("activityType",), ("input",)),
    "child_workflow": Naming(("workflowType",), ("input",)),
    "signal_workflow": Naming(("signalName",), ("input",)),
    "cancel_workflow": Naming(("workflowExecution",)),
    "nexus_operation": Naming(("endpoint", "service", "operation"), ("input",)),
    "timer": Naming(("startToFireTimeout",)),
    "local_activity": Naming(("activityType",), ("seq",)),
}
_FOLLOWS = frozenset(
    name for name, record in RECORDS.items() if "of" in record.__struct_fields__ and name not in COMMAND_EVENTS
) - {"WorkflowTaskStarted", "WorkflowTaskCompleted", "WorkflowTaskFailed", "WorkflowTaskTimedOut"}


@dataclass(frozen=True, slots=True)
class Follow:
    """One event that followed a command, and how long after it."""

    event_type: str
    said: Any
    delay: int
    """In nanoseconds."""
    at: int


@dataclass(slots=True)
class Recorded:
    """Something that the code asked for, and all that became of it."""

    kind: str
    event_id: int
    at: int
    follows: list[Follow] = field(default_factory=list)
    keys: tuple[str, str] = ("", "")
    is_taken: bool = False
    is_suspect: bool = False
    """Whether a bad build gave the answer."""
    marker: Any = None
    """Of a local activity, whose end is recorded and nothing else."""


class Supply:
    """Everything that was recorded behind a point, and what was under way there."""

    def __init__(self, decode: Decode, bad_builds: Iterable[str] = ()) -> None:
        self._decode = decode
        self._bad = tuple(f'"buildId":{json.dumps(build)}'.encode() for build in bad_builds)
        self._exact: defaultdict[tuple[str, str, str], list[Recorded]] = defaultdict(list)
        self._named: defaultdict[tuple[str, str], list[Recorded]] = defaultdict(list)
        self.open: dict[int, Recorded] = {}
        """What was asked for before the point and not over there, by the event that asked."""

    def add(self, events: Sequence[Event], since: int = 0) -> None:
        """Take in one run: what it asked for from this event on, and what ended from there on."""
        opened: dict[int, Recorded] = {}
        tape = Tape(events)
        for place, head in enumerate(tape.heads):
            kind = head.event_type
            if kind in _OPENING:
                is_kept = head.event_id < since
                opened[head.event_id] = _under_way(head) if is_kept else self._opened(tape.event(place))
            elif kind in _FOLLOWS and head.event_id >= since:
                found = self._followed(opened, head, tape.record(place).attributes, since)
                if found is not None and self._bad and kind == "ActivityTaskStarted":
                    raw = tape.event(place).raw
                    found.is_suspect = any(build in raw for build in self._bad)
            elif kind == "MarkerRecorded" and head.event_id >= since:
                self._marked(head, tape.record(place).attributes)

    def _opened(self, event: Event) -> Recorded:
        kind = BY_EVENT[event.event_type].kind
        found = Recorded(kind, event.event_id, nanoseconds(event.event_time) or 0)
        found.keys = self.keys(kind, recorded_fields(BY_KIND[kind], attributes(msgspec.json.decode(event.raw))))
        self._put(found)
        return found

    def _put(self, found: Recorded) -> None:
        self._exact[found.kind, *found.keys].append(found)
        self._named[found.kind, found.keys[0]].append(found)

    def _followed(self, opened: dict[int, Recorded], head: Any, said: Any, since: int) -> Recorded | None:
        found = opened.get(said.of) if said is not None else None
        if found is None:
            return None
        if found.event_id < since:
            self.open[found.event_id] = found
        at = nanoseconds(head.event_time) or found.at
        found.follows.append(Follow(head.event_type, said, max(at - found.at, 0), at))
        return found

    def _marked(self, head: Any, said: Any) -> None:
        known = resolution_of(said) if said is not None and said.marker_name == LOCAL_ACTIVITY else None
        if known is not None:
            found = Recorded("local_activity", head.event_id, nanoseconds(head.event_time) or 0, marker=known)
            found.keys = self.keys("local_activity", {"activityType": known.data.activity_type, "seq": known.data.seq})
            self._put(found)

    def keys(self, kind: str, fields: dict[str, Any]) -> tuple[str, str]:
        """What a command is called, and what went into it, so that equal ones have equal texts."""
        naming = NAMINGS[kind]
        return self._text(fields, naming.name), self._text(fields, naming.input)

    def _text(self, fields: dict[str, Any], names: Iterable[str]) -> str:
        return json.dumps([self._plain(fields.get(name)) for name in names], sort_keys=True, default=repr)

    def _plain(self, value: Any) -> Any:
        if isinstance(value, list) and value and isinstance(value[0], Payload):
            return self._decode(value)
        return self._decode([value]) if isinstance(value, Payload) else value

    def keys_of(self, kind: str, message: Any) -> tuple[str, str]:
        """The same of a command that the code has just made."""
        return self.keys(kind, produced_fields(BY_KIND[kind], message))

    def take(self, kind: str, keys: tuple[str, str]) -> tuple[Recorded, Match] | None:
        """The answer to a command, which nobody else gets any more."""
        found = _first(self._exact.get((kind, *keys), ()))
        if found is not None:
            match: Match = "assumed" if kind == "local_activity" else "exact"  # their input is not recorded
        else:
            found, match = _first(self._named.get((kind, keys[0]), ())), "assumed"
        if found is None:
            return None
        found.is_taken = True
        return found, match

    def left(self) -> Iterator[Recorded]:
        """What nobody asked for again."""
        return (one for listed in self._named.values() for one in listed if not one.is_taken)


_OPENING = frozenset(BY_KIND[kind].event for kind in NAMINGS if BY_KIND[kind].event)


def _first(found: Iterable[Recorded]) -> Recorded | None:
    return next((one for one in found if not one.is_taken), None)


def _under_way(event: Any) -> Recorded:
    """What was asked for before the point: its name does not matter, for nobody asks for it again."""
    return Recorded(BY_EVENT[event.event_type].kind, event.event_id, nanoseconds(event.event_time) or 0)
