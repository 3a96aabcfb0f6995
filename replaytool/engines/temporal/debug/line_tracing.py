"""Find the line that changes the value of an expression: run a task again and evaluate after each line.

A line that calls a function has not ended until the call returns. So a change is attributed to the line that ran
last, and not to the next one.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import TYPE_CHECKING

from replaytool.engines.temporal.debug.attribute_writes import AttributeWatcher
from replaytool.engines.temporal.debug.coroutine_stacks import frame_variables, main_coroutine_variables
from replaytool.engines.temporal.sdk import recorder
from replaytool.model.debug_state import StateValue
from replaytool.model.verdict import CallSite
from replaytool.replay import call_site as callsite
from replaytool.replay.inspect_state.expressions import Expression, ExpressionScope, TaskFacts

if TYPE_CHECKING:
    from _typeshed import TraceFunction

_MOST = 20_000
"""The most lines of one task that are evaluated; later changes in the task are not found."""


class ExpressionTracer:
    """Evaluates one expression while a task runs."""

    def __init__(
        self,
        expression: Expression,
        tape: recorder.RecordedTape,
        task: TaskFacts,
        chain: tuple[str, ...],
        *,
        truth: bool,
    ) -> None:
        self.changed_at: CallSite | None = None
        """The line after which the expression got its present value."""
        self._expression, self._tape, self._task, self._truth = expression, tape, task, truth
        self._last: tuple[StateValue | None, bool] = (None, False)
        self._at: CallSite | None = None
        self._left = _MOST
        self._before: TraceFunction | None = None
        self._touching = AttributeWatcher(chain, self._record_write)

    def start_tracing(self) -> None:
        """Evaluate once, and then after each line."""
        instance = self._tape.instance
        if instance is not None and instance._object is not None:
            self._last = self._evaluate_now(instance._object, main_coroutine_variables(instance))
            self._touching.find_owner(instance._object)
        # A coverage tool may trace already, and gets its tracer back.
        self._before = sys.gettrace()
        sys.settrace(self._trace_call)

    def stop_tracing(self) -> None:
        """Stop tracing, and evaluate a last time."""
        sys.settrace(self._before)
        self._touching.restore_classes()
        instance = self._tape.instance
        if instance is not None and instance._object is not None:
            self._compare_value(self._evaluate_now(instance._object, main_coroutine_variables(instance)))

    def _record_write(self, site: CallSite | None) -> None:
        self.changed_at = site

    def _trace_call(self, frame: FrameType, event: str, arg: object) -> TraceFunction | None:
        # None turns tracing off for this frame: asyncio and the SDK run at full speed.
        if not callsite.is_user_code(frame.f_code) or self._left <= 0:
            return None
        self._check_frame(frame)
        self._at = callsite.site_of_stack(frame, recorder.LOOP)
        return self._trace_line

    def _trace_line(self, frame: FrameType, event: str, arg: object) -> TraceFunction | None:
        self._left -= 1
        if self._left <= 0:
            return None
        self._check_frame(frame)
        self._at = callsite.site_of_stack(frame.f_back if event == "return" else frame, recorder.LOOP)
        return self._trace_line

    def _check_frame(self, frame: FrameType) -> None:
        workflow = self._find_workflow(frame)
        if workflow is not None:
            self._compare_value(self._evaluate_now(workflow, _variables_of_stack(frame)))

    def _find_workflow(self, frame: FrameType) -> object:
        """Return the workflow. During its `__init__`, only that frame has a reference to it."""
        instance = self._tape.instance
        if instance is None or instance._object is not None:
            return instance._object if instance is not None else None
        mine = frame.f_locals.get("self")
        return mine if type(mine) is instance._defn.cls else None

    def _evaluate_now(self, workflow: object, held: dict[str, object]) -> tuple[StateValue | None, bool]:
        outcome = self._expression.evaluate(ExpressionScope(workflow, held, None, self._task))
        return (None, outcome.holds) if self._truth else (outcome.value, False)

    def _compare_value(self, now: tuple[StateValue | None, bool]) -> None:
        if now != self._last:
            self._last = now
            self.changed_at = self._at


def _variables_of_stack(frame: FrameType | None) -> dict[str, object]:
    """Return the variables of all running functions. If two have the same name for one, the inner one wins."""
    found: dict[str, object] = {}
    while frame is not None:
        if callsite.is_user_code(frame.f_code):
            found = {**dict(frame_variables(frame)), **found}
        frame = frame.f_back
    return found
