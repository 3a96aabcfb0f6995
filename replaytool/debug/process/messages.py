"""The messages between the debugger and its child process: numbered questions and their replies."""

from __future__ import annotations

import msgspec

from replaytool.model.debug_state import ExpressionValue, Trouble
from replaytool.model.history import Run
from replaytool.model.verdict import CallSite


class OpenRun(msgspec.Struct, tag=True):
    """Replay this run and keep its states; its history follows as bytes."""

    run: Run
    builds: dict[int, str]
    """By task event: the build that completed it. The loader knows more encodings of it than a replay needs."""


class StateAt(msgspec.Struct, tag=True):
    """The state just after an event."""

    event_id: int


class EvaluateExpression(msgspec.Struct, tag=True):
    """The expression's value at every step."""

    text: str


class FindLine(msgspec.Struct, tag=True):
    """The line that gave an expression its value after a task."""

    text: str
    task_event_id: int
    truth: bool


class DigestStates(msgspec.Struct, tag=True):
    """A digest of the state after each completed task."""


class ReadFile(msgspec.Struct, tag=True):
    """The text of a file of the code."""

    file: str


class CancelQuestions(msgspec.Struct, tag=True):
    """Cancel the questions up to this one."""

    number: int


Question = OpenRun | StateAt | EvaluateExpression | FindLine | DigestStates | ReadFile | CancelQuestions


class NumberedQuestion(msgspec.Struct):
    """A question with its number."""

    number: int
    what: Question


class DebugReply(msgspec.Struct, omit_defaults=True):
    """The progress of a question, its answer, or why there is none."""

    number: int
    events: int | None = None
    answer: msgspec.Raw = msgspec.Raw()
    trouble: Trouble | None = None


class EvaluatedSteps(msgspec.Struct):
    """The answer to `EvaluateExpression`."""

    steps: list[ExpressionValue]
    trouble: Trouble | None
    """What ended the replay before the history ends."""


class LineFound(msgspec.Struct):
    """The answer to `FindLine`."""

    call_site: CallSite | None
    ran_at: int | None


class StateDigests(msgspec.Struct):
    """The answer to `DigestStates`: the completed tasks with a digest of their states."""

    tasks: list[tuple[int, int]]
