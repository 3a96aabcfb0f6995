"""One run replayed with one code, to be asked what stood where after each of its tasks.

The run is driven once with its states being recorded; each question with an expression drives it again, as an
expression has to see the live workflow.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from itertools import zip_longest

import msgspec
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_commands import WorkflowCommand

from replaytool.engines.temporal.core.activations import Replay
from replaytool.engines.temporal.debug.attribute_writes import Touching, chain_of
from replaytool.engines.temporal.debug.coroutine_stacks import frames, main_variables
from replaytool.engines.temporal.debug.line_tracing import Tracer
from replaytool.engines.temporal.debug.replay_errors import trouble
from replaytool.engines.temporal.events.decoding import heads
from replaytool.engines.temporal.events.workflow_tasks import CompletedTask, Tasks
from replaytool.engines.temporal.replay import direct
from replaytool.engines.temporal.replay.looking import driven
from replaytool.engines.temporal.replay.produced_commands import Translator
from replaytool.engines.temporal.replay.recorded_commands import Record
from replaytool.engines.temporal.replay.stepper import Course, Told
from replaytool.engines.temporal.sdk import recorder
from replaytool.model.debug_state import Frame, Issued, Moment, Seen, Trouble, Value
from replaytool.model.history import Run
from replaytool.model.verdict import CallSite, Command
from replaytool.replay.code.user_code import Code
from replaytool.replay.inspect_state.expressions import EventFacts, Expression, Outcome, Scope, TaskFacts
from replaytool.replay.inspect_state.safe_copies import attributes
from replaytool.replay.inspect_state.snapshots import Snapshots
from replaytool.replay.options import Options

Tell = Callable[[int], None]
"""How many events the replay is past; it may raise to end the replay."""
_Before = Callable[[CompletedTask | None, recorder.Tape], None]


@dataclass(slots=True)
class _Asked:
    """A command, and the event that turns out to record it."""

    command: Command
    event_id: int | None = None

    def issued(self) -> Issued:
        return Issued(self.command.kind, self.command.name, self.event_id, self.command.call_site)


@dataclass(slots=True)
class _Left:
    """What one task left behind."""

    state: Value
    frames: tuple[Frame, ...]
    asked: list[_Asked] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Step:
    """One activation that is over."""

    told: Told
    task: CompletedTask | None
    """The task that it belongs to; None past the last completed one."""
    tape: recorder.Tape
    course: Course

    @property
    def is_whole(self) -> bool:
        """Whether the code came to its end in it: what a task that fails leaves behind, no worker keeps."""
        return self.told.answer.failure is None and self.tape.instance is not None


class _Enough(Exception):
    """The task that was asked about is over."""


class Walked:
    """The run, the code, and what has been recorded."""

    def __init__(
        self,
        run: Run,
        code: Code,
        options: Options,
        builds: Mapping[int, str] | None = None,
        tell: Tell = lambda events: None,
    ) -> None:
        self.run, self.code, self.options = run, code, options
        self.tell = tell
        self.tasks = Tasks(heads(run.events), builds)
        self.trouble: Trouble | None = _cannot(run, code)
        """Why it cannot be driven, or what broke it off when its states were recorded."""
        self._cannot = self.trouble is not None
        self._met: Trouble | None = None
        self._left: dict[int, _Left] = {}
        self._next: list[_Asked] = []
        self._by_event: dict[int, _Asked] = {}

    # The states, recorded.

    def record(self) -> None:
        """Drive the run once, and keep what each task leaves behind."""
        recording = _Recording(self)
        for step in self._driven():
            recording.take(step)
        self.trouble = self.trouble or self._met
        self._carry_on()

    def _carry_on(self) -> None:
        """A completed task that told the code nothing, as one that only kept it alive, leaves what was there."""
        last: _Left | None = None
        for task in self.tasks.all:
            if task.event_id in self._left:
                last = self._left[task.event_id]
            elif last is not None and self._trouble_at(task.event_id) is None:
                self._left[task.event_id] = _Left(last.state, last.frames)

    def at(self, event_id: int) -> Moment:
        """What this code makes of the run just after an event; the builds of tasks are for somebody else to mind."""
        task = self.tasks.newest(event_id)
        if task is None:
            return Moment(event_id, 0, trouble=self._trouble_at(event_id))
        left = self._left.get(task.event_id)
        recorded = self._by_event.get(event_id)
        is_last = event_id == self.run.events[-1].event_id
        moment = Moment(
            event_id,
            task.ordinal,
            task.event_id,
            task.build_id,
            next=tuple(one.issued() for one in self._next) if is_last else (),
            command=recorded.issued() if recorded else None,
            trouble=self._trouble_at(event_id),
        )
        if left is None:
            return moment
        asked = tuple(one.issued() for one in left.asked)
        return msgspec.structs.replace(moment, state=left.state, frames=left.frames, commands=asked)

    def state(self, task_event_id: int) -> Value | None:
        """The attributes after a completed task, where the replay came that far."""
        left = self._left.get(task_event_id)
        return left.state if left else None

    def states(self) -> list[tuple[int, bytes]]:
        """For each completed task the state as bytes, to be compared with another build's."""
        return [(key, msgspec.json.encode(left.state)) for key, left in self._left.items()]

    def _trouble_at(self, event_id: int) -> Trouble | None:
        """A replay that broke off says nothing about what came before."""
        found = self.trouble
        is_before = found is not None and found.event_id is not None and event_id < found.event_id
        return None if is_before else found

    # Expressions, on the live workflow.

    def evaluated(self, expression: Expression) -> list[Seen]:
        """The expression at each step: at completed tasks, or at all events behind one if it speaks of the event."""
        found: dict[int, tuple[str | None, Outcome]] = {}
        for step in self._driven():
            if step.task is None or step.tape.instance is None or not step.is_whole:
                continue
            for event_id, outcome in self._outcomes(expression, step.task, step.tape.instance):
                found[event_id] = (step.task.build_id, outcome)
        filled = self._filled(found)
        return [Seen(event_id, build, one.value, one.error, one.holds) for event_id, (build, one) in filled]

    def _outcomes(
        self, expression: Expression, task: CompletedTask, instance: recorder.RecordingInstance
    ) -> Iterator[tuple[int, Outcome]]:
        facts = _facts(task)
        variables = main_variables(instance)
        first = self.run.events[0].event_id
        facts_wanted = expression.speaks_of_event
        events = self.tasks.events_of(task) if facts_wanted else range(task.event_id, task.event_id + 1)
        for event_id in events:
            event = EventFacts.of(self.run.events[event_id - first], task.build_id) if facts_wanted else None
            yield event_id, expression.evaluate(Scope(instance._object, variables, event, facts))

    def _filled(self, found: dict[int, tuple[str | None, Outcome]]) -> Iterator[tuple[int, tuple[str | None, Outcome]]]:
        """A completed task that told the code nothing leaves what was there."""
        last: Outcome | None = None
        for task in self.tasks.all:
            for event_id in self.tasks.events_of(task) if task.event_id in self._left else ():
                if event_id in found:
                    last = found[event_id][1]
                    yield event_id, found[event_id]
                elif event_id == task.event_id and last is not None:
                    yield event_id, (task.build_id, last)

    def line_of(self, expression: Expression, task_event_id: int, *, truth: bool) -> tuple[CallSite | None, int | None]:
        """The line that made the expression what it is after a task, and the task in which that line ran.

        A line counts where it changes what the expression comes to, or, for an attribute, where it assigns to it: who
        assigns 0 to what is 0 already has made it 0. With `truth`, only whether it holds is looked at.
        """
        chain = () if truth else chain_of(expression.text)
        ran_at = self._last_touched(expression, chain, task_event_id, truth)
        if ran_at is None:
            return None, None
        tracer: Tracer | None = None

        def before(task: CompletedTask | None, tape: recorder.Tape) -> None:
            nonlocal tracer
            if task is None or task.event_id > ran_at:
                raise _Enough  # what comes next may never end, and nobody breaks a patient drive off
            if task.event_id == ran_at:
                tracer = tracer or Tracer(expression, tape, _facts(task), chain, truth=truth)
                tracer.start()

        with suppress(_Enough):
            for _ in self._driven(before):
                if tracer is not None:
                    tracer.stop()
        return (tracer.changed_at if tracer else None), ran_at

    def _last_touched(self, expression: Expression, chain: tuple[str, ...], until: int, truth: bool) -> int | None:
        found: int | None = None
        heard: list[CallSite | None] = []
        last: object = None
        touching = Touching(chain, heard.append)
        try:
            for step in self._driven():
                instance = step.tape.instance
                if step.task is None or step.task.event_id > until or instance is None or not step.is_whole:
                    break
                outcome = expression.evaluate(
                    Scope(instance._object, main_variables(instance), None, _facts(step.task))
                )
                now = outcome.holds if truth else outcome.value
                if heard or now != last:
                    found, last = step.task.event_id, now
                    heard.clear()
                touching.look(instance._object)
        finally:
            touching.stop()
        return found

    # Driving.

    def _driven(self, before: _Before | None = None) -> Generator[_Step]:
        """Every activation, when it is over and the next one has not begun."""
        if self._cannot:
            return
        self._met = None
        tape = recorder.Tape(times=False)
        with (
            driven(self.run, self.code, self.options, tape, patient=before is not None) as course,
            closing(self._steps(course, tape, before)) as steps,
        ):
            yield from steps

    def _steps(self, course: Course, tape: recorder.Tape, before: _Before | None) -> Generator[_Step]:
        if before is not None:
            course.before = lambda activation: before(self._task_of(activation), tape)
        stay = ExitStack()
        with stay, closing(course.steps()) as steps:
            for told in steps:
                yield _Step(told, self._task_of(told.activation), tape, course)
                self._met = self._met or trouble(told, course, tape)
                tape.activations.clear()
                self.tell(told.activation.history_length)
                if told.activation.jobs[0].HasField("initialize_workflow"):
                    stay.enter_context(course.inside())
        if self._met is None and course.says.word != "ok":
            self._met = Trouble("unverified", course.says.message, course.says.event_id)

    def _task_of(self, activation: WorkflowActivation) -> CompletedTask | None:
        return self.tasks.after(activation.history_length) if activation.is_replaying else None


