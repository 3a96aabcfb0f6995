"""The values that every format yields and everything else reads: engine-neutral and frozen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec


class Event(msgspec.Struct, frozen=True, gc=False):
    """One recorded event. A struct and not a dataclass: a run has up to 51,200, and this is made ten times faster."""

    event_id: int
    event_type: str
    """PascalCase, without the engine's prefix: ActivityTaskScheduled."""
    event_time: str | None
    """As recorded (RFC 3339), with all its digits."""
    build_id: str | None
    raw: bytes
    """The whole event as canonical JSON, with whatever it holds that nobody understood."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something odd about a loaded run: it is here, but trust it as far as this says."""

    code: str
    message: str
    event_id: int | None = None


@dataclass(frozen=True, slots=True)
class Payload:
    """A recorded value as the engine keeps it: bytes and what they are encoded as."""

    data: bytes
    metadata: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def encoding(self) -> str:
        """The name that a converter goes by, or "" where none was recorded."""
        return self.metadata.get("encoding", b"").decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one workflow: what identifies it, what happened, and what is odd about the record."""

    engine: str
    format: str
    events: Sequence[Event]
    workflow_type: str
    status: str
    run_id_from: str
    """Which source the run id was taken from: server, wrapper, reset event, started event, file name, none."""
    sha256: str
    """Of the canonical events, in order: equal content has an equal digest, whatever the file's spelling."""
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
    problems: tuple[Problem, ...] = ()

    @property
    def history_bytes(self) -> int:
        """The size of the canonical events."""
        return sum(map(len, [event.raw for event in self.events]))


@dataclass(frozen=True, slots=True)
class Hints:
    """What is known about a run from outside its file: a wrapper, a server, the file's name."""

    name: str = ""
    namespace: str | None = None
    workflow_id: str | None = None
    run_id: str | None = None
    is_certain: bool = False
    """Whether a server said so; a file's name is only the last resort."""
