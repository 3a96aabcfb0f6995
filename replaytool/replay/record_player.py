"""The loop that engines share: answer what the code asks for from the record, and notice where the two part.

An engine patches its library so that each step asks here before its body runs. It stops the code at `BEYOND` and at
`MISMATCH`: no real step may run. The first mismatch is kept here, so that code which swallows the engine's exception
still gets its verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final, Literal

from replaytool.model.recorded_step import ABSENT, RecordedEnd, RecordedStep
from replaytool.model.verdict import CallSite, Command, ExpectedEvent, Failure, Verdict
from replaytool.replay.compare.drift import DEFAULT_POLICY, Level, find_drift
from replaytool.replay.compare.mismatch import MatchedPairs, Mismatch


class NoAnswer(Enum):
    """Why the record does not answer."""

    BEYOND = "beyond"
    """The record ends here: an open run would go on with this step."""
    MISMATCH = "mismatch"
    """The record holds something else here."""


BEYOND: Final = NoAnswer.BEYOND
MISMATCH: Final = NoAnswer.MISMATCH
Answer = RecordedStep | Literal[NoAnswer.BEYOND, NoAnswer.MISMATCH]


@dataclass
class RecordPlayer:
    """One run's record, played to the code of one replay."""

    steps: Sequence[RecordedStep]
    """In the order in which the code asked for them."""
    end: RecordedEnd | None
    """None: the run is open."""
    by_key: bool = False
    """Whether steps are matched by their id, as where code asks for several at once; else in order."""
    policy: Mapping[str, Level] = field(default_factory=lambda: dict(DEFAULT_POLICY))
    on_ask: Callable[[RecordedStep | None], None] | None = None
    """Called before each answer with the step that is about to be answered, for engines that record states."""

    def __post_init__(self) -> None:
        self._pairs = MatchedPairs()
        self._mismatch: Mismatch | None = None
        self._surplus: Command | None = None
        self._next: list[Command] = []
        self._failure: Failure | None = None
        self._left: dict[str, RecordedStep] = {}
        for step in self.steps:
            assert step.step_id not in self._left, f"two steps have the id {step.step_id}"
            self._left[step.step_id] = step

    @property
    def has_mismatch(self) -> bool:
        """Whether code and record have parted."""
        return self._mismatch is not None or self._surplus is not None

    def ask(self, kind: str, name: str, key: str, value: object = ABSENT, call_site: CallSite | None = None) -> Answer:
        """Return the recorded step that answers this call, or why there is none."""
        command = Command(kind, name, _fields(value), call_site)
        if self.has_mismatch:
            return MISMATCH
        step = self._step_for(key)
        if self.on_ask is not None:
            self.on_ask(step)
        if step is None:
            return self._go_beyond(command)
        differing = tuple(
            what
            for what, recorded, produced in (
                ("kind", step.kind, kind),
                ("name", step.name, name),
                ("id", step.step_id, key if self.by_key else step.step_id),
            )
            if recorded != produced
        )
        if differing:
            self._mismatch = Mismatch(_expected(step), command, differing)
            return MISMATCH
        del self._left[step.step_id]
        self._pairs.add_pair(_expected(step, with_input=value is not ABSENT), command)
        return BEYOND if step.is_open else step

    def _step_for(self, key: str) -> RecordedStep | None:
        if self.by_key:
            return self._left.get(key)
        return next(iter(self._left.values()), None)

    def _go_beyond(self, command: Command) -> Answer:
        """A closed run has no room for another step; an open one would ask for it next."""
        if self.end is None:
            self._next.append(command)
            return BEYOND
        if self._left:
            self._mismatch = Mismatch(_expected(next(iter(self._left.values()))), command)
        else:
            self._surplus = command
        return MISMATCH

    def finish(self, result: object = ABSENT, call_site: CallSite | None = None) -> None:
        """Note that the code returned."""
        self._finish(Command("complete", "", {"result": result} if result is not ABSENT else {}, call_site))

    def fail(self, error: BaseException, call_site: CallSite | None = None, traceback: str = "") -> None:
        """Note that the code raised; a run that is recorded as failed may do so."""
        if self.end is not None and self.end.kind == "fail":
            self._finish(Command("fail", "", {"failure": str(error)}, call_site))
        elif not self.has_mismatch:
            event_id = next((one.event_id for one in self._left.values()), self._last_event_id() + 1)
            self._failure = Failure(event_id, type(error).__name__, str(error), call_site, traceback)

    def _finish(self, command: Command) -> None:
        if self.has_mismatch:
            return
        if self._left:
            self._mismatch = Mismatch(_expected(next(iter(self._left.values()))), command)
        elif self.end is None:
            self._next.append(command)
        elif self.end.kind != command.kind:
            self._mismatch = Mismatch(_expected_end(self.end), command, ("kind",))
        else:
            self._pairs.add_pair(_expected_end(self.end, only=command.fields), command)

    def build_verdict(self, engine: str) -> Verdict:
        """Return what this replay says about the run."""
        made = Verdict("ok", engine=engine, next=tuple(self._next))
        if self._surplus is not None and self.end is not None:
            self._mismatch = Mismatch(_expected_end(self.end), self._surplus)
        if self._mismatch is not None:
            return replace(made, verdict="diverged", divergence=self._pairs.make_divergence(self._mismatch), next=())
        if self._failure is not None:
            failed = f"{self._failure.type}: {self._failure.message}"
            return replace(made, verdict="failed", reason=failed, failure=self._failure)
        drift = find_drift(self._pairs.matched, lambda payloads: [one.data for one in payloads], self.policy)
        return replace(made, verdict="drift" if drift else "ok", drift=drift)

    def _last_event_id(self) -> int:
        ids = [one.closed_event_id or one.event_id for one in self.steps]
        return max([*ids, self.end.event_id if self.end is not None else 0])


def _fields(value: object) -> dict[str, object]:
    return {} if value is ABSENT else {"input": value}


def _expected(step: RecordedStep, *, with_input: bool = True) -> ExpectedEvent:
    """The recorded side; an input that the code's side cannot show is left out of both."""
    fields = _fields(step.input) if with_input else {}
    return ExpectedEvent(step.event_id, "StepRecorded", step.kind, step.name, fields)


def _expected_end(end: RecordedEnd, only: Mapping[str, object] | None = None) -> ExpectedEvent:
    fields = {
        name: value
        for name, value in (("result", end.result), ("failure", end.failure))
        if value is not ABSENT and (only is None or name in only)
    }
    return ExpectedEvent(end.event_id, "RunEnded", end.kind, "", fields)
