"""The values that every format yields and all other folders read. They are frozen and name no engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec


class Event(msgspec.Struct, frozen=True, gc=False):
    """One recorded event. A msgspec struct: a run has up to 51,200, and a dataclass takes ten times longer to make."""

    event_id: int
    event_type: str
    """PascalCase, without the engine's prefix."""
    event_time: str | None
    """As recorded (RFC 3339), with all digits."""
    build_id: str | None
    raw: bytes
    """The whole event as canonical JSON, including fields that replaytool does not know."""


class EventHead(Protocol):
    """An event as far as most readers need it: also what an engine decodes from an event without keeping its JSON."""

    @property
    def event_id(self) -> int:
        """Counted from 1."""
        ...

    @property
    def event_type(self) -> str:
        """PascalCase, without the engine's prefix."""
        ...

    @property
    def event_time(self) -> str | None:
        """RFC 3339, as recorded."""
        ...


@dataclass(frozen=True, slots=True)
class Problem:
    """Something odd about a loaded run, which limits how far the record can be trusted."""

    code: str
    message: str
    event_id: int | None = None


@dataclass(frozen=True, slots=True)
class BuildUse:
    """What one build did in one run."""

    build_id: str
    deployment_name: str | None = None
    tasks: int = 0
    """Workflow tasks that it completed."""
    activities: int = 0
    """Activities that it ran."""
    first_seen: str | None = None
    last_seen: str | None = None


@dataclass(frozen=True, slots=True)
class Payload:
    """A recorded value as the engine keeps it: bytes and their encoding."""

    data: bytes
    metadata: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def encoding_name(self) -> str:
        """Return the name of the converter, or "" if none was recorded."""
        return self.metadata.get("encoding", b"").decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one workflow: its identity, its events, and what is odd about the record."""

    engine: str
    format: str
    events: Sequence[Event]
    workflow_type: str
    status: str
    run_id_from: str
    """Which source the run id was taken from: server, wrapper, reset event, started event, file name, none."""
    sha256: str
    """Digest of the canonical events in order. Equal content has an equal digest in every format."""
    namespace: str | None = None
    workflow_id: str | None = None
    run_id: str | None = None
    task_queue: str | None = None
    parent_workflow_id: str | None = None
    first_run_id: str | None = None
    continued_run_id: str | None = None
    """The run that this one continues (continue-as-new, retry, cron)."""
    reset_from_run_id: str | None = None
    sdk_name: str | None = None
    sdk_version: str | None = None
    first_build: str | None = None
    """The build that completed the first task."""
    last_build: str | None = None
    """The build that completed the last task."""
    problems: tuple[Problem, ...] = ()
    builds: tuple[BuildUse, ...] = ()
    """What its builds did, as the format read it. A run that comes from the store has none here."""

    @property
    def history_bytes(self) -> int:
        """Return the size of the canonical events."""
        return sum(map(len, [event.raw for event in self.events]))


@dataclass(frozen=True, slots=True)
class RunHints:
    """What is known about a run from outside its file: from a wrapper, a server, the file's name."""

    name: str = ""
    namespace: str | None = None
    workflow_id: str | None = None
    run_id: str | None = None
    is_certain: bool = False
    """Whether a server said so. A file's name is the last resort."""


def encode_history(run: Run) -> bytes:
    """Return the whole history as JSON. The events are joined as they are; none is parsed."""
    return b'{"events":[' + b",".join(event.raw for event in run.events) + b"]}"
