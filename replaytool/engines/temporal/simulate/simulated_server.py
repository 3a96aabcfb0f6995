"""Simulate the server past the end of the history, on a clock of its own, with recorded results.

A command gets its result after the recorded delay; the event with the earliest due time comes first. A command
without a recorded result stays open, and everything else goes on.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterable
from itertools import count

from temporalio.api.common.v1 import Payload
from temporalio.bridge.proto.workflow_activation import QueryWorkflow, WorkflowActivationJob
from temporalio.bridge.proto.workflow_commands import StartChildWorkflowExecution, WorkflowCommand

from replaytool.engines.temporal.core.random_seed import derive_random_seed
from replaytool.engines.temporal.core.state_machines.activity import ActivityMachine
from replaytool.engines.temporal.core.state_machines.base import StateMachine
from replaytool.engines.temporal.core.state_machines.child_workflow import ChildWorkflowMachine
from replaytool.engines.temporal.core.state_machines.external_workflow import (
    CancelExternalMachine,
    SignalExternalMachine,
)
from replaytool.engines.temporal.core.state_machines.local_activity import LocalActivityMachine
from replaytool.engines.temporal.core.state_machines.nexus import NexusOperationMachine
from replaytool.engines.temporal.core.state_machines.timer import TimerMachine
from replaytool.engines.temporal.core.workflow_machines import WorkflowMachines
from replaytool.engines.temporal.events import event_types as types
from replaytool.engines.temporal.events.event_structs import (
    ActivityScheduled,
    ChildClosed,
    ChildInitiated,
    EventPart,
    NexusScheduled,
    NoAttributes,
    TimerFired,
    TypeName,
)
from replaytool.engines.temporal.events.timestamps import parse_nanoseconds
from replaytool.engines.temporal.replay.command_kinds import BY_VARIANT, describe_command
from replaytool.engines.temporal.replay.stepper import ActivationStep, Stepper
from replaytool.engines.temporal.simulate.recorded_results import FollowUpEvent, RecordedResult
from replaytool.engines.temporal.simulate.simulation_state import SimulationEnd, SimulationState
from replaytool.model.history import Event
from replaytool.model.simulation import TASK_FAILS

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


class SimulatedServer:
    """The simulated server of one run."""

    def __init__(self, course: Stepper, world: SimulationState) -> None:
        self._course = course
        self._replay = course.machines
        self._world = world
        self._heap: list[tuple[int, int, Act]] = []
        self._number = count()
        self._open: dict[StateMachine, str] = {}
        """Machines that wait for a result that is not recorded, and why."""
        self._timers: dict[StateMachine, str] = {}
        self._held: dict[StateMachine, FollowUpEvent] = {}
        self._end: SimulationEnd | None = None

    def run_past_record(self) -> SimulationEnd:
        """Replay the history, then go on as far as recorded results reach."""
        told: ActivationStep | None = None
        for told in self._course.run_steps():
            if not told.activation.is_replaying:
                self._collect_update_answers(told.answer.commands)
        trouble = self._course.outcome.message if self._course.outcome.word != "ok" else ""
        if told is not None and told.answer.failure is not None:
            trouble = trouble or told.answer.failure
        if trouble:
            return SimulationEnd(stopped=f"{TASK_FAILS}{trouble}")
        # As in sdk-core's tail: `patched()` is true now, and no command is compared with a record.
        self._replay.replaying = False
        self._replay.in_last_batch = True
        self._replay.advance_clock(self._world.now)
        self._take_commands()
        self._adopt_open_commands()
        self._run_until_idle()
        self._schedule_inbox()
        while self._end is None and self._heap:
            due, _, act = heapq.heappop(self._heap)
            self._advance_clock(due)
            act()
            self._run_until_idle()
        return self._end or self._end_waiting()

    def _end_waiting(self) -> SimulationEnd:
        reasons = list(dict.fromkeys(self._open.values()))
        return SimulationEnd(stopped="; ".join(reasons) or None, waiting=tuple(self._timers.values()))

    def _advance_clock(self, due: int) -> None:
        self._world.now = max(self._world.now, due)
        self._replay.advance_clock(self._world.now)

    def _schedule_action(self, due: int, act: Act) -> None:
        # The number keeps actions of one moment in order, and functions cannot be compared.
        heapq.heappush(self._heap, (due, next(self._number), act))

    def _run_until_idle(self) -> None:
        """Process commands and activations until the code waits."""
        self._take_commands()
        while self._end is None and self._replay.has_jobs:
            self._world.steps += 1
            if self._world.steps > _MOST_STEPS:
                self._end = SimulationEnd(stopped=f"it does not end: {_MOST_STEPS:,} activations ran")
                return
            self._replay.last_id += 3  # a task is scheduled, started and completed
            told = self._course.step_past_end(lambda replay: None)
            if told.answer.failure is not None or told.fault is not None:
                why = told.answer.failure or (told.fault.message if told.fault else "")
                self._end = SimulationEnd(stopped=f"{TASK_FAILS}{why}")
                return
            self._collect_update_answers(told.answer.commands)
            self._take_commands()

    def _collect_update_answers(self, commands: Iterable[WorkflowCommand]) -> None:
        self._world.answers += [one.update_response for one in commands if one.HasField("update_response")]

    # Commands that are open at the end of the history.

    def _adopt_open_commands(self) -> None:
        """Schedule the results of commands that were open at the end of the history."""
        for event_id, machine in list(self._replay.queue.by_event.items()):
            kind = _KINDS.get(type(machine))
            if kind is None or machine.state not in _AWAITING:
                continue
            if kind == "timer":
                self._adopt_timer(event_id, machine)
            # After a reset, the history has the re-applied events of open children and Nexus operations.
            elif not self._world.is_reset or kind not in ("child_workflow", "nexus_operation"):
                self._adopt_answer(event_id, machine, kind)

    def _adopt_timer(self, event_id: int, machine: StateMachine) -> None:
        event = next(event for event in self._replay.history.heads if event.event_id == event_id)
        due = (parse_nanoseconds(event.event_time) or 0) + machine.attrs.start_to_fire_timeout.ToNanoseconds()
        self._schedule_firing(machine, due, is_seen=event_id in self._world.supply.open)

    def _adopt_answer(self, event_id: int, machine: StateMachine, kind: str) -> None:
        found = self._world.supply.open.get(event_id)
        if kind == "activity" and not machine.state.startswith("Started"):
            self._world.count_rerun(machine.attrs.activity_type, "exact")
        if found is None or not found.follows:
            self._open[machine] = _describe_missing_result(kind, machine, found)
            return
        self._world.exact += 1
        if found.is_suspect:
            self._world.suspect[machine.attrs.activity_type] += 1
        for one in found.follows:
            due = self._world.now + one.delay if self._world.is_reset else one.at
            self._schedule_action(due, self._follow_up_action(machine, one))

    def _schedule_inbox(self) -> None:
        for event in self._world.inbox:
            self._schedule_action(parse_nanoseconds(event.event_time) or 0, self._delivery_action(event))

    def _delivery_action(self, event: Event) -> Act:
        def deliver_event() -> None:
            self._world.inbox.remove(event)
            self._replay.apply_simulated_event(event)

        return deliver_event

    # Commands of the code.

    def _take_commands(self) -> None:
        line = self._replay.queue
        while line.waiting and self._end is None:
            one = line.waiting.popleft()
            self._replay.last_id += 1
            self._world.sent.append((one.kind, one.machine))
            take = _TAKE.get(one.kind)
            if take is not None:
                take(self, one.machine)
            elif one.kind in _STATUS and one.command is not None:
                self._end = SimulationEnd(_STATUS[one.kind], getattr(one.command, one.kind))
        for machine in line.take_requested_local_activities():
            self._run_local_activity(machine)

    def _record_opening(self, machine: StateMachine, event_type: str, said: EventPart | None = None) -> None:
        machine.apply_event(self._replay, event_type, said or NoAttributes(), self._replay.last_id)

    def _answer_command(self, kind: str, machine: StateMachine) -> RecordedResult | None:
        found = self._world.supply.take_result(kind, self._world.supply.keys_of_command(kind, machine.attrs))
        recorded, match = found or (None, None)
        if kind == "activity":
            self._world.count_rerun(machine.attrs.activity_type, match)
        if recorded is None or not (recorded.marker or any(one.event_type.endswith(_ENDS) for one in recorded.follows)):
            self._open[machine] = _describe_missing_result(kind, machine, recorded)
        elif match == "exact":
            self._world.exact += 1
        else:
            self._world.assumed += 1
        if recorded is not None and recorded.is_suspect:
            self._world.suspect[machine.attrs.activity_type] += 1
        for one in recorded.follows if recorded is not None else ():
            self._schedule_action(self._world.now + one.delay, self._follow_up_action(machine, one))
        return recorded

    def _follow_up_action(self, machine: StateMachine, one: FollowUpEvent) -> Act:
        def tell_machine() -> None:
            if not machine.accepts_event(one.event_type):
                self._held[machine] = one  # a cancellation that this code has not requested yet
                return
            self._replay.last_id += 1
            machine.apply_event(self._replay, one.event_type, one.said, self._replay.last_id)

        return tell_machine

    def _schedule_activity(self, machine: StateMachine) -> None:
        attrs = machine.attrs
        self._record_opening(
            machine, types.ACTIVITY_SCHEDULED, ActivityScheduled(attrs.activity_id, TypeName(attrs.activity_type))
        )
        self._answer_command("activity", machine)

    def _cancel_activity(self, machine: StateMachine) -> None:
        self._record_opening(machine, types.ACTIVITY_CANCEL_REQUESTED)
        held = self._held.pop(machine, None)
        if held is not None:
            self._schedule_action(self._world.now, self._follow_up_action(machine, held))
        # TRY_CANCEL and ABANDON resolve an activity at once in the core: nothing waits for its result.
        if machine.attrs.cancellation_type != _WAITS:
            self._open.pop(machine, None)

    def _run_local_activity(self, machine: LocalActivityMachine) -> None:
        kind = machine.attrs.activity_type
        self._world.again_local[kind] += 1
        found = self._answer_command("local_activity", machine)
        if found is not None and (end := found.marker) is not None:
            self._schedule_action(self._world.now, lambda: machine.resolve_with_result(self._replay, end))

    def _start_timer(self, machine: StateMachine) -> None:
        self._record_opening(machine, types.TIMER_STARTED)
        found = self._world.supply.take_result("timer", self._world.supply.keys_of_command("timer", machine.attrs))
        due = self._world.now + machine.attrs.start_to_fire_timeout.ToNanoseconds()
        self._schedule_firing(machine, due, is_seen=found is not None and bool(found[0].follows))

    def _schedule_firing(self, machine: StateMachine, due: int, *, is_seen: bool) -> None:
        seconds = machine.attrs.start_to_fire_timeout.ToNanoseconds() / _SECOND
        self._timers[machine] = f"a timer of {seconds:g} s"
        if not (is_seen or due <= self._world.horizon):
            return

        def fire_timer() -> None:
            if machine.accepts_event(types.TIMER_FIRED):
                self._timers.pop(machine, None)
                self._replay.last_id += 1
                said = TimerFired(timer_id=str(machine.seq))
                machine.apply_event(self._replay, types.TIMER_FIRED, said, self._replay.last_id)

        self._schedule_action(due, fire_timer)

    def _cancel_timer(self, machine: StateMachine) -> None:
        self._timers.pop(machine, None)
        self._record_opening(machine, types.TIMER_CANCELED)

    def _start_child(self, machine: StateMachine) -> None:
        attrs = machine.attrs
        said = ChildInitiated(attrs.workflow_id, TypeName(attrs.workflow_type))
        self._record_opening(machine, types.CHILD_INITIATED, said)
        if self._is_child_refused(attrs):
            refused = FollowUpEvent(types.CHILD_START_FAILED, ChildClosed(cause=_REFUSED), 0, 0)
            self._schedule_action(self._world.now, self._follow_up_action(machine, refused))
            return
        self._answer_command("child_workflow", machine)

    def _is_child_refused(self, attrs: StartChildWorkflowExecution) -> bool:
        """Return whether the server would refuse the child, because of another workflow with its ID."""
        status = self._world.children.get(attrs.workflow_id)
        if status == "Running":
            return int(attrs.workflow_id_reuse_policy) != _TERMINATES
        rejects = status is not None and int(attrs.workflow_id_reuse_policy) == _REJECTS
        return rejects or (status == "Completed" and int(attrs.workflow_id_reuse_policy) == _ONLY_FAILED)

    def _schedule_nexus(self, machine: StateMachine) -> None:
        said = NexusScheduled(machine.attrs.service, machine.attrs.operation)
        self._record_opening(machine, types.NEXUS_SCHEDULED, said)
        self._answer_command("nexus_operation", machine)

    def _signal_external(self, machine: StateMachine) -> None:
        self._record_opening(machine, types.SIGNAL_INITIATED)
        self._answer_command("signal_workflow", machine)

    def _cancel_external(self, machine: StateMachine) -> None:
        self._record_opening(machine, types.CANCEL_INITIATED)
        # The core cancels a child by this command; the child's own events are the answer.
        if not machine.is_core_made:
            self._answer_command("cancel_workflow", machine)

    # Queries, and random numbers.

    def run_query(self, name: str) -> tuple[Payload | None, str | None]:
        """Return the answer to a query as a payload, or why there is none."""

        def queue_query(replay: WorkflowMachines) -> None:
            replay.queue_job(WorkflowActivationJob(query_workflow=QueryWorkflow(query_id=name, query_type=name)))

        told = self._course.step_past_end(queue_query)
        for command in told.answer.commands:
            if command.HasField("respond_to_query"):
                found = command.respond_to_query
                if found.HasField("failed"):
                    return None, found.failed.message
                return found.succeeded.response, None
        return None, told.answer.failure or "the code did not answer it"

    @property
    def has_drawn_random(self) -> bool:
        """Return whether the code has drawn random numbers since the run got its seed."""
        instance = self._course.driver.sdk_instance
        found = getattr(instance, "_random", None)
        run_id = self._find_seed_run_id()
        return found is not None and found.getstate() != random.Random(derive_random_seed(run_id)).getstate()

    def _find_seed_run_id(self) -> str:
        tape = self._replay.history
        for place in range(len(tape.types) - 1, -1, -1):
            if tape.types[place] == types.TASK_FAILED and tape.read_event(place).attributes.new_run_id:
                return str(tape.read_event(place).attributes.new_run_id)
        return self._replay.run_id


_KINDS: dict[type[StateMachine], str] = {
    ActivityMachine: "activity",
    TimerMachine: "timer",
    ChildWorkflowMachine: "child_workflow",
    NexusOperationMachine: "nexus_operation",
    SignalExternalMachine: "signal_workflow",
    CancelExternalMachine: "cancel_workflow",
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
"""The states in which a state machine waits for an event."""
_TAKE: dict[str, Callable[[SimulatedServer, StateMachine], None]] = {
    "schedule_activity": SimulatedServer._schedule_activity,
    "request_cancel_activity": SimulatedServer._cancel_activity,
    "start_timer": SimulatedServer._start_timer,
    "cancel_timer": SimulatedServer._cancel_timer,
    "start_child_workflow_execution": SimulatedServer._start_child,
    "schedule_nexus_operation": SimulatedServer._schedule_nexus,
    "request_cancel_nexus_operation": lambda at, machine: at._record_opening(machine, types.NEXUS_CANCEL_REQUESTED),
    "signal_external_workflow_execution": SimulatedServer._signal_external,
    "request_cancel_external_workflow_execution": SimulatedServer._cancel_external,
    "update_accept": lambda at, machine: at._record_opening(machine, types.ACCEPTED),
    "update_complete": lambda at, machine: at._record_opening(machine, types.UPDATE_COMPLETED),
}
_WAITS = 1  # ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
_ONLY_FAILED, _REJECTS, _TERMINATES = 2, 3, 4  # WorkflowIdReusePolicy
_ENDS = (*types.ENDINGS, "Signaled", "CancelRequested")


def _describe_missing_result(kind: str, machine: StateMachine, found: RecordedResult | None) -> str:
    assert machine.command is not None, f"{type(machine).__name__} waits for a result, so the code asked for it"
    known = BY_VARIANT[str(machine.command.WhichOneof("variant"))]
    name = getattr(machine.attrs, {"activity": "activity_type", "local_activity": "activity_type"}.get(kind, ""), "")
    name = name or getattr(machine.attrs, "workflow_type", "") or getattr(machine.attrs, "operation", "")
    why = ": it was still open when the history was exported" if found is not None else ""
    return f"no recorded result of {describe_command(known.kind, name)}{why}"
