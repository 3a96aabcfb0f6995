"""What the panes of the debugger say: pure functions from values of the timeline to lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from replaytool.debug.timeline import PendingItem, ReceivedMessage, RecordedDifference, RecordedState, RunTimeline
from replaytool.errors import ReplaytoolError
from replaytool.tui.styled_lines import Line, cell, line, tree

_MOST = 200
_KINDS = {"signal-out": "signal to another", "cancel-out": "cancel another", "nexus": "nexus operation"}


def complaint(error: ReplaytoolError) -> list[Line]:
    """What went wrong, and what mends it."""
    first, *rest = error.message.splitlines() or [""]
    parts = [line(("✗ ", "bad"), (cell(first, 500), "strong")), *(line(f"  {cell(part, 500)}") for part in rest)]
    return [*parts, line((f"  {cell(error.hint, 300)}", "dim"))] if error.hint else parts


def whole(event: Mapping[str, Any]) -> list[Line]:
    """An event: what is particular to it first, then the few things that every event has."""
    found: list[Line] = []
    for key, value in event.items():
        if key.endswith("EventAttributes"):
            found.extend(tree(value))
    rest = {key: value for key, value in event.items() if not key.endswith("EventAttributes")}
    return [*found, line(), *tree(rest)]


def state(found: RecordedState, timeline: RunTimeline) -> list[Line]:
    """All that is known about the run at an event."""
    return [
        *_task(found, timeline),
        line(),
        *_section("Waiting for", len(found.pending), map(_pending, found.pending[:_MOST])),
        *_signals(found),
        *_section("Updates", len(found.updates), map(_update, reversed(found.updates[-_MOST:]))),
        *_mapping("Search attributes", found.search_attributes),
        *_mapping("Memo", found.memo),
    ]


def _task(found: RecordedState, timeline: RunTimeline) -> Iterator[Line]:
    task = found.task
    if task is None:
        yield line(("no workflow task yet", "dim"))
    else:
        bad = found.task_status in ("Failed", "TimedOut")
        cause = f" ({cell(task.cause)})" if bad and task.cause else ""
        status = f"{'✗ ' if bad else ''}{found.task_status}{cause}"
        yield line(
            ("Task  ", "key"), f"{task.ordinal} of {len(timeline.tasks)}: ", (status, "bad" if bad else ""),
            (f", build {cell(task.build_id)}" if task.build_id else "", ""),
        )  # fmt: skip
    yield line(("Event ", "key"), _told(found))
    yield line(("Run   ", "key"), found.status)


def _told(found: RecordedState) -> str:
    if found.issued_by:
        return f"asked for by the task that completed at {found.issued_by}"
    if found.consumed_by:
        return f"seen by the task that completed at {found.consumed_by}"
    if found.event_type.startswith("WorkflowTask"):
        return "a step of the task itself"
    if found.event_type == "ActivityTaskStarted" or found.status != "Running":
        return "told to no task"
    return "no task has seen it yet"


def _section(title: str, count: int, rows: Iterator[Line]) -> Iterator[Line]:
    yield line((title, "strong"), (f"  {count:,}" if count else "  nothing", "dim"))
    yield from rows
    if count > _MOST:
        yield line((f"  … {count - _MOST:,} more", "dim"))


def _pending(one: PendingItem) -> Line:
    note = f", {_noted(one)}" if one.note else ""
    return line("  ", *_called(one), f"  {one.status}{note}", (f"  since {one.since}", "dim"))


def _noted(one: PendingItem) -> str:
    return f"attempt {cell(one.note)}" if one.kind == "activity" else cell(one.note)


def _called(one: PendingItem) -> Line:
    shown = _KINDS.get(one.kind, one.kind)
    key = f" #{cell(one.key, 60)}" if one.key and one.key != one.name else ""
    return line((f"{shown} ", "dim"), (cell(one.name, 80), "key"), (key, "dim"))


def _update(one: PendingItem) -> Line:
    waits = one.status in ("Admitted", "Accepted")
    return line(
        "  ",
        ("● " if waits else "✔ ", "warn" if waits else "good"),
        *_called(one),
        f"  {one.status}",
        (f"  since {one.since}", "dim"),
    )


def _signals(found: RecordedState) -> Iterator[Line]:
    waiting = found.unhandled_signals
    rest = [one for one in reversed(found.signals) if one.was_handled_at(found.event_id)]
    rows = [_signal(one, found.event_id) for one in [*waiting, *rest][:_MOST]]
    yield from _section("Signals", len(found.signals), iter(rows))


def _signal(one: ReceivedMessage, event_id: int) -> Line:
    name = (cell(one.name, 80), "key")
    if one.was_handled_at(event_id):
        return line("  ", ("✔ ", "good"), name, (f"  event {one.event_id}, handled at {one.handled_by}", "dim"))
    later = f"handled at {one.handled_by}" if one.handled_by else "no task of this record handles it"
    return line("  ", ("● ", "warn"), name, f"  event {one.event_id}, not handled yet", (f"  ({later})", "dim"))


def _mapping(title: str, values: Mapping[str, Any]) -> Iterator[Line]:
    if values:
        yield line((title, "strong"))
        for one in tree(dict(values), _MOST):
            yield line("  ", *one)


def difference(found: RecordedDifference) -> list[Line]:
    """What is new at this stop."""
    if found.before == found.after:
        return [line(("the first stop: nothing to compare with", "dim"))]
    back = found.after < found.before
    rows = list(_back(found) if back else _forth(found))
    way = "back from" if back else "since"
    head = line((f"{way} event {found.before}", "dim"))
    return [head, *rows] if rows else [head, line("nothing that the record tells of")]


def _forth(found: RecordedDifference) -> Iterator[Line]:
    for one in found.opened:
        yield line(("+ ", "good"), *_called(one), f"  {one.status}")
    for one in found.closed:
        yield line(*_ended(one), *_called(one), f"  {one.status}")
    for one in found.passed:
        yield line(*_ended(one), *_called(one), f"  {one.status}", ("  opened and closed on the way", "dim"))
    yield from _common(found)
    for signal in found.received:
        yield line(("→ ", "warn"), ("signal ", "dim"), (cell(signal.name), "key"), f"  received at {signal.event_id}")
    for signal in found.handled:
        yield line(("✔ ", "good"), ("signal ", "dim"), (cell(signal.name), "key"), f"  of {signal.event_id} handled")


def _back(found: RecordedDifference) -> Iterator[Line]:
    """What had happened has not happened yet."""
    for one in found.opened:
        yield line(("+ ", "good"), *_called(one), f"  open again: {one.status}")
    for one in (*found.closed, *found.passed):
        yield line(("- ", "warn"), *_called(one), "  not there yet")
    yield from _common(found)
    for signal in found.received:
        yield line(("- ", "warn"), ("signal ", "dim"), (cell(signal.name), "key"), "  not received yet")
    for signal in found.handled:
        yield line(("● ", "warn"), ("signal ", "dim"), (cell(signal.name), "key"), "  not handled yet")


def _common(found: RecordedDifference) -> Iterator[Line]:
    for one, other in found.moved:
        yield line(("~ ", "warn"), *_called(other), f"  {one.status} → {other.status}")
    for change in found.changes:
        before, after = (_valued(value) for value in (change.before, change.after))
        yield line(("~ ", "warn"), (cell(change.what), "key"), f"  {before} → {after}")


def _ended(one: PendingItem) -> Line:
    good = one.status in ("Completed", "Fired", "Delivered")
    return line(("✔ " if good else "✗ ", "good" if good else "bad"))


def _valued(value: Any) -> str:
    return "nothing" if value is None else cell(value, 80)


def problems(found: Sequence[Mapping[str, Any]]) -> list[Line]:
    """What is odd about a run."""
    return [_problem(cell(one["code"]), cell(one["message"], 300), one["event_id"]) for one in found]


def _problem(code: str, message: str, event_id: int | None) -> Line:
    return line((code, "warn"), f"  {message}", (f"  event {event_id}" if event_id else "", "dim"))
