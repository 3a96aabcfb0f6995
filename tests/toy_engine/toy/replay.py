"""Replays a program against its journal: no step runs, its recorded result is the answer."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from replaytool.model.debug_state import ExpressionValue, ReplayedState, StateValue, Trouble
from replaytool.model.history import Run
from replaytool.model.recorded_step import RecordedStep
from replaytool.model.task_index import CompletedTask
from replaytool.model.verdict import CallSite, Verdict
from replaytool.replay import call_site
from replaytool.replay.code.user_code import Code
from replaytool.replay.inspect_state.expressions import EventFacts, Expression, ExpressionScope, TaskFacts
from replaytool.replay.inspect_state.safe_copies import read_attributes
from replaytool.replay.inspect_state.snapshots import Snapshots
from replaytool.replay.isolation.side_effects import SideEffectWatch, watch_all_threads
from replaytool.replay.options import Options
from replaytool.replay.record_player import NoAnswer, RecordPlayer
from tests.toy_engine.toy.records import ToyRecordReader, read_arguments, read_end, read_steps


class _StopReplay(BaseException):
    """The record has no answer: the program must not go on. User code that catches Exception lets it through."""


class ReplayingContext:
    """Answers steps from the record."""

    def __init__(self, player: RecordPlayer) -> None:
        self.player = player

    def step(self, name: str, body: Callable[..., Any], *arguments: Any) -> Any:
        """Return the recorded result; the body never runs."""
        site = call_site.site_of_stack(sys._getframe(1))
        answer = self.player.ask("step", name, name, list(arguments), site)
        if isinstance(answer, NoAnswer):
            raise _StopReplay
        return answer.result


def drive_program(run: Run, code: Code, player: RecordPlayer, program: Any) -> None:
    """Run the program to its end, or to where the record has no answer."""
    call_site.claim_user_folders(code.roots)
    try:
        player.finish(program.run(ReplayingContext(player), *read_arguments(run)))
    except _StopReplay:
        pass
    except Exception as error:
        player.fail(error, call_site.site_of_exception(error), call_site.user_traceback(error))


def replay_program(run: Run, code: Code, options: Options) -> Verdict:
    """Return what the code makes of the journal."""
    kind = code.workflow_class(run.workflow_type)
    if kind is None:
        return Verdict("unverified", f"no code for program {run.workflow_type!r}", engine="auto")
    player = RecordPlayer(read_steps(run), read_end(run), policy=options.policy)
    watch = SideEffectWatch(call_site.site_of_stack, options.guard)
    with watch_all_threads(watch):
        drive_program(run, code, player, kind())
    return replace(player.build_verdict("auto"), hazards=watch.found_hazards)


class ToyStates:
    """The state of a program after each step that it asked for."""

    def __init__(
        self,
        run: Run,
        code: Code,
        options: Options,
        builds: Mapping[int, str],
        report: Callable[[int], None] = lambda events: None,
    ) -> None:
        self._run, self._code, self._report = run, code, report
        self._tasks = ToyRecordReader().index_tasks(run.events, builds)
        self._states: dict[int, StateValue] = {}
        self.trouble: Trouble | None = None

    def record_states(self) -> None:
        """Keep the state at each step."""
        snapshots = Snapshots()

        def keep(task: CompletedTask, program: object) -> None:
            snapshots.next_step()
            attributes = read_attributes(program)
            self._states[task.event_id] = snapshots.snapshot_names("self", type(program).__name__, attributes)
            self._report(task.event_id)

        self._drive(keep)

    def _drive(self, at_task: Callable[[CompletedTask, object], None]) -> None:
        kind = self._code.workflow_class(self._run.workflow_type)
        if kind is None:
            self.trouble = Trouble("no code", f"no code for program {self._run.workflow_type!r}")
            return
        program = kind()
        tasks = {task.event_id: task for task in self._tasks.all}

        def at_step(step: RecordedStep | None) -> None:
            if step is not None and step.event_id in tasks:
                at_task(tasks[step.event_id], program)

        player = RecordPlayer(read_steps(self._run), read_end(self._run), on_ask=at_step)
        drive_program(self._run, self._code, player, program)
        verdict = player.build_verdict("auto")
        if verdict.verdict in ("diverged", "failed"):
            self.trouble = Trouble(verdict.verdict, verdict.reason or "code and journal part", verdict.event_id)

    def moment_at(self, event_id: int) -> ReplayedState:
        """Return the state at the newest step."""
        task = self._tasks.newest_task(event_id)
        if task is None:
            return ReplayedState(event_id, 0)
        state = self._states.get(task.event_id, StateValue("", "object"))
        return ReplayedState(event_id, task.ordinal, task.event_id, task.build_id, state=state, trouble=self.trouble)

    def encode_states(self) -> list[tuple[int, bytes]]:
        """Return each state as bytes."""
        return [(event_id, repr(state).encode()) for event_id, state in self._states.items()]

    def evaluate_at_events(self, expression: Expression) -> list[ExpressionValue]:
        """Return the expression at each step."""
        found: list[ExpressionValue] = []
        events = {event.event_id: event for event in self._run.events}

        def evaluate(task: CompletedTask, program: object) -> None:
            event = EventFacts.from_event(events[task.event_id], task.build_id)
            facts = TaskFacts.from_task(task.ordinal, task.event_id, task.build_id)
            result = expression.evaluate(ExpressionScope(program, {}, event, facts))
            found.append(ExpressionValue(task.event_id, task.build_id, result.value, result.error, result.holds))

        self._drive(evaluate)
        return found

    def find_changing_line(
        self, expression: Expression, task_event_id: int, *, truth: bool
    ) -> tuple[CallSite | None, int | None]:
        """Return no line: this engine does not trace."""
        return None, None
