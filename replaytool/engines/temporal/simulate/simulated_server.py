"""Past the end of the record: what the code asks for is answered from what was recorded, in a time of its own.

Each command gets its answer after as long as it took the last time; whatever is due first is told first. Where the
record has no answer the command stays open, and everything else goes on: nothing is made up.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any

from temporalio.bridge.proto.workflow_activation import QueryWorkflow, WorkflowActivationJob
from temporalio.bridge.proto.workflow_commands import WorkflowCommand

from replaytool.engines.temporal.core.random_seed import seed_of
from replaytool.engines.temporal.core.state_machines.activity import Activity
from replaytool.engines.temporal.core.state_machines.base import Machine
from replaytool.engines.temporal.core.state_machines.child_workflow import Child
from replaytool.engines.temporal.core.state_machines.local_activity import LocalActivity
from replaytool.engines.temporal.core.state_machines.nexus import Nexus
from replaytool.engines.temporal.core.state_machines.timer import CancelExternal, SignalExternal, Timer
from replaytool.engines.temporal.events.event_structs import (
    ActivityScheduled,
    ChildClosed,
    ChildInitiated,
    Name,
    NexusScheduled,
    Nothing,
    TimerFired,
)
from replaytool.engines.temporal.events.timestamps import nanoseconds
from replaytool.engines.temporal.replay.command_kinds import BY_VARIANT, words
from replaytool.engines.temporal.replay.stepper import Course, Told
from replaytool.engines.temporal.simulate.recorded_results import Follow, Recorded
from replaytool.engines.temporal.simulate.simulation_state import TASK_FAILS, End, World
from replaytool.model.history import Event

_SECOND = 1_000_000_000
_MOST_STEPS = 20_000
_REFUSED = "START_CHILD_WORKFLOW_EXECUTION_FAILED_CAUSE_WORKFLOW_ALREADY_EXISTS"
_STATUS = {
    "complete_workflow_execution": "Completed",
    "fail_workflow_execution": "Failed",
    "cancel_workflow_execution": "Canceled",
    "continue_as_new_workflow_execution": "ContinuedAsNew",
}
Act = Callable[[], None]


class Beyond:
    """One run behind its record."""

    def __init__(self, course: Course, world: World) -> None:
        self._course = course
        self._replay = course.replay
        self._world = world
        self._heap: list[tuple[int, int, Act]] = []
        self._number = count()
        self._open: dict[Machine, str] = {}
        """What waits for an answer that is not recorded, and why it is not."""
        self._timers: dict[Machine, str] = {}
        self._held: dict[Machine, Follow] = {}
        self._end: End | None = None

    def run(self) -> End:
        """Drive it through its record and on from there, as far as the record's answers reach."""
        told: Told | None = None
        for told in self._course.steps():
            if not told.activation.is_replaying:
                self._note(told.answer.commands)
        trouble = self._course.says.message if self._course.says.word != "ok" else ""
        if told is not None and told.answer.failure is not None:
            trouble = trouble or told.answer.failure
        if trouble:
            return End(stopped=f"{TASK_FAILS}{trouble}")
        self._replay.replaying = False
        self._replay.in_last = True
        self._replay.set_clock(self._world.now)
        self._take()
        self._adopt()
        self._settle()
        self._await_mail()
        while self._end is None and self._heap:
            due, _, act = heapq.heappop(self._heap)
            self._advance(due)
            act()
            self._settle()
        return self._end or self._standing()

    def _standing(self) -> End:
        reasons = list(dict.fromkeys(self._open.values()))
        return End(stopped="; ".join(reasons) or None, waiting=tuple(self._timers.values()))

    def _advance(self, due: int) -> None:
        self._world.now = max(self._world.now, due)
        self._replay.set_clock(self._world.now)

    def _at(self, due: int, act: Act) -> None:
        heapq.heappush(self._heap, (due, next(self._number), act))

    def _settle(self) -> None:
        """Take what the code asked for, tell it what it can know at once, until it waits."""
        self._take()
        while self._end is None and self._replay.has_jobs:
            self._world.steps += 1
            if self._world.steps > _MOST_STEPS:
                self._end = End(stopped=f"it goes on and on: {_MOST_STEPS:,} steps were told")
                return
            self._replay.last_id += 3  # a task is scheduled, started and completed
            told = self._course.go_on(lambda replay: None)
            if told.answer.failure is not None or told.fault is not None:
                why = told.answer.failure or (told.fault.message if told.fault else "")
                self._end = End(stopped=f"{TASK_FAILS}{why}")
                return
            self._note(told.answer.commands)
            self._take()

    def _note(self, commands: Iterable[WorkflowCommand]) -> None:
        self._world.answers += [one.update_response for one in commands if one.HasField("update_response")]

    # What was under way where the record ends.

    def _adopt(self) -> None:
        """Answers to what the kept part asked for."""
        for event_id, machine in list(self._replay.line.by_event.items()):
            kind = _KINDS.get(type(machine))
            if kind is None or machine.state not in _AWAITING:
                continue
            if kind == "timer":
                self._adopt_timer(event_id, machine)
            elif not self._world.is_reset or kind not in ("child_workflow", "nexus_operation"):
                self._adopt_answer(event_id, machine, kind)

    def _adopt_timer(self, event_id: int, machine: Machine) -> None:
        event = next(event for event in self._replay.tape.heads if event.event_id == event_id)
        due = (nanoseconds(event.event_time) or 0) + machine.attrs.start_to_fire_timeout.ToNanoseconds()
        self._fire_later(machine, due, is_seen=event_id in self._world.supply.open)

    def _adopt_answer(self, event_id: int, machine: Machine, kind: str) -> None:
        found = self._world.supply.open.get(event_id)
        if kind == "activity" and not machine.state.startswith("Started"):
            self._world.run_again(machine.attrs.activity_type, "exact")
        if found is None or not found.follows:
            self._open[machine] = _unanswered(kind, machine, found)
            return
        self._world.exact += 1
        if found.is_suspect:
            self._world.suspect[machine.attrs.activity_type] += 1
        for one in found.follows:
            due = self._world.now + one.delay if self._world.is_reset else one.at
            self._at(due, self._follow(machine, one))

    def _await_mail(self) -> None:
        for event in self._world.inbox:
            self._at(nanoseconds(event.event_time) or 0, self._mail(event))

    def _mail(self, event: Event) -> Act:
        def deliver() -> None:
            self._world.inbox.remove(event)
            self._replay.hear(event)

        return deliver

    # What the code asks for.

    def _take(self) -> None:
        line = self._replay.line
        while line.waiting and self._end is None:
            one = line.waiting.popleft()
            self._replay.last_id += 1
            self._world.sent.append((one.kind, one.machine))
            take = _TAKE.get(one.kind)
            if take is not None:
                take(self, one.machine)
            elif one.kind in _STATUS and one.command is not None:
                self._end = End(_STATUS[one.kind], getattr(one.command, one.kind))
        for machine in line.local_asked():
            self._run_local(machine)

    def _opened(self, machine: Machine, event_type: str, said: Any = None) -> None:
        machine.on_event(self._replay, event_type, said or Nothing(), self._replay.last_id)

    def _answer(self, kind: str, machine: Machine) -> Recorded | None:
        found = self._world.supply.take(kind, self._world.supply.keys_of(kind, machine.attrs))
        recorded, match = found or (None, None)
        if kind == "activity":
            self._world.run_again(machine.attrs.activity_type, match)
        if recorded is None or not (recorded.marker or any(_is_end(one.event_type) for one in recorded.follows)):
            self._open[machine] = _unanswered(kind, machine, recorded)
        elif match == "exact":
            self._world.exact += 1
        else:
            self._world.assumed += 1
        if recorded is not None and recorded.is_suspect:
            self._world.suspect[machine.attrs.activity_type] += 1
        for one in recorded.follows if recorded is not None else ():
            self._at(self._world.now + one.delay, self._follow(machine, one))
        return recorded

    def _follow(self, machine: Machine, one: Follow) -> Act:
        def tell() -> None:
            if one.event_type not in machine.TABLE[machine.state]:
                self._held[machine] = one  # a cancellation that this code has not asked for yet
                return
            self._replay.last_id += 1
            machine.on_event(self._replay, one.event_type, one.said, self._replay.last_id)

        return tell

    def _activity(self, machine: Machine) -> None:
        attrs = machine.attrs
        self._opened(machine, "ActivityTaskScheduled", ActivityScheduled(attrs.activity_id, Name(attrs.activity_type)))
        self._answer("activity", machine)

    def _activity_cancelled(self, machine: Machine) -> None:
        self._opened(machine, "ActivityTaskCancelRequested")
        held = self._held.pop(machine, None)
        if held is not None:
            self._at(self._world.now, self._follow(machine, held))
        if machine.attrs.cancellation_type != _WAITS:
            self._open.pop(machine, None)

    def _run_local(self, machine: LocalActivity) -> None:
        kind = machine.attrs.activity_type
        self._world.again_local[kind] += 1
        found = self._answer("local_activity", machine)
        if found is not None:
            self._at(self._world.now, lambda: machine.run_here(self._replay, found.marker))

    def _timer(self, machine: Machine) -> None:
        self._opened(machine, "TimerStarted")
        found = self._world.supply.take("timer", self._world.supply.keys_of("timer", machine.attrs))
        due = self._world.now + machine.attrs.start_to_fire_timeout.ToNanoseconds()
        self._fire_later(machine, due, is_seen=found is not None and bool(found[0].follows))

    def _fire_later(self, machine: Machine, due: int, *, is_seen: bool) -> None:
        seconds = machine.attrs.start_to_fire_timeout.ToNanoseconds() / _SECOND
        self._timers[machine] = f"a timer of {seconds:g} s"
        if not (is_seen or due <= self._world.horizon):
            return

        def fire() -> None:
            if "TimerFired" in machine.TABLE[machine.state]:
                self._timers.pop(machine, None)
                self._replay.last_id += 1
                said = TimerFired(timer_id=str(machine.seq))
                machine.on_event(self._replay, "TimerFired", said, self._replay.last_id)

        self._at(due, fire)

    def _timer_cancelled(self, machine: Machine) -> None:
        self._timers.pop(machine, None)
        self._opened(machine, "TimerCanceled")

    def _child(self, machine: Machine) -> None:
        attrs = machine.attrs
        said = ChildInitiated(attrs.workflow_id, Name(attrs.workflow_type))
        self._opened(machine, "StartChildWorkflowExecutionInitiated", said)
        if self._is_refused(attrs):
            refused = Follow("StartChildWorkflowExecutionFailed", ChildClosed(cause=_REFUSED), 0, 0)
            self._at(self._world.now, self._follow(machine, refused))
            return
        self._answer("child_workflow", machine)

    def _is_refused(self, attrs: Any) -> bool:
        """Whether the server would not start it, because of another workflow of this id."""
        status = self._world.children.get(attrs.workflow_id)
        if status == "Running":
            return int(attrs.workflow_id_reuse_policy) != _TERMINATES
        rejects = status is not None and int(attrs.workflow_id_reuse_policy) == _REJECTS
        return rejects or (status == "Completed" and int(attrs.workflow_id_reuse_policy) == _ONLY_FAILED)

    def _nexus(self, machine: Machine) -> None:
        said = NexusScheduled(machine.attrs.service, machine.attrs.operation)
        self._opened(machine, "NexusOperationScheduled", said)
        self._answer("nexus_operation", machine)

    def _signal(self, machine: Machine) -> None:
        self._opened(machine, "SignalExternalWorkflowExecutionInitiated")
        self._answer("signal_workflow", machine)

    def _cancel(self, machine: Machine) -> None:
        self._opened(machine, "RequestCancelExternalWorkflowExecutionInitiated")
        if not machine.is_core_made:
            self._answer("cancel_workflow", machine)

    # What the code says of itself.

    def query(self, name: str) -> tuple[Any, str | None]:
        """The answer to a query as a payload, or why there is none."""

        def ask(replay: Any) -> None:
            replay.tell(WorkflowActivationJob(query_workflow=QueryWorkflow(query_id=name, query_type=name)))

        told = self._course.go_on(ask)
        for command in told.answer.commands:
            if command.HasField("respond_to_query"):
                found = command.respond_to_query
                if found.HasField("failed"):
                    return None, found.failed.message
                return found.succeeded.response, None
        return None, told.answer.failure or "it was not answered"

    @property
    def has_drawn(self) -> bool:
        """Whether the code has drawn random numbers since the run has its seed."""
        instance = self._course.driven.innermost
        found = getattr(instance, "_random", None)
        run_id = self._seeded_by()
        return found is not None and found.getstate() != random.Random(seed_of(run_id)).getstate()

    def _seeded_by(self) -> str:
        tape = self._replay.tape
        for place in range(len(tape.types) - 1, -1, -1):
            if tape.types[place] == "WorkflowTaskFailed" and tape.record(place).attributes.new_run_id:
                return str(tape.record(place).attributes.new_run_id)
        return self._replay.run_id


