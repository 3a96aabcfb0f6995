"""What is said between a walk and the child that replays one code for it: numbered questions, and replies to them."""

from __future__ import annotations

import msgspec

from replaytool.model.debug_state import Seen, Trouble
from replaytool.model.history import Run
from replaytool.model.verdict import CallSite


class Open(msgspec.Struct, tag=True):
    """Replay this run and keep its states; its history follows as bytes."""

    run: Run
    builds: dict[int, str]
    """Who completed each task: whoever loaded the history knows more spellings of that than a replay needs."""


class At(msgspec.Struct, tag=True):
    """The Moment just after an event."""

    event_id: int


class Evaluate(msgspec.Struct, tag=True):
    """The expression at every step."""

    text: str


class LineOf(msgspec.Struct, tag=True):
    """The line that made an expression what it is after a task."""

    text: str
    task_event_id: int
    truth: bool


class States(msgspec.Struct, tag=True):
    """A digest of the state after each completed task."""


class ReadFile(msgspec.Struct, tag=True):
    """The text of a file of the code."""

    file: str


class Cancel(msgspec.Struct, tag=True):
    """Give up the questions up to this one."""

    number: int


Question = Open | At | Evaluate | LineOf | States | ReadFile | Cancel


class Asking(msgspec.Struct):
    """A question with its number."""

    number: int
    what: Question


class Reply(msgspec.Struct, omit_defaults=True):
    """How far a question is, or its answer, or why there is none."""

    number: int
    events: int | None = None
    answer: msgspec.Raw = msgspec.Raw()
    trouble: Trouble | None = None


class Evaluated(msgspec.Struct):
    """The answer to `Evaluate`."""

    steps: list[Seen]
    trouble: Trouble | None
    """What ended the replay before the record did."""


class LineFound(msgspec.Struct):
    """The answer to `LineOf`."""

    call_site: CallSite | None
    ran_at: int | None


class Digests(msgspec.Struct):
    """The answer to `States`: completed tasks and what stands for their states."""

    tasks: list[tuple[int, int]]
