"""Events become the activations that a worker would get, and the commands of a worker are matched with events.

This is the loop of the SDK's core without the core: take the next sequence of events, apply it to the machines, look
ahead to what the workflow already knew in this task, and tell it; put its commands in line; go on. The line is first
in, first out, and a command event takes its head: that is the whole matching rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from temporalio.bridge.proto.workflow_activation import (
    CancelWorkflow,
    NotifyHasPatch,
    SignalWorkflow,
    WorkflowActivationJob,
)
from temporalio.bridge.proto.workflow_commands import WorkflowCommand

from replaytool.engines.temporal.core.activation_builder import Teller
from replaytool.engines.temporal.core.command_queue import Line
from replaytool.engines.temporal.core.initialize_job import Beginning, initialize
from replaytool.engines.temporal.core.sdk_flags import Observed
from replaytool.engines.temporal.core.skip_mismatch import Astray
from replaytool.engines.temporal.core.state_machines.base import Fault
from replaytool.engines.temporal.core.state_machines.local_activity import (
    LOCAL_ACTIVITY,
    LocalActivity,
    Resolution,
    resolution_of,
)
from replaytool.engines.temporal.core.state_machines.timer import Task, patch_of
from replaytool.engines.temporal.core.task_batches import (
    TASK_COMPLETED,
    TASK_SCHEDULED,
    TASK_STARTED,
    Tape,
    previous_started_id,
)
from replaytool.engines.temporal.core.update_messages import Message, admitted, requested, update_of
from replaytool.engines.temporal.events.decoding import DECODERS, RECORDS
from replaytool.engines.temporal.events.event_types import COMMAND_EVENTS, FINAL_EVENTS
from replaytool.engines.temporal.events.timestamps import parse_nanoseconds
from replaytool.model.history import Event

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


class Replay:
    """One run on its way through its record."""

    def __init__(self, events: Sequence[Event], beginning: Beginning, own_build: Callable[[], str] = str) -> None:
        self.tape = Tape(events)
        self.beginning = beginning
        self.previous_id = previous_started_id(self.tape.heads)
        self.replaying = self.previous_id > 0
        self.in_last = False
        self.flags = Observed()
        self.run_id = ""
        self.line = Line(self)
        self.astray: Astray | None = None
        """There where a mismatch is not to stop the replay."""
        self.last_id = 0
        """The last event applied."""
        self.now: int | None = None
        self._jobs: list[WorkflowActivationJob] = []
        self._started_id = self._next_started_id = 0
        self._saw_end = False
        self._task: Any = None
        self._messages: list[Message] = []
        self._taken_in: Any = None
        self.teller = Teller(own_build)
        first = self.tape.next_completed(0)
        if first is not None:
            self.flags.add(first)

    # What machines may do to the replay.

    def tell(self, job: WorkflowActivationJob) -> None:
        """Hand the workflow a job with its next activation."""
        self._jobs.append(job)

    def ask(self, machine: Any, kind: str) -> None:
        """Put one more command of this machine in line."""
        self.line.issue(machine, kind)

    def cancel_externally(self, machine: Any) -> None:
        """Put in line the request to cancel this child."""
        self.line.cancel_externally(machine)

    def cancel_local(self, machine: LocalActivity) -> Fault | None:
        """The workflow gives up a local activity: what is known of its end is told."""
        return self.line.cancel_local(machine)

    def event_time(self) -> int | None:
        """When the event being applied was recorded."""
        return parse_nanoseconds(self._event.event_time)

    def set_clock(self, time: int) -> None:
        """The workflow's time moves on, and never back."""
        if self.now is None or time > self.now:
            self.now = time

    def task_started(self, started_id: int, time: int) -> Fault | None:
        """A task is under way."""
        self._started_id = started_id
        self.set_clock(time)
        if not self.replaying:
            self.line.stop_waiting()
        return None

    # The loop.

    def begin(self) -> Fault | None:
        """Apply the first sequence: a fault here comes before the workflow was told anything."""
        fault = self._apply_next()[1]
        if fault is None and not self._jobs:
            fault = self._apply_next()[1]
        return fault

    def next_activation(self) -> Any:
        """What to tell the workflow now; None when there is nothing more to tell."""
        if not self._jobs:
            return None
        self.line.peeked.activation += 1
        jobs, self._jobs = self._jobs, []
        return self.teller.activation(self, jobs, self._task)

    def complete(self, commands: Iterable[WorkflowCommand]) -> Fault | None:
        """Take the workflow's answer, and apply events until there is something to tell it again."""
        fault = self.line.take(commands)
        while fault is None and not self._jobs:
            count, fault = self._apply_next()
            if not count or not self.replaying:
                break
        if fault is None:
            self.line.run_queued()
        if self._saw_end:
            self._jobs.clear()  # the run is over, and nobody is told anything any more
        return fault

    @property
    def has_jobs(self) -> bool:
        """Whether there is something to tell the workflow."""
        return bool(self._jobs)

    def hear(self, event: Event) -> Fault | None:
        """Past the record: something comes from outside, as this event would tell of it."""
        self._event = event
        self.last_id += 1
        said = DECODERS[event.event_type](event.raw).attributes
        if event.event_type not in (_ADMITTED, _ACCEPTED):
            return _PLAIN[event.event_type](self, said)
        found = admitted(said, self.last_id) if event.event_type == _ADMITTED else requested(said)
        if isinstance(found, Fault):
            return found
        self._begin_update(found)
        return None

    @property
    def is_told(self) -> bool:
        """Whether the whole record was taken in, and no task in it failed after the last one that did not."""
        for kind in reversed(self.tape.types):
            if kind in FINAL_EVENTS or kind == TASK_COMPLETED:
                return self._at_end
            if kind in ("WorkflowTaskFailed", "WorkflowTaskTimedOut"):
                return False
        return self._at_end

    @property
    def _at_end(self) -> bool:
        return self.tape.at >= len(self.tape.heads) - 1

    def _apply_next(self) -> tuple[int, Fault | None]:
        """Apply one sequence; how many events it had."""
        if self._saw_end:
            self.replaying = False
            return 0, None
        taken, self.in_last = self.tape.take(self._started_id)
        events, before = self.tape.heads, self._started_id
        places: Sequence[int] = taken
        if taken and events[taken[0]].event_id <= self.last_id:
            places = [place for place in taken if events[place].event_id > self.last_id]
        if places:
            self.line.peeked.activation = 0
            self._observe(places)
            if self.tape.types[places[-1]] == TASK_STARTED:
                self._next_started_id = events[places[-1]].event_id
        else:
            self.replaying = False
        stashed: dict[str, Message] = {}
        fault = self._apply_all(places, stashed)
        if fault is None and self.tape.looks_ahead:
            fault = self._look_ahead(self.tape.peek(before), stashed)
        return len(places), fault or self.line.release_if_idle(bool(self._jobs))

    def _observe(self, places: Sequence[int]) -> None:
        """Take in what completed tasks say, up to the one that closes the task about to be replayed."""
        types = self.tape.types
        for place in [place for place in places if types[place] == TASK_COMPLETED]:
            self._take_in(self.tape.record(place).attributes)
        self._take_in(self.tape.next_completed(self.tape.heads[places[-1]].event_id))

    def _take_in(self, said: Any) -> None:
        if said is not None and said is not self._taken_in:
            self._taken_in = said
            self.flags.add(said)
            self.flags.add_build(said)

    def _apply_all(self, places: Sequence[int], stashed: dict[str, Message]) -> Fault | None:
        """Apply the events of one sequence; this is the loop that a long history spends its time in."""
        tape, by_event, skip = self.tape, self.line.by_event, False
        last = places[-1] if places else 0
        for place in places:
            self._event = event = tape.heads[place]
            event_id, kind = event.event_id, tape.types[place]
            if event_id != self.last_id + 1:
                text = f"History is out of order. Last processed event: {self.last_id}, event id: {event_id}"
                return Fault("fatal", text)
            if self.in_last and self.replaying and self._is_new(event_id, kind):
                self.replaying = False
            said = None if skip or self._messages else (tape.records[place] or tape.record(place)).attributes
            fault: Fault | None
            if said is not None and kind in _FOLLOWS and (machine := by_event.get(said.of)) is not None:
                if kind == TASK_STARTED:
                    self._task = said
                fault = machine.on_event(self, kind, said, event_id)
            elif said is not None and (plain := _PLAIN.get(kind)) is not None:
                fault = plain(self, said)
            else:
                fault, skip = self._apply_other(place, place + 1 if place < last else None, stashed, skip)
            if fault is not None and not (self.astray and self.astray.passes(self, place, fault)):
                return fault
            self.last_id = event_id
        return None

    def _apply_other(
        self, place: int, after: int | None, stashed: dict[str, Message], skip: bool
    ) -> tuple[Fault | None, bool]:
        """Apply an event of any kind; whether the next one is to be skipped."""
        fault: Fault | None = None
        if self.tape.types[place] == _ADMITTED and self.tape.record(place).attributes is not None:
            fault, skip = self._admit(place, stashed), True
        if self._messages and fault is None:
            self._handle_messages(self._event.event_id - 1)
        if fault is not None or skip:
            return fault, False
        return self._apply(place, after)

    def _is_new(self, event_id: int, kind: str) -> bool:
        """Whether nothing that the workflow did in a completed task led to this event."""
        return event_id > self.previous_id and kind != TASK_COMPLETED and kind not in COMMAND_EVENTS

    def _admit(self, place: int, stashed: dict[str, Message]) -> Fault | None:
        message = admitted(self.tape.record(place).attributes, self._event.event_id)
        if isinstance(message, Fault):
            return message
        if self.replaying:
            stashed[message.instance_id] = message
        else:
            self._messages.append(message)
        return None

    def _handle_messages(self, up_to: int) -> None:
        ready = [one for one in self._messages if one.after_event_id <= up_to]
        self._messages = [one for one in self._messages if one.after_event_id > up_to]
        for message in ready:
            self._begin_update(message)

    def _begin_update(self, message: Message) -> None:
        machine, job = update_of(message, run_validator=not self.replaying)
        self.line.updates[message.instance_id] = machine
        self.tell(job)

    def _apply(self, place: int, after: int | None) -> tuple[Fault | None, bool]:
        """Apply one event; whether the next one is to be skipped."""
        kind, read = self.tape.types[place], self.tape.record(place)
        if kind in _ENDS_OR_MAY_BE_IGNORED:
            if kind in FINAL_EVENTS:
                self._saw_end = True
            if kind in _IGNORABLE and read.worker_may_ignore and read.attributes is not None:
                return None, False
            if kind in _CUT_OFF:
                more = after is not None or not self.in_last
                return (Fault("fatal", _AFTER_THE_END) if more else None), False
        said = read.attributes
        if said is None:
            return _unspecified(read), False
        if kind in COMMAND_EVENTS:
            return self.line.match(place, kind, said, after)
        plain = _PLAIN.get(kind)
        if plain is not None:
            return plain(self, said), False
        if kind in _FOLLOWS:
            return self._follow(kind, said), False
        text = "The event is not a non-stateful event, but we tried to handle it as one: "
        return Fault("fatal", f"{text}HistoryEvent(id: {self._event.event_id}, {kind})"), False

    def _follow(self, kind: str, said: Any) -> Fault | None:
        machine = self.line.by_event.get(said.of)
        if machine is None:
            text = "During event handling, this event had an initial command ID but we could not find a matching"
            return Fault("nondeterminism", f"{text} command for it: HistoryEvent {{ event_id: {self._event.event_id}")
        if kind == TASK_STARTED:
            self._task = said
        return machine.on_event(self, kind, said, self._event.event_id)

    def _started(self, said: Any) -> Fault | None:
        time = self.event_time()
        if time is not None:
            self.set_clock(time)
        self.run_id = said.original_execution_run_id
        self.tell(initialize(said, self.beginning.workflow_id, time))
        return None

    def _scheduled(self, said: Any) -> Fault | None:
        task = Task()
        task.ends_sequence = self._next_started_id
        self.line.by_event[self._event.event_id] = task
        return None

    def _signaled(self, said: Any) -> Fault | None:
        job = WorkflowActivationJob()
        signal = job.signal_workflow
        signal.signal_name, signal.identity = said.signal_name, said.identity
        for one in said.input.payloads:
            one.write_proto(signal.input.add())
        for name, one in said.header.fields.items():
            one.write_proto(signal.headers[name])
        if _HAS_EVENT_ID:
            signal.originating_event_id = self._event.event_id
        self.tell(job)
        return None

    def _cancel_asked(self, said: Any) -> Fault | None:
        self.tell(WorkflowActivationJob(cancel_workflow=CancelWorkflow(reason=said.cause)))
        return None

    def _look_ahead(self, places: range, stashed: dict[str, Message]) -> Fault | None:
        """What the workflow already knew in this task stands in the record only behind it."""
        found: list[Resolution | Message] = []
        for place in places:
            kind = self.tape.types[place]
            if kind not in ("MarkerRecorded", _ACCEPTED) or (said := self.tape.record(place).attributes) is None:
                continue
            seen = self._seen_ahead(kind, said, stashed)
            if isinstance(seen, Fault):
                return seen
            if seen is not None:
                found.append(seen)
        for one in found:
            if isinstance(one, Message):
                self._begin_update(one)
                continue
            fault = self.line.peek(one)
            if fault is not None:
                return fault
        return None

    def _seen_ahead(self, kind: str, said: Any, stashed: dict[str, Message]) -> Resolution | Message | Fault | None:
        if kind == _ACCEPTED:
            known = stashed.pop(said.protocol_instance_id, None)
            return known if known is not None else requested(said)
        if said.marker_name == LOCAL_ACTIVITY:
            return resolution_of(said) or Fault("fatal", "Local activity marker was unparsable")
        patch = patch_of(said)
        if patch is not None:
            self.line.patches[patch[0]] = False
            self.tell(WorkflowActivationJob(notify_has_patch=NotifyHasPatch(patch_id=patch[0])))
        return None


def _unspecified(read: Any) -> Fault | None:
    """An event without content is an error, unless workers may pass it over."""
    if read.worker_may_ignore:
        return None
    return Fault("fatal", "Event type is unspecified! This history is invalid.")


_AFTER_THE_END = "Machines were fed a history which has an event after workflow execution was terminated!"
_PLAIN: dict[str, Callable[[Replay, Any], Fault | None]] = {
    "WorkflowExecutionStarted": Replay._started,
    TASK_SCHEDULED: Replay._scheduled,
    "WorkflowExecutionSignaled": Replay._signaled,
    "WorkflowExecutionCancelRequested": Replay._cancel_asked,
}