_KINDS: dict[type[Machine], str] = {
    Activity: "activity",
    Timer: "timer",
    Child: "child_workflow",
    Nexus: "nexus_operation",
    SignalExternal: "signal_workflow",
    CancelExternal: "cancel_workflow",
}
_AWAITING = frozenset(
    [
        "ScheduledEventRecorded",
        "Started",
        "ScheduledActivityCancelEventRecorded",
        "StartedActivityCancelEventRecorded",
        "StartCommandRecorded",
        "StartEventRecorded",
        "SignalExternalCommandRecorded",
        "RequestCancelExternalCommandRecorded",
    ]
)
"""The states in which a machine hears from the world."""
_TAKE: dict[str, Callable[[Beyond, Any], None]] = {
    "schedule_activity": Beyond._activity,
    "request_cancel_activity": Beyond._activity_cancelled,
    "start_timer": Beyond._timer,
    "cancel_timer": Beyond._timer_cancelled,
    "start_child_workflow_execution": Beyond._child,
    "schedule_nexus_operation": Beyond._nexus,
    "request_cancel_nexus_operation": lambda at, machine: at._opened(machine, "NexusOperationCancelRequested"),
    "signal_external_workflow_execution": Beyond._signal,
    "request_cancel_external_workflow_execution": Beyond._cancel,
    "update_accept": lambda at, machine: at._opened(machine, "WorkflowExecutionUpdateAccepted"),
    "update_complete": lambda at, machine: at._opened(machine, "WorkflowExecutionUpdateCompleted"),
}
_WAITS = 1  # ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
_ONLY_FAILED, _REJECTS, _TERMINATES = 2, 3, 4  # WorkflowIdReusePolicy
_ENDS = ("Completed", "Failed", "TimedOut", "Canceled", "Terminated", "Signaled", "CancelRequested")


def _is_end(event_type: str) -> bool:
    return event_type.endswith(_ENDS)


def _unanswered(kind: str, machine: Machine, found: Recorded | None) -> str:
    known = BY_VARIANT[str(machine.command.WhichOneof("variant"))]
    name = getattr(machine.attrs, {"activity": "activity_type", "local_activity": "activity_type"}.get(kind, ""), "")
    name = name or getattr(machine.attrs, "workflow_type", "") or getattr(machine.attrs, "operation", "")
    why = ": it was under way when the history was taken" if found is not None else ""
    return f"no recorded result of {words(known.kind, name)}{why}"
