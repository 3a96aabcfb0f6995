"""Walking through a run with the code of its builds: what `replaytool.model.debug_state` describes, put together.

A worker replays the whole history with the code that it has. So the state that a task really left behind is what the
code of the build that completed it makes of the history up to there; each build's code replays the whole run in a child
process of its own, and whoever asks about an event is answered by the child of the build that was at work.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir
from typing import TypeVar

import msgspec

from replaytool.config import Settings
from replaytool.debug.process.messages import At, Digests, Evaluate, Evaluated, LineFound, LineOf, ReadFile, States
from replaytool.debug.process.parent import Place, Walker
from replaytool.engines import CodeSpec
from replaytool.engines.temporal.events.workflow_tasks import CompletedTask, TaskIndex
from replaytool.errors import ReplaytoolError
from replaytool.model.debug_state import (
    Blame,
    ChangeAt,
    Difference,
    Found,
    Frame,
    Moment,
    Part,
    Progress,
    Seen,
    Source,
    Trouble,
    Value,
    Watched,
    changed,
)
from replaytool.model.history import Run
from replaytool.replay.code.builds import CodeMap, Places
from replaytool.replay.code.git_worktrees import Placed
from replaytool.replay.inspect_state import expressions

T = TypeVar("T")
R = TypeVar("R")
_AT_ONCE = max(2, os.cpu_count() or 2)
Tell = Callable[[Progress], None]


def code_map(
    settings: Settings, workflows: Sequence[str], builds: Mapping[str, str], *, git: bool, pattern: str
) -> CodeMap | None:
    """What was given, and what the configuration says where nothing was."""

    def spec(names: Sequence[str], *, given: bool) -> CodeSpec:
        folder = "" if given else str(settings.folder)
        return CodeSpec(tuple(names), settings.replayer, settings.converter, folder)

    by_build = {build: spec([item], given=False) for build, item in settings.builds.items()}
    by_build |= {build: spec([item], given=True) for build, item in builds.items()}
    names = workflows or settings.workflows
    default = spec(names, given=bool(workflows)) if names else None
    if git and default is None:
        raise ReplaytoolError("--git needs to know where the workflows are", "give --workflows MODULE-OR-PATH")
    return CodeMap(default, by_build, git, pattern) if default is not None or by_build else None


def stop(run: Run, code: CodeMap, event_id: int) -> str:
    """Stop in pdb inside the workflow's code, in this process, where the task of an event begins to run."""
    from replaytool.engines import load
    from replaytool.engines.temporal.debug.python_debugger import stop_in_pdb as stop_at

    tasks = TaskIndex(run.events)
    check_event(run, event_id)
    task = tasks.task_of_event(event_id)
    build = task.build_id if task else None
    places = Places(code, [build])
    try:
        placed = places.of(build)
        if placed is None:
            raise ReplaytoolError(places.missing[build], "give --workflows MODULE-OR-PATH or --code BUILD=…")
        with chdir(placed.cwd):
            return stop_at(run, load(placed.spec), event_id)
    finally:
        places.close()


def check_event(run: Run, event_id: int) -> int:
    """The event, or a complaint that the run has none of this id."""
    first, last = run.events[0].event_id, run.events[-1].event_id
    if not first <= event_id <= last:
        raise ReplaytoolError(f"the run has no event {event_id}", f"its events are {first} to {last}")
    return event_id


