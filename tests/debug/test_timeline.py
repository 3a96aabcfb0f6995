"""The state at an event is looked up; here it is compared with one that is stepped to, event by event."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from replaytool.debug import timeline
from replaytool.debug.timeline import RecordedState, RunTimeline
from replaytool.engines.temporal.events import payloads
from replaytool.engines.temporal.events.labels import event_attributes
from replaytool.errors import ReplaytoolError
from replaytool.model.history import Event
from tests.support.paths import FIXTURES
from tests.tui import recorded_stores as recordings

pytestmark = pytest.mark.slow

Runs = dict[str, list[Event]]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    folder = tmp_path_factory.mktemp("timeline")
    long = recordings.generated(folder / "long.json", 150)
    session = recordings.store(folder / "store.duckdb", long, *FIXTURES.glob("*/history*.json"))
    return {row.run_key: session.read_history(row.run_key)[1] for row in session.list_runs()}


@dataclass
class Stepped:
    """A run that is walked through from its beginning, with nothing looked up."""

    pending: dict[int, str] = field(default_factory=dict)
    updates: dict[int, str] = field(default_factory=dict)
    update_ids: dict[str, int] = field(default_factory=dict)
    waiting: list[int] = field(default_factory=list)
    received: list[int] = field(default_factory=list)
    delivering: list[int] = field(default_factory=list)
    build: str | None = None
    task: str | None = None
    memo: dict[str, Any] = field(default_factory=dict)
    ran: dict[int, str] = field(default_factory=dict)
    """Who ran the task that was scheduled there: some servers say it only when the task has ended."""

    def step(self, event: Event) -> None:
        found = event_attributes(json.loads(event.raw))
        kind, number = event.event_type, event.event_id
        opener = next((int(found[key]) for key in ("scheduledEventId", "initiatedEventId") if key in found), 0)
        if kind.startswith("Timer"):
            opener = int(found.get("startedEventId", 0))
        if kind in {"ActivityTaskScheduled", "TimerStarted", "NexusOperationScheduled"} or kind.endswith("Initiated"):
            self.pending[number] = kind
        elif kind.startswith("WorkflowTask"):
            self.run_task(event, int(found.get("scheduledEventId", 0)))
        elif opener in self.pending:
            if kind.endswith(("Started", "CancelRequested", "CancelRequestCompleted")) and "External" not in kind:
                self.pending[opener] = kind
            else:
                del self.pending[opener]
        elif kind in {"WorkflowExecutionSignaled", "WorkflowExecutionCancelRequested"}:
            self.received.append(number)
            self.waiting.append(number)
        elif "Update" in kind:
            self.step_update(kind, number, found)
        fields = (found.get("memo") or found.get("upsertedMemo") or {}).get("fields", {})
        if kind in {"WorkflowExecutionStarted", "WorkflowPropertiesModified"}:
            self.memo.update(payloads.PayloadDecoder().make_readable(fields))
            self.memo = {key: value for key, value in self.memo.items() if value is not None}

    def run_task(self, event: Event, scheduled: int) -> None:
        self.task = event.event_type.removeprefix("WorkflowTask")
        if self.task == "Started":
            self.delivering = list(self.waiting)
        elif self.task == "Completed":
            self.waiting = [one for one in self.waiting if one not in self.delivering]
        self.build = self.ran.get(scheduled, self.build)

    def step_update(self, kind: str, number: int, found: dict[str, Any]) -> None:
        if kind.endswith("Admitted"):
            self.update_ids[found["request"]["meta"]["updateId"]] = number
            self.updates[number] = "Admitted"
        elif kind.endswith("Accepted"):
            opener = self.update_ids.setdefault(found["protocolInstanceId"], number)
            self.update_ids[str(number)] = opener
            self.updates[opener] = "Accepted"
        elif kind.endswith("Completed"):
            outcome = "Failed" if "failure" in found["outcome"] else "Completed"
            self.updates[self.update_ids[str(found["acceptedEventId"])]] = outcome


def seen(state: RecordedState) -> tuple[object, ...]:
    return (
        sorted(one.since for one in state.pending),
        {one.since: one.status for one in state.updates},
        [one.event_id for one in state.signals],
        [one.event_id for one in state.unhandled_signals],
        state.build_id,
        state.task_status,
        dict(state.memo),
    )


def stepped(events: Sequence[Event]) -> Iterator[tuple[object, ...]]:
    run = Stepped()
    for event in events:
        if event.event_type.startswith("WorkflowTask") and event.build_id:
            run.ran[int(event_attributes(json.loads(event.raw))["scheduledEventId"])] = event.build_id
    for event in events:
        run.step(event)
        yield (
            sorted(run.pending), dict(run.updates), list(run.received), list(run.waiting), run.build, run.task,
            dict(run.memo),
        )  # fmt: skip


def test_looking_up_equals_stepping_at_every_event_of_every_fixture(runs: Runs) -> None:
    assert len(runs) > 90
    for key, events in runs.items():
        found = timeline.read_timeline("temporal", events)
        for event, expected in zip(events, stepped(events), strict=True):
            assert seen(found.state_at(event.event_id)) == expected, (key, event)


def test_a_walk_in_any_direction_comes_back_to_equal_states(runs: Runs) -> None:
    chance = random.Random(5)
    for events in runs.values():
        found, again = timeline.read_timeline("temporal", events), timeline.read_timeline("temporal", events)
        states = {event.event_id: found.state_at(event.event_id) for event in events}
        for event in reversed(events):
            assert again.state_at(event.event_id) == states[event.event_id]
        for event in chance.choices(events, k=20):
            assert again.state_at(event.event_id) == states[event.event_id]


def test_differences_lead_from_one_state_to_the_other_and_back(runs: Runs) -> None:
    chance = random.Random(6)
    for events in runs.values():
        found = timeline.read_timeline("temporal", events)
        for _ in range(30):
            one, other = (chance.choice(events).event_id for _ in range(2))
            there, back = found.difference_between(one, other), found.difference_between(other, one)
            open_then = {view.since for view in (*found.state_at(one).pending, *found.state_at(one).updates)}
            open_now = {view.since for view in (*found.state_at(other).pending, *found.state_at(other).updates)}
            opened, closed = ({view.since for view in views} for views in (there.opened, there.closed))
            assert (open_then | opened) - closed == open_now
            assert opened == {view.since for view in back.closed}
            assert [(change.after, change.before) for change in back.changes] == [
                (change.before, change.after) for change in there.changes
            ]
            assert (there.passed, there.received, there.handled) == (back.passed, back.received, back.handled)


def of(name: str, tmp_path: Path) -> RunTimeline:
    session = recordings.store(tmp_path / "one.duckdb", *recordings.recorded(name))
    return timeline.read_timeline("temporal", session.read_history(session.list_runs(limit=1)[0].run_key)[1])


def test_an_event_knows_the_task_that_issued_and_the_one_that_consumed_it(tmp_path: Path) -> None:
    found = of("activities_in_sequence", tmp_path)
    kinds = {event.event_type: event.event_id for event in reversed(found.events)}
    scheduled = found.state_at(kinds["ActivityTaskScheduled"])
    assert (scheduled.issued_by, scheduled.consumed_by) == (4, None)
    completed = found.state_at(kinds["ActivityTaskCompleted"])
    assert completed.issued_by is None
    assert completed.consumed_by == 10
    assert found.state_at(kinds["WorkflowTaskStarted"]).consumed_by is None
    assert found.state_at(1).consumed_by == 4


def test_what_nobody_consumed_says_so(tmp_path: Path) -> None:
    found = of("signals", tmp_path)
    signal = next(event.event_id for event in found.events if event.event_type == "WorkflowExecutionSignaled")
    short = timeline.read_timeline("temporal", found.events[: found.index_of_event(signal) + 1])
    assert [one.event_id for one in short.state_at(signal).unhandled_signals] == [signal]
    assert short.find_consuming_task(signal) is None
    assert found.find_consuming_task(signal) is not None
    assert found.state_at(found.last_event_id).unhandled_signals == []


def test_builds_cover_the_run_without_gaps(runs: Runs) -> None:
    several = 0
    for events in runs.values():
        segments = timeline.read_timeline("temporal", events).segments
        assert (segments[0].first, segments[-1].last) == (events[0].event_id, events[-1].event_id)
        for one, other in pairwise(segments):
            assert one.last + 1 == other.first
            assert one.build_id != other.build_id
        several += len(segments) > 1
    assert several


def test_a_closed_activity_is_shown_as_it_closed(tmp_path: Path) -> None:
    found = of("activities_in_sequence", tmp_path)
    there = found.difference_between(4, 10)
    assert [(one.kind, one.status) for one in there.passed] == [("activity", "Completed")]
    assert [one.status for one in found.difference_between(5, 10).closed] == ["Completed"]
    assert [one.status for one in found.difference_between(10, 5).opened] == ["Scheduled"]


def test_an_event_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ReplaytoolError, match="no event 999"):
        of("timers", tmp_path).state_at(999)
    with pytest.raises(ReplaytoolError, match="no events"):
        timeline.read_timeline("temporal", [])
