"""Replay one run with one code, and answer which state it had after each task.

One replay records all states. Each question with an expression replays the run again, since an expression needs the
live workflow.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from itertools import zip_longest

import msgspec
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_commands import WorkflowCommand

from replaytool.engines.temporal.core.workflow_machines import WorkflowMachines
from replaytool.engines.temporal.debug.attribute_writes import AttributeWatcher, parse_attribute_chain
from replaytool.engines.temporal.debug.coroutine_stacks import capture_frames, main_coroutine_variables
from replaytool.engines.temporal.debug.line_tracing import ExpressionTracer
from replaytool.engines.temporal.debug.replay_errors import find_replay_error
from replaytool.engines.temporal.events.decoding import event_heads
from replaytool.engines.temporal.events.workflow_tasks import index_tasks
from replaytool.engines.temporal.replay import direct
from replaytool.engines.temporal.replay.drive import drive_with_recorder
from replaytool.engines.temporal.replay.produced_commands import CommandTranslator
from replaytool.engines.temporal.replay.recorded_commands import RecordedHistory
from replaytool.engines.temporal.replay.sandbox_refusals import refuse_sandboxed_code
from replaytool.engines.temporal.replay.stepper import ActivationStep, Stepper
from replaytool.engines.temporal.sdk import recorder
from replaytool.model.debug_state import (
    CoroutineFrame,
    ExpressionValue,
    IssuedCommand,
    ReplayedState,
    StateValue,
    Trouble,
)
from replaytool.model.history import Run
from replaytool.model.task_index import CompletedTask
from replaytool.model.verdict import CallSite, Command
from replaytool.replay import call_site as callsite
from replaytool.replay.code.user_code import Code
from replaytool.replay.inspect_state.expressions import (
    EventFacts,
    Expression,
    ExpressionResult,
    ExpressionScope,
    TaskFacts,
)
from replaytool.replay.inspect_state.safe_copies import read_attributes
from replaytool.replay.inspect_state.snapshots import Snapshots
from replaytool.replay.options import Options

Tell = Callable[[int], None]
"""Called with the number of events replayed so far. It may raise to end the replay."""
_Before = Callable[[CompletedTask | None, recorder.RecordedTape], None]


@dataclass(slots=True)
class _IssuedCommand:
    """A command, and the event that records it."""

    command: Command
    event_id: int | None = None

    def to_issued(self) -> IssuedCommand:
        return IssuedCommand(self.command.kind, self.command.name, self.event_id, self.command.call_site)


@dataclass(slots=True)
class _TaskState:
    """The state after one task."""

    state: StateValue
    frames: tuple[CoroutineFrame, ...]
    asked: list[_IssuedCommand] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _DrivenStep:
    """One completed activation."""

    told: ActivationStep
    task: CompletedTask | None
    """The task that it belongs to, or None after the last completed task."""
    tape: recorder.RecordedTape
    course: Stepper

    @property
    def is_complete(self) -> bool:
        """Return whether the activation ended without failure: a worker discards the state of a failed task."""
        return self.told.answer.failure is None and self.tape.instance is not None


class _TaskPassed(Exception):
    """The task in question has completed."""


class RunStates:
    """The recorded states of one run with one code."""

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
        self.tasks = index_tasks(event_heads(run.events), builds)
        self.trouble: Trouble | None = _find_obstacle(run, code, options)
        """Why the run cannot be replayed, or why the recording replay ended early."""
        self._cannot = self.trouble is not None
        self._met: Trouble | None = None
        self._left: dict[int, _TaskState] = {}
        self._next: list[_IssuedCommand] = []
        self._by_event: dict[int, _IssuedCommand] = {}

    # The states, recorded.

    def record_states(self) -> None:
        """Replay the run once, and keep the state after each task."""
        recording = _StateRecorder(self)
        for step in self._drive_run():
            recording.record_step(step)
        self.trouble = self.trouble or self._met
        self._fill_silent_tasks()

    def _fill_silent_tasks(self) -> None:
        """Give a completed task without activation, such as a heartbeat of local activities, the state before it."""
        last: _TaskState | None = None
        for task in self.tasks.all:
            if task.event_id in self._left:
                last = self._left[task.event_id]
            elif last is not None and self._error_at(task.event_id) is None:
                self._left[task.event_id] = _TaskState(last.state, last.frames)

    def moment_at(self, event_id: int) -> ReplayedState:
        """Return the state of the run just after an event. The caller checks the builds of the tasks."""
        task = self.tasks.newest_task(event_id)
        if task is None:
            return ReplayedState(event_id, 0, trouble=self._error_at(event_id))
        left = self._left.get(task.event_id)
        recorded = self._by_event.get(event_id)
        is_last = event_id == self.run.events[-1].event_id
        moment = ReplayedState(
            event_id,
            task.ordinal,
            task.event_id,
            task.build_id,
            next=tuple(one.to_issued() for one in self._next) if is_last else (),
            command=recorded.to_issued() if recorded else None,
            trouble=self._error_at(event_id),
        )
        if left is None:
            return moment
        asked = tuple(one.to_issued() for one in left.asked)
        return msgspec.structs.replace(moment, state=left.state, frames=left.frames, commands=asked)

    def state_after(self, task_event_id: int) -> StateValue | None:
        """Return the attributes after a completed task, if the replay came that far."""
        left = self._left.get(task_event_id)
        return left.state if left else None

    def encode_states(self) -> list[tuple[int, bytes]]:
        """Return the state after each completed task as bytes, to compare it with another build's."""
        return [(key, msgspec.json.encode(left.state)) for key, left in self._left.items()]

    def _error_at(self, event_id: int) -> Trouble | None:
        """Return the error, if it came at or before this event: an error says nothing about earlier events."""
        found = self.trouble
        is_before = found is not None and found.event_id is not None and event_id < found.event_id
        return None if is_before else found

    # Expressions, on the live workflow.

    def evaluate_at_events(self, expression: Expression) -> list[ExpressionValue]:
        """Evaluate the expression at each completed task.

        If it uses the event, evaluate it at every event after the first task.
        """
        found: dict[int, tuple[str | None, ExpressionResult]] = {}
        for step in self._drive_run():
            if step.task is None or step.tape.instance is None or not step.is_complete:
                continue
            for event_id, outcome in self._evaluate_at_task(expression, step.task, step.tape.instance):
                found[event_id] = (step.task.build_id, outcome)
        filled = self._fill_silent_outcomes(found)
        return [ExpressionValue(event_id, build, one.value, one.error, one.holds) for event_id, (build, one) in filled]

    def _evaluate_at_task(
        self, expression: Expression, task: CompletedTask, instance: recorder.RecordingInstance
    ) -> Iterator[tuple[int, ExpressionResult]]:
        facts = _task_facts(task)
        variables = main_coroutine_variables(instance)
        first = self.run.events[0].event_id
        facts_wanted = expression.uses_event
        events = self.tasks.events_of_task(task) if facts_wanted else range(task.event_id, task.event_id + 1)
        for event_id in events:
            event = EventFacts.from_event(self.run.events[event_id - first], task.build_id) if facts_wanted else None
            yield event_id, expression.evaluate(ExpressionScope(instance._object, variables, event, facts))

    def _fill_silent_outcomes(
        self, found: dict[int, tuple[str | None, ExpressionResult]]
    ) -> Iterator[tuple[int, tuple[str | None, ExpressionResult]]]:
        """Give a completed task without activation the outcome before it."""
        last: ExpressionResult | None = None
        for task in self.tasks.all:
            for event_id in self.tasks.events_of_task(task) if task.event_id in self._left else ():
                if event_id in found:
                    last = found[event_id][1]
                    yield event_id, found[event_id]
                elif event_id == task.event_id and last is not None:
                    yield event_id, (task.build_id, last)

    def find_changing_line(
        self, expression: Expression, task_event_id: int, *, truth: bool
    ) -> tuple[CallSite | None, int | None]:
        """Return the line that gave the expression its value after a task, and the task in which that line ran.

        A line counts if it changes the value. For an attribute, a line counts if it assigns to it, even an equal
        value. With `truth`, only a change of true or false counts.
        """
        chain = () if truth else parse_attribute_chain(expression.text)
        ran_at = self._find_last_change(expression, chain, task_event_id, truth)
        if ran_at is None:
            return None, None
        tracer: ExpressionTracer | None = None

        def start_at_task(task: CompletedTask | None, tape: recorder.RecordedTape) -> None:
            nonlocal tracer
            if task is None or task.event_id > ran_at:
                raise _TaskPassed  # the code may hang after the task, and a patient replay has no timeout
            if task.event_id == ran_at:
                tracer = tracer or ExpressionTracer(expression, tape, _task_facts(task), chain, truth=truth)
                tracer.start_tracing()

        with suppress(_TaskPassed):
            for _ in self._drive_run(start_at_task):
                if tracer is not None:
                    tracer.stop_tracing()
        return (tracer.changed_at if tracer else None), ran_at

    def _find_last_change(self, expression: Expression, chain: tuple[str, ...], until: int, truth: bool) -> int | None:
        found: int | None = None
        heard: list[CallSite | None] = []
        last: object = None
        touching = AttributeWatcher(chain, heard.append)
        try:
            for step in self._drive_run():
                instance = step.tape.instance
                if step.task is None or step.task.event_id > until or instance is None or not step.is_complete:
                    break
                outcome = expression.evaluate(
                    ExpressionScope(instance._object, main_coroutine_variables(instance), None, _task_facts(step.task))
                )
                now = outcome.holds if truth else outcome.value
                if heard or now != last:
                    found, last = step.task.event_id, now
                    heard.clear()
                touching.find_owner(instance._object)
        finally:
            touching.restore_classes()
        return found

    # Driving.

    def _drive_run(self, before: _Before | None = None) -> Generator[_DrivenStep]:
        """Yield each activation after it has completed and before the next one begins."""
        if self._cannot:
            return
        self._met = None
        tape = recorder.RecordedTape(times=False)
        with (
            drive_with_recorder(self.run, self.code, self.options, tape, patient=before is not None) as course,
            closing(self._iterate_steps(course, tape, before)) as steps,
        ):
            yield from steps

    def _iterate_steps(
        self, course: Stepper, tape: recorder.RecordedTape, before: _Before | None
    ) -> Generator[_DrivenStep]:
        if before is not None:
            course.before_activation = lambda activation: before(self._task_of_activation(activation), tape)
        stay = ExitStack()
        with stay, closing(course.run_steps()) as steps:
            for told in steps:
                yield _DrivenStep(told, self._task_of_activation(told.activation), tape, course)
                self._met = self._met or find_replay_error(told, course, tape)
                # Each record holds commands and exceptions, and these hold frames: a long run would keep all alive.
                tape.activations.clear()
                self.tell(told.activation.history_length)
                # Entering the sandbox once for a run, not for each activation: 66,500 against 46,000 events a second.
                if told.activation.jobs[0].HasField("initialize_workflow"):
                    stay.enter_context(course.stay_inside())
        if self._met is None and course.outcome.word != "ok":
            self._met = Trouble("unverified", course.outcome.message, course.outcome.event_id)

    def _task_of_activation(self, activation: WorkflowActivation) -> CompletedTask | None:
        # Past the last completed task, sdk-core sets is_replaying to false: no task records that activation.
        return self.tasks.next_task(activation.history_length) if activation.is_replaying else None