class _Recording:
    """The states of one drive, as they come."""

    def __init__(self, walked: Walked) -> None:
        self._walked = walked
        self._translator = Translator()
        self._snapshots = Snapshots()
        self._waiting: dict[int, tuple[WorkflowCommand, _Asked]] = {}
        self._matched = 0

    def take(self, step: _Step) -> None:
        """Keep what an activation did and left."""
        asked = self._asked(step)
        self._match(step.course.replay)
        if step.task is None:
            self._walked._next += asked
            return
        instance = step.tape.instance
        if instance is None or not step.is_whole:
            return
        left = self._left(instance)
        before = self._walked._left.get(step.task.event_id)
        left.asked = [*before.asked, *asked] if before else asked
        self._walked._left[step.task.event_id] = left

    def _left(self, instance: recorder.RecordingInstance) -> _Left:
        self._snapshots.turn()
        workflow = instance._object
        if workflow is None:
            return _Left(Value("", "object"), ())
        state = self._snapshots.named("self", type(workflow).__name__, attributes(workflow))
        return _Left(state, frames(instance, self._snapshots))

    def _asked(self, step: _Step) -> list[_Asked]:
        for job in step.told.activation.jobs:
            if job.HasField("do_update"):
                self._translator.job(job)
        made = []
        sites = step.tape.current.sites if step.tape.current else []
        for command, site in zip_longest(step.told.answer.commands, sites):
            if command is not None:
                asked = _Asked(self._translator.named_command(command, site))
                self._waiting[id(command)] = (command, asked)
                made.append(asked)
        return made

    def _match(self, replay: Replay) -> None:
        """Take in which events have turned out to record which commands."""
        for one in replay.line.matched[self._matched :]:
            event_id = replay.tape.heads[one.place].event_id
            _, asked = self._waiting.pop(id(one.waiting.command), (None, None))
            if asked is not None:
                asked.event_id = event_id
                self._walked._by_event[event_id] = asked
        self._matched = len(replay.line.matched)


def _facts(task: CompletedTask) -> TaskFacts:
    return TaskFacts.of(task.ordinal, task.event_id, task.build_id)


def _cannot(run: Run, code: Code) -> Trouble | None:
    """Why this run cannot be driven with this code, if so."""
    malformed = Record(run).malformed()
    if malformed:
        return Trouble("unverified", f"the history is malformed: {malformed}")
    if code.workflow(run.workflow_type) is None:
        known = ", ".join(code.definitions) or "none"
        return Trouble("no code", f"no code for workflow type {run.workflow_type!r} (there is: {known})")
    cannot = direct.cannot_judge(run, code)
    return Trouble("unverified", f"no states can be shown: {cannot.reason}") if cannot else None
