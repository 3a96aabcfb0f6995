"""Time travel through a run with the code of its builds; `model.debug_state` describes the answers.

The state after a workflow task is what the code of the build that completed it makes of the history up to there.
So each build's code replays the whole run in its own child process, and a question about an event goes to the child of
the build that ran then.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir
from typing import TypeVar

import msgspec

from replaytool.config import Settings
from replaytool.debug.process.messages import (
    DigestStates,
    EvaluatedSteps,
    EvaluateExpression,
    FindLine,
    LineFound,
    ReadFile,
    StateAt,
    StateDigests,
)
from replaytool.debug.process.parent import DebugClient, DebugProcessSetup
from replaytool.engines import CodeSpec, engine_of, load_code, make_code_spec, require_part
from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.model.debug_state import (
    Blame,
    BuildSplit,
    CoroutineFrame,
    ExpressionHit,
    ExpressionValue,
    PathChange,
    ReplayedState,
    ReplayProgress,
    SourceFile,
    StateDifference,
    StateValue,
    Trouble,
    WatchResult,
    compare_values,
)
from replaytool.model.history import Run
from replaytool.model.task_index import CompletedTask
from replaytool.replay.code.builds import BuildCheckouts, CodeMap
from replaytool.replay.code.git_worktrees import PlacedCode
from replaytool.replay.inspect_state import expressions

T = TypeVar("T")
R = TypeVar("R")
_AT_ONCE = max(2, os.cpu_count() or 2)
Tell = Callable[[ReplayProgress], None]


def make_code_map(
    settings: Settings, workflows: Sequence[str], builds: Mapping[str, str], *, git: bool, pattern: str
) -> CodeMap | None:
    """Return the code per build: from the arguments, else from the configuration; None if neither names any."""

    def make_spec(names: Sequence[str], *, given: bool) -> CodeSpec:
        return make_code_spec(settings, names, "" if given else str(settings.folder))

    # Code that the command line names is for the whole run: the configured builds would take it away again.
    configured = {} if workflows else settings.builds
    by_build = {build: make_spec([item], given=False) for build, item in configured.items()}
    by_build |= {build: make_spec([item], given=True) for build, item in builds.items()}
    names = workflows or settings.workflows
    default = make_spec(names, given=bool(workflows)) if names else None
    if git and default is None:
        raise ReplaytoolError(
            "--git needs to know where the workflows are",
            "add --workflows MODULE-OR-PATH",
            code=ErrorCode.CODE_NOT_NAMED,
        )
    return CodeMap(default, by_build, git, pattern) if default is not None or by_build else None


def stop_in_pdb(run: Run, code: CodeMap, event_id: int) -> str:
    """Stop in pdb inside the workflow code, in this process, where the task of an event starts."""
    engine = engine_of(run.engine)
    stop_at = require_part(engine, engine.debugger(), "stopped in pdb")
    tasks = engine.record_reader().index_tasks(run.events)
    check_event_id(run, event_id)
    task = tasks.task_of_event(event_id)
    build = task.build_id if task else None
    places = BuildCheckouts(code, [build])
    try:
        placed = places.code_of_build(build)
        if placed is None:
            raise ReplaytoolError(
                places.missing[build],
                "add --workflows MODULE-OR-PATH or --code BUILD=MODULE-OR-PATH",
                code=ErrorCode.CODE_BUILD_UNKNOWN,
            )
        with chdir(placed.cwd):
            return stop_at(run, load_code(placed.spec).for_run(run), event_id)
    finally:
        places.remove_checkouts()


def check_event_id(run: Run, event_id: int) -> int:
    """Return the event id; raise ReplaytoolError if the run has no such event."""
    first, last = run.events[0].event_id, run.events[-1].event_id
    if not first <= event_id <= last:
        raise ReplaytoolError(
            f"the run has no event {event_id}", f"its events are {first} to {last}", code=ErrorCode.STORE_EVENT_UNKNOWN
        )
    return event_id


class TimeTravel:
    """One run with the code of its builds; see `replaytool.model.debug_state` for the answers."""

    def __init__(self, run: Run, history: bytes, code: CodeMap, progress: Tell | None = None) -> None:
        self._run = run
        self._tasks = engine_of(run.engine).record_reader().index_tasks(run.events)
        self._places = BuildCheckouts(code, [task.build_id for task in self._tasks.all] or [None])
        self._tell = progress
        self._is_mapped = bool(code.builds or code.git)
        self._walkers = {placed: self._make_client(placed, history) for placed in self._places.distinct_codes()}
        for walker in list(self._walkers.values())[:_AT_ONCE]:
            walker.begin_replay()

    def _make_client(self, placed: PlacedCode, history: bytes) -> DebugClient:
        tell, of = self._tell, len(self._run.events)
        progress = (lambda events: tell(ReplayProgress(placed.label, events, of))) if tell is not None else None
        builds = {task.event_id: task.build_id for task in self._tasks.all if task.build_id}
        return DebugClient(DebugProcessSetup(placed.spec, placed.cwd), self._run, history, builds, progress)

    @property
    def code_summary(self) -> str:
        """Describe which code serves which build."""
        labels = [placed.label for placed in self._walkers]
        missing = [f"{build or 'tasks without a build'}: none" for build in self._places.missing]
        if self._is_mapped or not labels:
            return "code per build: " + "; ".join([*labels, *missing])
        builds = [build for build in dict.fromkeys(task.build_id for task in self._tasks.all) if build]
        whose = f" for all builds ({', '.join(builds)}), whatever code they had" if len(builds) > 1 else ""
        return f"one code{whose}: {labels[0]}"

    # States.

    def state_at(self, event_id: int) -> ReplayedState:
        """Return the replayed state just after an event."""
        check_event_id(self._run, event_id)
        task, shown_in = self._tasks.newest_task(event_id), self._tasks.find_observing_task(event_id)
        pending = shown_in.event_id if shown_in else None
        if task is None:
            return ReplayedState(event_id, 0, pending_until=pending)
        placed = self._places.code_of_build(task.build_id)
        blank = ReplayedState(event_id, task.ordinal, task.event_id, task.build_id, pending_until=pending)
        if placed is None:
            return msgspec.structs.replace(blank, trouble=self._missing_code_trouble(task.build_id))
        found, trouble = self._walkers[placed].ask_question(StateAt(event_id), ReplayedState)
        if found is None:
            return msgspec.structs.replace(blank, code=placed.label, trouble=trouble)
        return msgspec.structs.replace(found, code=placed.label, pending_until=pending)

    def difference_between(self, before: int, after: int) -> StateDifference:
        """Return what differs at the second event."""
        one, other = self.state_at(before), self.state_at(after)
        variables = tuple(compare_values(_merge_variables(one.frames), _merge_variables(other.frames)))
        state = tuple(compare_values(one.state, other.state))
        return StateDifference(before, after, state, variables, one.trouble or other.trouble)

    def find_build_changes(self) -> tuple[BuildSplit, ...]:
        """Return where another build took over and its code gives another state for the past."""
        return tuple(self._iterate_build_changes())

    def _iterate_build_changes(self) -> Iterator[BuildSplit]:
        digests: dict[PlacedCode, dict[int, int]] = {}
        for last, first in zip(self._tasks.all, self._tasks.all[1:], strict=False):
            one, other = self._places.code_of_build(last.build_id), self._places.code_of_build(first.build_id)
            if one is None or other is None or one == other:
                continue
            for placed in (one, other):
                if placed not in digests:
                    found, _ = self._walkers[placed].ask_question(DigestStates(), StateDigests)
                    digests[placed] = dict(found.tasks) if found else {}
            was, now = digests[one], digests[other]
            changes = self._state_changes(one, other, last) if was.get(last.event_id) != now.get(last.event_id) else ()
            if changes and now.get(last.event_id):
                parted = next(key for key in was if was[key] != now.get(key))
                yield BuildSplit(first.event_id, first.build_id, last.build_id, parted, changes)

    def _state_changes(self, one: PlacedCode, other: PlacedCode, task: CompletedTask) -> tuple[PathChange, ...]:
        states = [
            self._walkers[placed].ask_question(StateAt(task.event_id), ReplayedState)[0] for placed in (one, other)
        ]
        was, now = (moment.state if moment else None for moment in states)
        return tuple(compare_values(was, now))

    def read_source(self, build: str | None, file: str) -> SourceFile:
        """Return a file of the code, as it is in a build."""
        placed = self._places.code_of_build(build)
        if placed is None:
            return SourceFile(file, trouble=self._missing_code_trouble(build))
        text, trouble = self._walkers[placed].ask_question(ReadFile(file), str)
        return SourceFile(file, text or "", trouble)

    # Expressions.

    def watch_expression(self, expression: str) -> WatchResult:
        """Return the expression's value at every step."""
        expressions.parse_expression(expression)
        steps, trouble = self._evaluate_all_steps(expression)
        return WatchResult(expression, tuple(steps), trouble)

    def find_first_holding(self, expression: str) -> ExpressionHit:
        """Return the first step where the expression holds, and the last step before it where it did not."""
        expressions.parse_expression(expression)
        steps, trouble = self._evaluate_all_steps(expression)
        at = next((index for index, step in enumerate(steps) if step.holds), None)
        if at is None:
            return ExpressionHit(expression, error=_common_error(steps), trouble=trouble)
        first = steps[at]
        end = next((index for index, step in enumerate(steps) if index > at and not step.holds), len(steps))
        line, why = self._find_line(expression, first, truth=True)
        return ExpressionHit(
            expression, first.event_id, first.build_id, line.call_site if line else None,
            steps[at - 1].event_id if at else None, steps[end - 1].event_id, "", why or trouble,
        )  # fmt: skip

    def blame_value(self, path: str, event_id: int | None = None) -> Blame:
        """Return what last changed a value, as seen from an event or from the last one."""
        expressions.parse_expression(path)
        until = check_event_id(self._run, event_id) if event_id is not None else self._run.events[-1].event_id
        found, trouble = self._evaluate_all_steps(path)
        steps = [step for step in found if step.event_id <= until]
        if not steps or steps[-1].value is None:
            return Blame(
                path, error=steps[-1].error if steps else "no workflow task was completed by then", trouble=trouble
            )
        at = len(steps) - 1
        while at and steps[at - 1].value == steps[at].value:
            at -= 1
        line, why = self._find_line(path, steps[at], truth=False)
        before = steps[at - 1].value if at else None
        return Blame(
            path, steps[at].event_id, steps[at].build_id, line.call_site if line else None,
            line.ran_at if line else None, before, steps[at].value, "", why or trouble,
        )  # fmt: skip

    def _find_line(self, text: str, step: ExpressionValue, *, truth: bool) -> tuple[LineFound | None, Trouble | None]:
        placed, task = self._places.code_of_build(step.build_id), self._tasks.newest_task(step.event_id)
        if placed is None or task is None:
            return None, None
        return self._walkers[placed].ask_question(FindLine(text, task.event_id, truth), LineFound)

    def _evaluate_all_steps(self, text: str) -> tuple[list[ExpressionValue], Trouble | None]:
        """Evaluate at every step, each in the child of the build that ran there."""

        def evaluate_in(placed: PlacedCode) -> tuple[EvaluatedSteps | None, Trouble | None]:
            return self._walkers[placed].ask_question(EvaluateExpression(text), EvaluatedSteps)

        steps: list[ExpressionValue] = []
        troubles = [self._missing_code_trouble(build) for build in self._places.missing]
        for placed, (found, trouble) in zip(
            self._walkers, _ask_in_parallel(evaluate_in, list(self._walkers)), strict=True
        ):
            mine = set(self._places.builds_of_code(placed))
            steps += [step for step in found.steps if step.build_id in mine] if found else []
            trouble = trouble or (found.trouble if found else None)
            troubles += [trouble] if trouble and self._is_relevant_trouble(trouble, mine) else []
        return sorted(steps, key=lambda step: step.event_id), troubles[0] if troubles else None

    def _is_relevant_trouble(self, trouble: Trouble, builds: set[str | None]) -> bool:
        """Return whether a trouble matters: what a build's code does to tasks of later builds does not."""
        last = max((task.event_id for task in self._tasks.all if task.build_id in builds), default=0)
        return trouble.event_id is None or trouble.event_id <= last

    # The rest.

    def cancel_questions(self) -> None:
        """Cancel all running questions; they end as `cancelled`."""
        for walker in self._walkers.values():
            walker.cancel_questions()

    def close_processes(self) -> None:
        """End the child processes and remove their checkouts."""
        for walker in self._walkers.values():
            walker.close_process()
        self._places.remove_checkouts()

    def __enter__(self) -> TimeTravel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close_processes()

    def _missing_code_trouble(self, build: str | None) -> Trouble:
        why = self._places.missing.get(build, "that build completed no task of this run")
        return Trouble("no code", f"{why}: add --code {build}=MODULE-OR-PATH" if build else why)


def _ask_in_parallel(ask: Callable[[T], R], whom: Sequence[T]) -> list[R]:
    """Return all answers; ask as many at once as there are processors."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(ask, whom))


def _common_error(steps: Sequence[ExpressionValue]) -> str:
    """Return the error if the expression failed at every step, else ""."""
    return steps[-1].error if steps and all(step.error for step in steps) else ""


def _merge_variables(frames: Sequence[CoroutineFrame]) -> StateValue:
    """Return the variables of all frames as one value, so that two moments can be compared."""
    from replaytool.model.debug_state import ValueItem

    items: dict[str, ValueItem] = {}
    for frame in frames:
        for line in frame.lines:
            label = line.function.rpartition(".")[2]
            number = sum(one.partition("#")[0] == label for one in items)
            label = f"{label}#{number + 1}" if number else label
            items[label] = ValueItem(label, line.locals)
    return StateValue("", "object", None, tuple(items.values()), len(items))
