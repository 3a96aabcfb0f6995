"""One run on its way through its record: the code is told what comes next, and its answer is laid beside the record."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from temporalio.bridge.proto.workflow_activation import WorkflowActivation

from replaytool.engines.temporal.core.activations import Replay
from replaytool.engines.temporal.core.skip_mismatch import Parting
from replaytool.engines.temporal.core.state_machines.base import Fault
from replaytool.engines.temporal.sdk.replayer_errors import Says
from replaytool.engines.temporal.sdk.workflow_instance import Answer, Driven

_NAMED = re.compile(r"HistoryEvent\(id: (\d+)")
_PREFIXES = {"nondeterminism": "[TMPRL1100] Nondeterminism error: ", "fatal": "Fatal error in workflow machines: "}


@dataclass(frozen=True, slots=True)
class Told:
    """One activation and what the code said to it."""

    activation: WorkflowActivation
    answer: Answer
    fault: Fault | None = None
    """What went wrong when the answer was laid beside the record."""


class Course:
    """One run on its way: it can be stopped at any activation, and gone on with past a mismatch and past the end."""

    def __init__(self, replay: Replay, driven: Driven, *, keep: bool = False) -> None:
        self._keeps = keep
        self.replay = replay
        self.driven = driven
        self.says = Says("ok")
        self.is_plain = False
        """Passed, with every task of the code's recorded and every check made."""
        self.before: Callable[[WorkflowActivation], None] | None = None
        """Called with each activation before the code is told of it."""
        self.inside: Callable[[], AbstractContextManager[None]] = nullcontext
        """Where to stay from the first activation on, instead of going in and out for each."""
        self.is_brief = False
        """Whether activations, but for the first, are only looked at, and need not be messages."""

    def steps(self) -> Generator[Told]:
        """Drive the run, activation by activation; the instance is torn down when this ends or is closed."""
        try:
            fault = self.replay.begin()
            if fault is not None:
                self.says = Says("history", _PREFIXES[fault.kind] + fault.message, self.replay.last_id + 1)
                return
            yield from self._told()
        finally:
            if not self._keeps:
                self.driven.evict()

    def _told(self) -> Iterator[Told]:
        while (activation := self.replay.next_activation()) is not None:
            if self.before is not None:
                self.before(activation)
            answer = self.driven.activate(activation)
            self.replay.teller.is_brief = self.is_brief
            fault = None if answer.failure is not None else self.replay.complete(answer.commands)
            if answer.failure is not None or fault is not None:
                self.says = self._said(answer, fault)
                yield Told(activation, answer, fault)
                return
            if self.replay.astray and self.says.word == "ok":
                self.says = self._parted()
            yield Told(activation, answer)
        line = self.replay.line
        self.is_plain = (
            not self.partings and not line.has_leftovers and not self.replay.flags.left_out and self.replay.is_told
        )

    @property
    def partings(self) -> list[Parting]:
        """Where the code left the record, if it was to go on; the first one is what would be told of the run."""
        return self.replay.astray.partings if self.replay.astray else []

    def _parted(self) -> Says:
        told = next((one for one in self.partings if one.is_told), None)
        return Says("ok") if told is None else _says_of(told.fault, told.event_id)

    def _said(self, answer: Answer, fault: Fault | None) -> Says:
        """Past the record's end the replayer hides whatever goes wrong, once it has told the code anything."""
        if not self.replay.replaying:
            return Says("ok")
        return Says("code", answer.failure or "") if fault is None else _says_of(fault, self.replay.last_id + 1)

    def let_go(self) -> None:
        """Nothing more is wanted of it: a replay and its line hold each other, and would stay for long."""
        del self.replay.line

    def go_on(self, tell: Callable[[Replay], None]) -> Told:
        """Past the end of the record: tell the code something more, and take its answer."""
        self.replay.replaying = False
        tell(self.replay)
        activation = self.replay.next_activation()
        if activation is None:
            raise AssertionError("nothing was told")
        answer = self.driven.activate(activation)
        return Told(activation, answer, self.replay.line.take(answer.commands))


def _says_of(fault: Fault, event_id: int) -> Says:
    named = _NAMED.search(fault.message)
    text = _PREFIXES[fault.kind] + fault.message
    if fault.kind == "nondeterminism":
        return Says("nondeterminism", text, int(named[1]) if named else event_id)
    return Says("history", text)