class Walk:
    """One run and all code that there is for it; see `replaytool.model.debug_state` for what may be asked."""

    def __init__(self, run: Run, history: bytes, code: CodeMap, progress: Tell | None = None) -> None:
        self._run = run
        self._tasks = TaskIndex(run.events)
        self._places = Places(code, [task.build_id for task in self._tasks.all] or [None])
        self._tell = progress
        self._is_mapped = bool(code.builds or code.git)
        self._walkers = {placed: self._walker(placed, history) for placed in self._places.all()}
        for walker in list(self._walkers.values())[:_AT_ONCE]:
            walker.begin()

    def _walker(self, placed: Placed, history: bytes) -> Walker:
        tell, of = self._tell, len(self._run.events)
        progress = (lambda events: tell(Progress(placed.label, events, of))) if tell is not None else None
        builds = {task.event_id: task.build_id for task in self._tasks.all if task.build_id}
        return Walker(Place(placed.spec, placed.cwd), self._run, history, builds, progress)

    @property
    def header(self) -> str:
        """Which code serves which build."""
        labels = [placed.label for placed in self._walkers]
        missing = [f"{build or 'tasks without a build'}: none" for build in self._places.missing]
        if self._is_mapped or not labels:
            return "code per build: " + "; ".join([*labels, *missing])
        builds = [build for build in dict.fromkeys(task.build_id for task in self._tasks.all) if build]
        whose = f" for all builds ({', '.join(builds)}), whatever code they had" if len(builds) > 1 else ""
        return f"one code{whose}: {labels[0]}"

    # States.

    def at(self, event_id: int) -> Moment:
        """The replayed side just after an event."""
        check_event(self._run, event_id)
        task, shown_in = self._tasks.newest_task(event_id), self._tasks.find_observing_task(event_id)
        pending = shown_in.event_id if shown_in else None
        if task is None:
            return Moment(event_id, 0, pending_until=pending)
        placed = self._places.of(task.build_id)
        blank = Moment(event_id, task.ordinal, task.event_id, task.build_id, pending_until=pending)
        if placed is None:
            return msgspec.structs.replace(blank, trouble=self._no_code(task.build_id))
        found, trouble = self._walkers[placed].ask(At(event_id), Moment)
        if found is None:
            return msgspec.structs.replace(blank, code=placed.label, trouble=trouble)
        return msgspec.structs.replace(found, code=placed.label, pending_until=pending)

    def between(self, before: int, after: int) -> Difference:
        """What is different at the second event."""
        one, other = self.at(before), self.at(after)
        variables = tuple(changed(_variables(one.frames), _variables(other.frames)))
        state = tuple(changed(one.state, other.state))
        return Difference(before, after, state, variables, one.trouble or other.trouble)

    def parts(self) -> tuple[Part, ...]:
        """Where another build took over and its code makes another state of what had happened before."""
        return tuple(self._parts())

    def _parts(self) -> Iterator[Part]:
        digests: dict[Placed, dict[int, int]] = {}
        for last, first in zip(self._tasks.all, self._tasks.all[1:], strict=False):
            one, other = self._places.of(last.build_id), self._places.of(first.build_id)
            if one is None or other is None or one == other:
                continue
            for placed in (one, other):
                if placed not in digests:
                    found, _ = self._walkers[placed].ask(States(), Digests)
                    digests[placed] = dict(found.tasks) if found else {}
            was, now = digests[one], digests[other]
            changes = self._changes(one, other, last) if was.get(last.event_id) != now.get(last.event_id) else ()
            if changes and now.get(last.event_id):
                parted = next(key for key in was if was[key] != now.get(key))
                yield Part(first.event_id, first.build_id, last.build_id, parted, changes)

    def _changes(self, one: Placed, other: Placed, task: CompletedTask) -> tuple[ChangeAt, ...]:
        states = [self._walkers[placed].ask(At(task.event_id), Moment)[0] for placed in (one, other)]
        was, now = (moment.state if moment else None for moment in states)
        return tuple(changed(was, now))

    def source(self, build: str | None, file: str) -> Source:
        """A file of the code, as it is in a build."""
        placed = self._places.of(build)
        if placed is None:
            return Source(file, trouble=self._no_code(build))
        text, trouble = self._walkers[placed].ask(ReadFile(file), str)
        return Source(file, text or "", trouble)

    # Expressions.

    def watch(self, expression: str) -> Watched:
        """Its value at every step."""
        expressions.parse(expression)
        steps, trouble = self._evaluated(expression)
        return Watched(expression, tuple(steps), trouble)

    def find(self, expression: str) -> Found:
        """The first step where it holds, and the last where it did not."""
        expressions.parse(expression)
        steps, trouble = self._evaluated(expression)
        at = next((index for index, step in enumerate(steps) if step.holds), None)
        if at is None:
            return Found(expression, error=_error(steps), trouble=trouble)
        first = steps[at]
        end = next((index for index, step in enumerate(steps) if index > at and not step.holds), len(steps))
        line, why = self._line(expression, first, truth=True)
        return Found(
            expression, first.event_id, first.build_id, line.call_site if line else None,
            steps[at - 1].event_id if at else None, steps[end - 1].event_id, "", why or trouble,
        )  # fmt: skip

    def blame(self, path: str, event_id: int | None = None) -> Blame:
        """What last changed a value, as seen from an event; from the last one where none is given."""
        expressions.parse(path)
        until = check_event(self._run, event_id) if event_id is not None else self._run.events[-1].event_id
        found, trouble = self._evaluated(path)
        steps = [step for step in found if step.event_id <= until]
        if not steps or steps[-1].value is None:
            return Blame(path, error=steps[-1].error if steps else "no task had completed by then", trouble=trouble)
        at = len(steps) - 1
        while at and steps[at - 1].value == steps[at].value:
            at -= 1
        line, why = self._line(path, steps[at], truth=False)
        before = steps[at - 1].value if at else None
        return Blame(
            path, steps[at].event_id, steps[at].build_id, line.call_site if line else None,
            line.ran_at if line else None, before, steps[at].value, "", why or trouble,
        )  # fmt: skip

    def _line(self, text: str, step: Seen, *, truth: bool) -> tuple[LineFound | None, Trouble | None]:
        placed, task = self._places.of(step.build_id), self._tasks.newest_task(step.event_id)
        if placed is None or task is None:
            return None, None
        return self._walkers[placed].ask(LineOf(text, task.event_id, truth), LineFound)

    def _evaluated(self, text: str) -> tuple[list[Seen], Trouble | None]:
        """Every step, each from the child of the build that was at work there."""

        def ask(placed: Placed) -> tuple[Evaluated | None, Trouble | None]:
            return self._walkers[placed].ask(Evaluate(text), Evaluated)

        steps: list[Seen] = []
        troubles = [self._no_code(build) for build in self._places.missing]
        for placed, (found, trouble) in zip(self._walkers, _all(ask, list(self._walkers)), strict=True):
            mine = set(self._places.builds(placed))
            steps += [step for step in found.steps if step.build_id in mine] if found else []
            trouble = trouble or (found.trouble if found else None)
            troubles += [trouble] if trouble and self._concerns(trouble, mine) else []
        return sorted(steps, key=lambda step: step.event_id), troubles[0] if troubles else None

    def _concerns(self, trouble: Trouble, builds: set[str | None]) -> bool:
        """What a build's code does to tasks of builds that came later is nobody's concern."""
        last = max((task.event_id for task in self._tasks.all if task.build_id in builds), default=0)
        return trouble.event_id is None or trouble.event_id <= last

    # The rest.

    def cancel(self) -> None:
        """Whatever is being answered ends as `cancelled`."""
        for walker in self._walkers.values():
            walker.cancel()

    def close(self) -> None:
        """End the children, and remove what was checked out for them."""
        for walker in self._walkers.values():
            walker.close()
        self._places.close()

    def __enter__(self) -> Walk:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _no_code(self, build: str | None) -> Trouble:
        why = self._places.missing.get(build, "no task of this run was completed by that build")
        return Trouble("no code", f"{why}: give --code {build}=MODULE-OR-PATH" if build else why)


def _all(ask: Callable[[T], R], whom: Sequence[T]) -> list[R]:
    """All answers, as many at once as there are processors."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(ask, whom))


def _error(steps: Sequence[Seen]) -> str:
    """Why an expression could be evaluated nowhere."""
    return steps[-1].error if steps and all(step.error for step in steps) else ""


def _variables(frames: Sequence[Frame]) -> Value:
    """The variables of all frames under one roof, so that two of them can be compared."""
    from replaytool.model.debug_state import Item

    items: dict[str, Item] = {}
    for frame in frames:
        for line in frame.lines:
            label = line.function.rpartition(".")[2]
            number = sum(one.partition("#")[0] == label for one in items)
            label = f"{label}#{number + 1}" if number else label
            items[label] = Item(label, line.locals)
    return Value("", "object", None, tuple(items.values()), len(items))
