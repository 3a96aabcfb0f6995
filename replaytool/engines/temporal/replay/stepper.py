"""Drive one run through its record: send each activation to the code, then match the commands it answers with."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from temporalio.bridge.proto.workflow_activation import WorkflowActivation

from replaytool.engines.temporal.core.skip_mismatch import SkippedMismatch
from replaytool.engines.temporal.core.state_machines.base import Fault
from replaytool.engines.temporal.core.workflow_machines import WorkflowMachines
from replaytool.engines.temporal.sdk.replayer_errors import ReplayerOutcome
from replaytool.engines.temporal.sdk.workflow_instance import ActivationAnswer, InstanceDriver

_NAMED = re.compile(r"HistoryEvent\(id: (\d+)")
_PREFIXES = {"nondeterminism": "[TMPRL1100] Nondeterminism error: ", "fatal": "Fatal error in workflow machines: "}


@dataclass(frozen=True, slots=True)
class ActivationStep:
    """One activation and the code's answer."""

    activation: WorkflowActivation
    answer: ActivationAnswer
    fault: Fault | None = None
    """Why the commands do not match the record."""


class Stepper:
    """Steps one run; the caller may stop at any activation, and go on past a mismatch or past the end."""

    def __init__(self, machines: WorkflowMachines, driver: InstanceDriver, *, keep: bool = False) -> None:
        self._keeps = keep
        self.machines = machines
        self.driver = driver
        self.outcome = ReplayerOutcome("ok")
        self.is_clean = False
        """Whether the run passed, no command is left over, and no check was left out for a missing SDK flag."""
        self.before_activation: Callable[[WorkflowActivation], None] | None = None
        """Called with each activation before the code gets it."""
        self.stay_inside: Callable[[], AbstractContextManager[None]] = nullcontext
        """Opened after the first activation and held, instead of once for each activation."""
        self.is_brief = False
        """Whether activations after the first are built as plain objects, which is faster than protos."""

    def run_steps(self) -> Generator[ActivationStep]:
        """Yield each step; the instance is torn down when the generator ends or is closed, unless it is kept."""
        try:
            fault = self.machines.apply_first_batch()
            if fault is not None:
                self.outcome = ReplayerOutcome(
                    "history", _PREFIXES[fault.kind] + fault.message, self.machines.last_id + 1
                )
                return
            yield from self._run_activations()
        finally:
            if not self._keeps:
                self.driver.evict()

    def _run_activations(self) -> Iterator[ActivationStep]:
        while (activation := self.machines.next_activation()) is not None:
            if self.before_activation is not None:
                self.before_activation(activation)
            answer = self.driver.activate(activation)
            self.machines.builder.is_brief = self.is_brief
            fault = None if answer.failure is not None else self.machines.complete_activation(answer.commands)
            if answer.failure is not None or fault is not None:
                self.outcome = self._failed_step_outcome(answer, fault)
                yield ActivationStep(activation, answer, fault)
                return
            if self.machines.skipper and self.outcome.word == "ok":
                self.outcome = self._first_skipped_outcome()
            yield ActivationStep(activation, answer)
        line = self.machines.queue
        self.is_clean = (
            not self.skipped_mismatches
            and not line.has_leftovers
            and not self.machines.flags.left_out
            and self.machines.is_fully_replayed
        )

    @property
    def skipped_mismatches(self) -> list[SkippedMismatch]:
        """The mismatches so far, if the run goes on past them."""
        return self.machines.skipper.skipped if self.machines.skipper else []

    def _first_skipped_outcome(self) -> ReplayerOutcome:
        told = next((one for one in self.skipped_mismatches if one.is_told), None)
        return ReplayerOutcome("ok") if told is None else _fault_outcome(told.fault, told.event_id)

    def _failed_step_outcome(self, answer: ActivationAnswer, fault: Fault | None) -> ReplayerOutcome:
        """Return the outcome of a failed step: past the end of the record, the SDK's replayer ignores every failure."""
        if not self.machines.replaying:
            return ReplayerOutcome("ok")
        if fault is None:
            return ReplayerOutcome("code", answer.failure or "")
        return _fault_outcome(fault, self.machines.last_id + 1)

    def release_machines(self) -> None:
        """Break the reference cycle of machines and queue, so that they are freed at once."""
        del self.machines.queue

    def step_past_end(self, tell: Callable[[WorkflowMachines], None]) -> ActivationStep:
        """Send one more activation past the end of the record; `tell` queues its jobs."""
        self.machines.replaying = False
        tell(self.machines)
        activation = self.machines.next_activation()
        assert activation is not None, "`tell` queues at least one job"
        answer = self.driver.activate(activation)
        return ActivationStep(activation, answer, self.machines.queue.take_commands(answer.commands))


def _fault_outcome(fault: Fault, event_id: int) -> ReplayerOutcome:
    named = _NAMED.search(fault.message)
    text = _PREFIXES[fault.kind] + fault.message
    if fault.kind == "nondeterminism":
        return ReplayerOutcome("nondeterminism", text, int(named[1]) if named else event_id)
    return ReplayerOutcome("history", text)
