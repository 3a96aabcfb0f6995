"""What the events of a journal say."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from replaytool.config import Settings
from replaytool.engines.base import ValueDecoder
from replaytool.model.event_label import EventLabel
from replaytool.model.event_role import EventRole
from replaytool.model.history import Event, EventHead, Run
from replaytool.model.pending_work import PendingItem, TrackedWork, WorkflowTask, WorkRecord
from replaytool.model.record_features import RecordFeatures
from replaytool.model.recorded_step import ABSENT, RecordedEnd, RecordedStep
from replaytool.model.task_index import CompletedTask, TaskIndex
from tests.toy_engine.toy.journal import ENDED, STARTED, STEP, entries_of, event_of


class PlainDecoder:
    """Values of journals are plain already."""

    def make_readable(self, event: object) -> Any:
        """Return the event as it is."""
        return event

    def decode_run(self, run: Run) -> Run:
        """Return the run as it is."""
        return run


class ToyRecordReader:
    """Reads journals; nothing here runs a program."""

    def read_history(self, run: Run, history: bytes) -> Run:
        """Return the run with its events."""
        lines = json.loads(history)["events"]
        events = [event_of(one["eventId"], json.dumps(one).encode()) for one in lines]
        return replace(run, events=events)

    def name_events(self, events: Iterable[Event]) -> Iterator[tuple[Event, str, Mapping[str, Any]]]:
        """Yield each event with the name of its step."""
        for event in events:
            entry = json.loads(event.raw)
            yield event, str(entry.get("name") or entry.get("program") or ""), entry

    def classify_event(self, event_type: str) -> EventRole:
        """Return the role of a line of a journal."""
        return EventRole("start" if event_type == STARTED else "end" if event_type == ENDED else "step")

    def split_event(self, whole: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Return the whole line: lines have nothing in common."""
        return whole, {}

    def label_events(self, events: Iterable[Event], decoder: ValueDecoder) -> list[EventLabel]:
        """Return each step with what went in and came out."""
        return [
            EventLabel(event.event_id, event.event_type, name, {key: entry.get(key) for key in ("input", "result")})
            for event, name, entry in self.name_events(events)
        ]

    def summarize_value(self, attributes: Mapping[str, Any]) -> Any:
        """Return the result, or else the input."""
        return attributes.get("result", attributes.get("input"))

    def read_carried_values(self, attributes: Mapping[str, Any]) -> Sequence[Any]:
        """Return the result, or else the input."""
        return [self.summarize_value(attributes)]

    def read_work(self, events: Sequence[Event], readable: Callable[[Any], Any] | None = None) -> WorkRecord:
        """Return the steps as work: a journal holds a step when it is done, but for the last of an open run."""
        names: list[str] = []
        works: list[TrackedWork] = []
        tasks: list[WorkflowTask] = []
        closed: tuple[int, str] | None = None
        for event, name, entry in self.name_events(events):
            names.append(name)
            if event.event_type == STEP:
                is_done = "result" in entry
                item = PendingItem(
                    "step", name, str(entry["step"]), event.event_id, "Done" if is_done else "Started", event.event_id
                )
                works.append(TrackedWork((item,), event.event_id if is_done else None))
                tasks.append(_task(len(tasks) + 1, event))
            elif event.event_type == ENDED:
                closed = (event.event_id, "Completed" if entry["end"] == "completed" else "Failed")
        hidden = frozenset(event.event_id for event in events if event.event_type != STEP)
        return WorkRecord(names, works, [], [], tasks, {}, [], [], closed, hidden)

    def index_tasks(self, events: Sequence[EventHead], builds: Mapping[int, str] | None = None) -> TaskIndex:
        """Return a task for each step: the code ran until it asked for the next one."""
        steps = [event for event in events if event.event_type == STEP]
        tasks = [
            CompletedTask(number, event.event_id, getattr(event, "build_id", None), event.event_id)
            for number, event in enumerate(steps, 1)
        ]
        return TaskIndex(tasks, events, lambda kind: kind == STEP, lambda kind: kind in (STARTED, ENDED))

    def make_decoder(self, settings: Settings) -> ValueDecoder:
        """Return a decoder that has nothing to do."""
        return PlainDecoder()

    def read_features(self, run: Run) -> RecordFeatures:
        """Return the names of steps."""
        names = [step.name for step in read_steps(run)]
        return RecordFeatures(names, [(event.event_type, name) for event, name, _ in self.name_events(run.events)], [])

    def read_steps(self, run: Run) -> Sequence[RecordedStep]:
        """Return the steps of the run."""
        return read_steps(run)


def _task(number: int, event: Event) -> WorkflowTask:
    return WorkflowTask(number, event.event_id, event.event_id, event.event_id, "Completed", event.build_id)


def read_steps(run: Run) -> list[RecordedStep]:
    """Return the steps of a journal."""
    found = []
    for event, entry in zip(run.events, entries_of(run), strict=True):
        if event.event_type == STEP:
            is_done = "result" in entry
            found.append(
                RecordedStep(
                    str(entry["step"]),
                    "step",
                    entry["name"],
                    event.event_id,
                    closed_event_id=event.event_id if is_done else None,
                    outcome="Completed" if is_done else "Started",
                    scheduled_at=event.event_time,
                    started_at=event.event_time,
                    closed_at=event.event_time if is_done else None,
                    build_id=event.build_id,
                    input=entry["input"],
                    result=entry.get("result", ABSENT),
                )
            )
    return found


def read_end(run: Run) -> RecordedEnd | None:
    """Return how the journal ends."""
    entry = entries_of(run)[-1]
    if "end" not in entry:
        return None
    kind = "complete" if entry["end"] == "completed" else "fail"
    event_id = run.events[-1].event_id
    return RecordedEnd(event_id, kind, entry.get("result", ABSENT), entry.get("error", ABSENT))


def read_arguments(run: Run) -> list[Any]:
    """Return what the program was started with."""
    arguments: list[Any] = entries_of(run)[0]["input"]
    return arguments
