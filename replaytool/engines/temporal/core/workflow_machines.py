"""The replay loop of one run: events become activations, and the workflow's commands are matched with events.

This follows sdk-core's `WorkflowMachines`: apply the next batch of events to the state machines, look ahead into the
batch after it, send one activation, put the workflow's commands into the command queue, and repeat. The queue is
first in, first out, and a command event takes its front: that is the whole matching rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from temporalio.bridge.proto.workflow_activation import (
    CancelWorkflow,
    NotifyHasPatch,
    SignalWorkflow,
    WorkflowActivation,
    WorkflowActivationJob,
)
from temporalio.bridge.proto.workflow_commands import WorkflowCommand

from replaytool.engines.temporal.core.activation_builder import ActivationBuilder
from replaytool.engines.temporal.core.command_queue import CommandQueue
from replaytool.engines.temporal.core.history_batches import (
    TASK_COMPLETED,
    TASK_SCHEDULED,
    TASK_STARTED,
    HistoryBatches,
    find_previous_started_id,
)
from replaytool.engines.temporal.core.initialize_job import Beginning, build_initialize_job
from replaytool.engines.temporal.core.sdk_flags import ObservedFlags
from replaytool.engines.temporal.core.skip_mismatch import MismatchSkipper
from replaytool.engines.temporal.core.state_machines.base import Fault, StateMachine
from replaytool.engines.temporal.core.state_machines.local_activity import (
    LOCAL_ACTIVITY,
    LocalActivityResolution,
    read_local_activity_marker,
)
from replaytool.engines.temporal.core.state_machines.patch import read_patch_marker
from replaytool.engines.temporal.core.state_machines.workflow_task import WorkflowTaskMachine
from replaytool.engines.temporal.core.update_messages import (
    UpdateRequest,
    create_update_machine,
    read_accepted_update,
    read_admitted_update,
)
from replaytool.engines.temporal.events.decoding import DECODERS, RECORDS, EventRecord
from replaytool.engines.temporal.events.event_structs import (
    CancelRequested,
    EventPart,
    MarkerRecorded,
    NoAttributes,
    TaskCompleted,
    TaskStarted,
    UpdateAccepted,
    WorkflowSignaled,
    WorkflowStarted,
)
from replaytool.engines.temporal.events.event_types import COMMAND_EVENTS, FINAL_EVENTS
from replaytool.engines.temporal.events.timestamps import parse_nanoseconds
from replaytool.model.history import Event, EventHead

_FOLLOWS = frozenset(
    name for name, record in RECORDS.items() if "of" in record.__struct_fields__ and name not in COMMAND_EVENTS
)
_IGNORABLE = frozenset(
    [
        "WorkflowExecutionOptionsUpdated",
        "WorkflowExecutionPaused",
        "WorkflowExecutionUnpaused",
        "WorkflowExecutionTimeSkippingTransitioned",
    ]
)
_CUT_OFF = frozenset({"WorkflowExecutionTerminated", "WorkflowExecutionTimedOut"})
_ENDS_OR_MAY_BE_IGNORED = FINAL_EVENTS | _IGNORABLE
_ADMITTED, _ACCEPTED = "WorkflowExecutionUpdateAdmitted", "WorkflowExecutionUpdateAccepted"
_HAS_EVENT_ID = "originating_event_id" in SignalWorkflow.DESCRIPTOR.fields_by_name


class WorkflowMachines:
    """Replay one run: produce its activations and match its commands with its history."""

    _event: EventHead
    """The event that is being applied."""

    def __init__(self, events: Sequence[Event], beginning: Beginning, own_build: Callable[[], str] = str) -> None:
        self.history = HistoryBatches(events)
        self.beginning = beginning
        self.previous_id = find_previous_started_id(self.history.heads)
        self.replaying = self.previous_id > 0
        self.in_last_batch = False
        self.flags = ObservedFlags()
        self.run_id = ""
        self.queue = CommandQueue(self)
        self.skipper: MismatchSkipper | None = None
        """Set when the replay continues past a mismatch."""
        self.last_id = 0
        """The id of the last event that was applied."""
        self.now: int | None = None
        self._jobs: list[WorkflowActivationJob] = []
        self._started_id = self._next_started_id = 0
        self._saw_end = False
        self._task: TaskStarted | None = None
        """The newest started workflow task."""
        self._messages: list[UpdateRequest] = []
        self._observed_task: TaskCompleted | None = None
        self.builder = ActivationBuilder(own_build)
        first = self.history.next_completed_task(0)
        if first is not None:
            self.flags.add_completed_task(first)

    # What state machines may ask for (`MachineHost`).

    def queue_job(self, job: WorkflowActivationJob) -> None:
        """Queue a job for the next activation."""
        self._jobs.append(job)

    def issue_command(self, machine: StateMachine, kind: str) -> None:
        """Put one more command of this machine into the command queue."""
        self.queue.issue_command(machine, kind)

    def issue_external_cancel(self, child: StateMachine, reason: str) -> None:
        """Put the request to cancel this child workflow into the command queue."""
        self.queue.issue_external_cancel(child, reason)

    def cancel_local_activity(self, seq: int) -> Fault | None:
        """Resolve a cancelled local activity with what the history already records about it."""
        return self.queue.cancel_local_activity(seq)

    def current_event_time(self) -> int | None:
        """Return the time of the event that is being applied, in nanoseconds."""
        return parse_nanoseconds(self._event.event_time)

    def advance_clock(self, time: int) -> None:
        """Advance the workflow's time; it never goes back."""
        if self.now is None or time > self.now:
            self.now = time

    def start_workflow_task(self, started_id: int, time: int) -> None:
        """Start a workflow task: its start time becomes the workflow's time."""
        self._started_id = started_id
        self.advance_clock(time)
        if not self.replaying:
            self.queue.stop_waiting_for_markers()

    # The loop.

    def apply_first_batch(self) -> Fault | None:
        """Apply the first batch. The SDK reports a fault here as an error of the history, not as nondeterminism."""
        fault = self._apply_next_batch()[1]
        if fault is None and not self._jobs:
            fault = self._apply_next_batch()[1]
        return fault

    def next_activation(self) -> WorkflowActivation | None:
        """Return the next activation, or None when no job is left."""
        if not self._jobs:
            return None
        self.queue.resolutions.activation += 1
        jobs, self._jobs = self._jobs, []
        return self.builder.build_activation(self, jobs, self._task)

    def complete_activation(self, commands: Iterable[WorkflowCommand]) -> Fault | None:
        """Take the commands of an activation, then apply events until there is a job again."""
        fault = self.queue.take_commands(commands)
        while fault is None and not self._jobs:
            count, fault = self._apply_next_batch()
            if not count or not self.replaying:
                break
        if fault is None:
            self.queue.run_local_activities()
        if self._saw_end:
            self._jobs.clear()  # sdk-core drops pending jobs at the terminal event: no activation follows it
        return fault

    @property
    def has_jobs(self) -> bool:
        """Whether a job waits for the next activation."""
        return bool(self._jobs)

    def apply_simulated_event(self, event: Event) -> Fault | None:
        """Apply an event that the history does not hold: a simulation adds it behind the end."""
        self._event = event
        self.last_id += 1
        said = DECODERS[event.event_type](event.raw).attributes
        if event.event_type not in (_ADMITTED, _ACCEPTED):
            return _PLAIN[event.event_type](self, said)
        found = (
            read_admitted_update(said, self.last_id) if event.event_type == _ADMITTED else read_accepted_update(said)
        )
        if isinstance(found, Fault):
            return found
        self._start_update(found)
        return None

    @property
    def is_fully_replayed(self) -> bool:
        """Whether the whole history was applied and no task failed after the last completed one."""
        for kind in reversed(self.history.types):
            if kind in FINAL_EVENTS or kind == TASK_COMPLETED:
                return self._is_at_end
            if kind in ("WorkflowTaskFailed", "WorkflowTaskTimedOut"):
                return False
        return self._is_at_end

    @property
    def _is_at_end(self) -> bool:
        return self.history.at >= len(self.history.heads) - 1

    def _apply_next_batch(self) -> tuple[int, Fault | None]:
        """Apply the next batch; return its number of events."""
        if self._saw_end:
            self.replaying = False
            return 0, None
        taken, self.in_last_batch = self.history.take_next_batch(self._started_id)
        events, before = self.history.heads, self._started_id
        places: Sequence[int] = taken
        if taken and events[taken[0]].event_id <= self.last_id:
            places = [place for place in taken if events[place].event_id > self.last_id]
        if places:
            self.queue.resolutions.activation = 0
            self._observe_completed_tasks(places)
            if self.history.types[places[-1]] == TASK_STARTED:
                self._next_started_id = events[places[-1]].event_id
        else:
            self.replaying = False
        stashed: dict[str, UpdateRequest] = {}
        fault = self._apply_events(places, stashed)
        if fault is None and self.history.looks_ahead:
            fault = self._look_ahead(self.history.peek_next_batch(before), stashed)
        return len(places), fault or self.queue.release_held_resolutions(has_jobs=bool(self._jobs))

    def _observe_completed_tasks(self, places: Sequence[int]) -> None:
        """Read flags and builds of completed tasks, up to the one that closes the task about to be replayed.

        Flags that a task writes are already active while that task is replayed.
        """
        types = self.history.types
        for place in [place for place in places if types[place] == TASK_COMPLETED]:
            self._observe_task_completed(self.history.read_event(place).attributes)
        self._observe_task_completed(self.history.next_completed_task(self.history.heads[places[-1]].event_id))

    def _observe_task_completed(self, task: TaskCompleted | None) -> None:
        if task is not None and task is not self._observed_task:
            self._observed_task = task
            self.flags.add_completed_task(task)
            self.flags.add_worker_build(task)

    def _apply_events(self, places: Sequence[int], stashed: dict[str, UpdateRequest]) -> Fault | None:
        """Apply the events of one batch. Replaying a long history spends its time in this loop."""
        history, by_event, skip = self.history, self.queue.by_event, False
        last = places[-1] if places else 0
        for place in places:
            self._event = event = history.heads[place]
            event_id, kind = event.event_id, history.types[place]
            if event_id != self.last_id + 1:
                text = f"History is out of order. Last processed event: {self.last_id}, event id: {event_id}"
                return Fault("fatal", text)
            if self.in_last_batch and self.replaying and self._is_new_event(event_id, kind):
                self.replaying = False
            said = None if skip or self._messages else (history.records[place] or history.read_event(place)).attributes
            fault: Fault | None
            if said is not None and kind in _FOLLOWS and (machine := by_event.get(said.of)) is not None:
                if kind == TASK_STARTED:
                    self._task = said
                fault = machine.apply_event(self, kind, said, event_id)
            elif said is not None and (plain := _PLAIN.get(kind)) is not None:
                fault = plain(self, said)
            else:
                fault, skip = self._apply_rare_event(place, place + 1 if place < last else None, stashed, skip)
            if fault is not None and not (self.skipper and self.skipper.try_to_skip(self, place, fault)):
                return fault
            self.last_id = event_id
        return None

    def _apply_rare_event(
        self, place: int, after: int | None, stashed: dict[str, UpdateRequest], skip: bool
    ) -> tuple[Fault | None, bool]:
        """Apply an event of any type; the second value tells whether to skip the next event."""
        fault: Fault | None = None
        if self.history.types[place] == _ADMITTED and self.history.read_event(place).attributes is not None:
            fault, skip = self._queue_admitted_update(place, stashed), True
        if self._messages and fault is None:
            self._deliver_update_messages(self._event.event_id - 1)
        if fault is not None or skip:
            return fault, False
        return self._apply_event(place, after)

    def _is_new_event(self, event_id: int, kind: str) -> bool:
        """Whether no completed task led to this event. The first such event of the last batch ends replaying."""
        return event_id > self.previous_id and kind != TASK_COMPLETED and kind not in COMMAND_EVENTS

    def _queue_admitted_update(self, place: int, stashed: dict[str, UpdateRequest]) -> Fault | None:
        message = read_admitted_update(self.history.read_event(place).attributes, self._event.event_id)
        if isinstance(message, Fault):
            return message
        if self.replaying:
            stashed[message.instance_id] = message
        else:
            self._messages.append(message)
        return None

    def _deliver_update_messages(self, up_to: int) -> None:
        ready = [one for one in self._messages if one.after_event_id <= up_to]
        self._messages = [one for one in self._messages if one.after_event_id > up_to]
        for message in ready:
            self._start_update(message)

    def _start_update(self, message: UpdateRequest) -> None:
        machine, job = create_update_machine(message, run_validator=not self.replaying)
        self.queue.updates[message.instance_id] = machine
        self.queue_job(job)

    def _apply_event(self, place: int, after: int | None) -> tuple[Fault | None, bool]:
        """Apply one event; the second value tells whether to skip the next event."""
        kind, read = self.history.types[place], self.history.read_event(place)
        if kind in _ENDS_OR_MAY_BE_IGNORED:
            if kind in FINAL_EVENTS:
                self._saw_end = True
            if kind in _IGNORABLE and read.worker_may_ignore and read.attributes is not None:
                return None, False
            if kind in _CUT_OFF:
                more = after is not None or not self.in_last_batch
                return (Fault("fatal", _AFTER_THE_END) if more else None), False
        said = read.attributes
        if said is None:
            return _check_missing_attributes(read), False
        if kind in COMMAND_EVENTS:
            return self.queue.match_event(place, kind, said, after)
        plain = _PLAIN.get(kind)
        if plain is not None:
            return plain(self, said), False
        if kind in _FOLLOWS:
            return self._apply_to_machine(kind, said, said.of), False
        text = "The event is not a non-stateful event, but we tried to handle it as one: "
        return Fault("fatal", f"{text}HistoryEvent(id: {self._event.event_id}, {kind})"), False

    def _apply_to_machine(self, kind: str, said: EventPart, of: int) -> Fault | None:
        machine = self.queue.by_event.get(of)
        if machine is None:
            text = "During event handling, this event had an initial command ID but we could not find a matching"
            return Fault("nondeterminism", f"{text} command for it: HistoryEvent {{ event_id: {self._event.event_id}")
        if isinstance(said, TaskStarted):
            self._task = said
        return machine.apply_event(self, kind, said, self._event.event_id)

    def _start_workflow(self, said: WorkflowStarted) -> None:
        time = self.current_event_time()
        if time is not None:
            self.advance_clock(time)
        self.run_id = said.original_execution_run_id
        self.queue_job(build_initialize_job(said, self.beginning.workflow_id, time))

    def _add_workflow_task(self, scheduled: NoAttributes) -> None:
        self.queue.by_event[self._event.event_id] = WorkflowTaskMachine(self._next_started_id)

    def _queue_signal(self, signaled: WorkflowSignaled) -> None:
        job = WorkflowActivationJob()
        signal = job.signal_workflow
        signal.signal_name, signal.identity = signaled.signal_name, signaled.identity
        for one in signaled.input.payloads:
            one.write_proto(signal.input.add())
        for name, one in signaled.header.fields.items():
            one.write_proto(signal.headers[name])
        if _HAS_EVENT_ID:
            signal.originating_event_id = self._event.event_id
        self.queue_job(job)

    def _queue_cancel(self, requested: CancelRequested) -> None:
        self.queue_job(WorkflowActivationJob(cancel_workflow=CancelWorkflow(reason=requested.cause)))

    def _look_ahead(self, places: range, stashed: dict[str, UpdateRequest]) -> Fault | None:
        """Read patches, local activities and updates of the next batch.

        The workflow knew them in the task that is replayed; the history records them behind that task.
        """
        found: list[LocalActivityResolution | UpdateRequest] = []
        for place in places:
            if self.history.types[place] not in ("MarkerRecorded", _ACCEPTED):
                continue
            seen = self._read_event_ahead(self.history.read_event(place).attributes, stashed)
            if isinstance(seen, Fault):
                return seen
            if seen is not None:
                found.append(seen)
        for one in found:
            if isinstance(one, UpdateRequest):
                self._start_update(one)
                continue
            fault = self.queue.add_resolution(one)
            if fault is not None:
                return fault
        return None

    def _read_event_ahead(
        self, event: MarkerRecorded | UpdateAccepted | None, stashed: dict[str, UpdateRequest]
    ) -> LocalActivityResolution | UpdateRequest | Fault | None:
        if event is None:
            return None
        if isinstance(event, UpdateAccepted):
            known = stashed.pop(event.protocol_instance_id, None)
            return known if known is not None else read_accepted_update(event)
        if event.marker_name == LOCAL_ACTIVITY:
            return read_local_activity_marker(event) or Fault("fatal", "Local activity marker was unparsable")
        patch = read_patch_marker(event)
        if patch is not None:
            self.queue.patches[patch[0]] = False
            self.queue_job(WorkflowActivationJob(notify_has_patch=NotifyHasPatch(patch_id=patch[0])))
        return None


def _check_missing_attributes(read: EventRecord) -> Fault | None:
    """Return a fault for an event without attributes, unless workers may ignore it."""
    if read.worker_may_ignore:
        return None
    return Fault("fatal", "Event type is unspecified! This history is invalid.")


_AFTER_THE_END = "Machines were fed a history which has an event after workflow execution was terminated!"
# Each function takes the struct that `RECORDS` names for its event.
_PLAIN: dict[str, Callable[..., Fault | None]] = {
    "WorkflowExecutionStarted": WorkflowMachines._start_workflow,
    TASK_SCHEDULED: WorkflowMachines._add_workflow_task,
    "WorkflowExecutionSignaled": WorkflowMachines._queue_signal,
    "WorkflowExecutionCancelRequested": WorkflowMachines._queue_cancel,
}
