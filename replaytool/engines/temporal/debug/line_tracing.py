"""Which line makes an expression come to something else: a task is run once more, looked at after each of its lines.

A line that calls something is at work until the call is over, so each change is put down to the line that ran last
and not to the one that comes next.
"""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

from replaytool.engines.temporal.debug.attribute_writes import Touching
from replaytool.engines.temporal.debug.coroutine_stacks import main_variables, variables
from replaytool.engines.temporal.sdk import recorder
from replaytool.model.debug_state import Value
from replaytool.model.verdict import CallSite
from replaytool.replay import call_site as callsite
from replaytool.replay.inspect_state.expressions import Expression, Scope, TaskFacts

_MOST = 20_000
"""Lines of one task that are looked at; what a task does beyond is not told."""


class Tracer:
    """Looks at one expression while a task runs."""

    def __init__(
        self, expression: Expression, tape: recorder.Tape, task: TaskFacts, chain: tuple[str, ...], *, truth: bool
    ) -> None:
        self.changed_at: CallSite | None = None
        """The line after which it came to what it is now."""
        self._expression, self._tape, self._task, self._truth = expression, tape, task, truth
        self._last: tuple[Value | None, bool] = (None, False)
        self._at: CallSite | None = None
        self._left = _MOST
        self._before: Any = None
        self._touching = Touching(chain, self._heard)

    def start(self) -> None:
        """Look from here on, and first at how it stands."""
        instance = self._tape.instance
        if instance is not None and instance._object is not None:
            self._last = self._looked(instance._object, main_variables(instance))
            self._touching.look(instance._object)
        self._before = sys.gettrace()
        sys.settrace(self._called)

    def stop(self) -> None:
        """Look no more."""
        sys.settrace(self._before)
        self._touching.stop()
        instance = self._tape.instance
        if instance is not None and instance._object is not None:
            self._compare(self._looked(instance._object, main_variables(instance)))

    def _heard(self, site: CallSite | None) -> None:
        self.changed_at = site

    def _called(self, frame: FrameType, event: str, arg: Any) -> Any:
        if not callsite.is_user(frame.f_code) or self._left <= 0:
            return None
        self._note(frame)
        self._at = callsite.of_stack(frame, recorder.LOOP)
        return self._stepped

    def _stepped(self, frame: FrameType, event: str, arg: Any) -> Any:
        self._left -= 1
        if self._left <= 0:
            return None
        self._note(frame)
        self._at = callsite.of_stack(frame.f_back if event == "return" else frame, recorder.LOOP)
        return self._stepped

    def _note(self, frame: FrameType) -> None:
        workflow = self._workflow(frame)
        if workflow is not None:
            self._compare(self._looked(workflow, _variables_of_stack(frame)))

    def _workflow(self, frame: FrameType) -> Any:
        """The workflow; while it is being made nobody but its own `__init__` has it."""
        instance = self._tape.instance
        if instance is None or instance._object is not None:
            return instance._object if instance is not None else None
        mine = frame.f_locals.get("self")
        return mine if type(mine) is instance._defn.cls else None

    def _looked(self, workflow: Any, held: dict[str, Any]) -> tuple[Value | None, bool]:
        outcome = self._expression.evaluate(Scope(workflow, held, None, self._task))
        return (None, outcome.holds) if self._truth else (outcome.value, False)

    def _compare(self, now: tuple[Value | None, bool]) -> None:
        if now != self._last:
            self._last = now
            self.changed_at = self._at


def _variables_of_stack(frame: FrameType | None) -> dict[str, Any]:
    """The variables of all functions at work; where two have the same name, the inner one's."""
    found: dict[str, Any] = {}
    while frame is not None:
        if callsite.is_user(frame.f_code):
            found = {**dict(variables(frame)), **found}
        frame = frame.f_back
    return found