class _StateRecorder:
    """Records the states of one replay."""

    def __init__(self, walked: RunStates) -> None:
        self._walked = walked
        self._translator = CommandTranslator()
        self._snapshots = Snapshots()
        self._waiting: dict[int, tuple[WorkflowCommand, _IssuedCommand]] = {}
        self._matched = 0

    def record_step(self, step: _DrivenStep) -> None:
        """Keep the commands and the state of an activation."""
        asked = self._collect_commands(step)
        self._match_commands(step.course.machines)
        if step.task is None:
            self._walked._next += asked
            return
        instance = step.tape.instance
        if instance is None or not step.is_complete:
            return
        left = self._capture_state(instance)
        before = self._walked._left.get(step.task.event_id)
        left.asked = [*before.asked, *asked] if before else asked
        self._walked._left[step.task.event_id] = left

    def _capture_state(self, instance: recorder.RecordingInstance) -> _TaskState:
        self._snapshots.next_step()
        workflow = instance._object
        if workflow is None:
            return _TaskState(StateValue("", "object"), ())
        state = self._snapshots.snapshot_names("self", type(workflow).__name__, read_attributes(workflow))
        return _TaskState(state, capture_frames(instance, self._snapshots))

    def _collect_commands(self, step: _DrivenStep) -> list[_IssuedCommand]:
        for job in step.told.activation.jobs:
            if job.HasField("do_update"):
                self._translator.translate_job(job)
        made = []
        sites = step.tape.current_activation.sites if step.tape.current_activation else []
        for command, site in zip_longest(step.told.answer.commands, sites):
            if command is not None:
                asked = _IssuedCommand(self._translator.translate_name_only(command, site))
                # The command is kept with its ID: an ID can be used again once its object is gone.
                self._waiting[id(command)] = (command, asked)
                made.append(asked)
        return made

    def _match_commands(self, replay: WorkflowMachines) -> None:
        """Note which events turned out to record which commands."""
        for one in replay.queue.matched[self._matched :]:
            event_id = replay.history.heads[one.place].event_id
            _, asked = self._waiting.pop(id(one.waiting.command), (None, None))
            if asked is not None:
                asked.event_id = event_id
                self._walked._by_event[event_id] = asked
        self._matched = len(replay.queue.matched)


def _task_facts(task: CompletedTask) -> TaskFacts:
    return TaskFacts.from_task(task.ordinal, task.event_id, task.build_id)


def _find_obstacle(run: Run, code: Code, options: Options) -> Trouble | None:
    """Return why this code cannot replay the run, if so."""
    malformed = RecordedHistory(run).find_malformation()
    if malformed:
        return Trouble("unverified", f"the history is malformed: {malformed}")
    if code.workflow_class(run.workflow_type) is None:
        return Trouble("no code", code.explain_missing(run.workflow_type))
    callsite.claim_user_folders(code.roots)
    refused = refuse_sandboxed_code(run, code, options, "direct")
    if refused is not None and refused.failure is not None:
        return Trouble("failed", refused.reason, refused.failure.event_id, refused.failure.call_site)
    cannot = direct.find_handover_reason(run, code)
    return Trouble("unverified", f"its states cannot be shown: {cannot.reason}") if cannot else None
