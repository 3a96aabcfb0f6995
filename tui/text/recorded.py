"""Lines about the recorded side of the debugger: state, differences, problems."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from replaytool.debug.timeline import PendingItem, ReceivedMessage, RecordedDifference, RecordedState, RunTimeline
from replaytool.errors import ReplaytoolError, append_code
from replaytool.model.event_role import EventRole
from replaytool.tui.styled_lines import Line, cell_text, line, tree_lines

_MOST = 200
_KINDS = {"signal-out": "signal to workflow", "cancel-out": "cancel of workflow", "nexus": "Nexus operation"}


def format_error(error: ReplaytoolError) -> list[Line]:
    """Return an error and its hint."""
    first, *rest = append_code(error.message, error.code).splitlines() or [""]
    parts = [
        line(("✗ ", "bad"), (cell_text(first, 500), "strong")),
        *(line(f"  {cell_text(part, 500)}") for part in rest),
    ]
    return [*parts, line((f"  {cell_text(error.hint, 300)}", "dim"))] if error.hint else parts


def format_event(attributes: Mapping[str, object], rest: Mapping[str, object]) -> list[Line]:
    """Return an event: its attributes first, then the fields that every event has."""
    parts = [tree_lines(part) for part in (attributes, rest) if part]
    return [*parts[0], line(), *parts[1]] if len(parts) == 2 else [one for part in parts for one in part]


def format_state(found: RecordedState, timeline: RunTimeline, role: EventRole) -> list[Line]:
    """Return the state of the run at an event, which has this role."""
    return [
        *_format_task(found, timeline, role),
        line(),
        *_format_section("Waits for", len(found.pending), map(_format_pending, found.pending[:_MOST])),
        *_format_signals(found),
        *_format_section("Updates", len(found.updates), map(_format_update, reversed(found.updates[-_MOST:]))),
        *_format_mapping("Search attributes", found.search_attributes),
        *_format_mapping("Memo", found.memo),
    ]


def _format_task(found: RecordedState, timeline: RunTimeline, role: EventRole) -> Iterator[Line]:
    task = found.task
    if task is None:
        yield line(("no workflow task yet", "dim"))
    else:
        bad = found.task_status in ("Failed", "TimedOut")
        cause = f" ({cell_text(task.cause)})" if bad and task.cause else ""
        status = f"{'✗ ' if bad else ''}{found.task_status}{cause}"
        yield line(
            ("Task  ", "key"), f"{task.ordinal} of {len(timeline.tasks)}: ", (status, "bad" if bad else ""),
            (f", build {cell_text(task.build_id)}" if task.build_id else "", ""),
        )  # fmt: skip
    yield line(("Event ", "key"), _describe_event_task(found, role))
    yield line(("Run   ", "key"), found.status)


def _describe_event_task(found: RecordedState, role: EventRole) -> str:
    if found.issued_by:
        return f"issued by the task completed at event {found.issued_by}"
    if found.consumed_by:
        return f"processed by the task completed at event {found.consumed_by}"
    if role.is_task:
        return "part of the task"
    if role.kind == "attempt" or found.status != "Running":
        return "no task processes it"
    return "no task has processed it yet"


def _format_section(title: str, count: int, rows: Iterator[Line]) -> Iterator[Line]:
    yield line((title, "strong"), (f"  {count:,}" if count else "  nothing", "dim"))
    yield from rows
    if count > _MOST:
        yield line((f"  … {count - _MOST:,} more", "dim"))


def _format_pending(one: PendingItem) -> Line:
    note = f", {_format_pending_note(one)}" if one.note else ""
    return line("  ", *_format_pending_name(one), f"  {one.status}{note}", (f"  since event {one.since}", "dim"))


def _format_pending_note(one: PendingItem) -> str:
    return f"attempt {cell_text(one.note)}" if one.kind == "activity" else cell_text(one.note)


def _format_pending_name(one: PendingItem) -> Line:
    shown = _KINDS.get(one.kind, one.kind)
    key = f" #{cell_text(one.key, 60)}" if one.key and one.key != one.name else ""
    return line((f"{shown} ", "dim"), (cell_text(one.name, 80), "key"), (key, "dim"))


def _format_update(one: PendingItem) -> Line:
    waits = one.status in ("Admitted", "Accepted")
    return line(
        "  ",
        ("● " if waits else "✔ ", "warn" if waits else "good"),
        *_format_pending_name(one),
        f"  {one.status}",
        (f"  since event {one.since}", "dim"),
    )


def _format_signals(found: RecordedState) -> Iterator[Line]:
    waiting = found.unhandled_signals
    rest = [one for one in reversed(found.signals) if one.was_handled_at(found.event_id)]
    rows = [_format_signal(one, found.event_id) for one in [*waiting, *rest][:_MOST]]
    yield from _format_section("Signals", len(found.signals), iter(rows))


def _format_signal(one: ReceivedMessage, event_id: int) -> Line:
    name = (cell_text(one.name, 80), "key")
    if one.was_handled_at(event_id):
        return line("  ", ("✔ ", "good"), name, (f"  event {one.event_id}, handled at event {one.handled_by}", "dim"))
    later = f"handled at event {one.handled_by}" if one.handled_by else "no task in this history handles it"
    return line("  ", ("● ", "warn"), name, f"  event {one.event_id}, not handled yet", (f"  ({later})", "dim"))


def _format_mapping(title: str, values: Mapping[str, object]) -> Iterator[Line]:
    if values:
        yield line((title, "strong"))
        for one in tree_lines(dict(values), _MOST):
            yield line("  ", *one)


def format_difference(found: RecordedDifference) -> list[Line]:
    """Return what changed since the previous stop."""
    if found.before == found.after:
        return [line(("first stop: nothing to compare with", "dim"))]
    back = found.after < found.before
    rows = list(_backward_lines(found) if back else _forward_lines(found))
    way = "back from" if back else "since"
    head = line((f"{way} event {found.before}", "dim"))
    return [head, *rows] if rows else [head, line("no recorded change")]


def _forward_lines(found: RecordedDifference) -> Iterator[Line]:
    for one in found.opened:
        yield line(("+ ", "good"), *_format_pending_name(one), f"  {one.status}")
    for one in found.closed:
        yield line(*_closing_sign(one), *_format_pending_name(one), f"  {one.status}")
    for one in found.passed:
        yield line(
            *_closing_sign(one),
            *_format_pending_name(one),
            f"  {one.status}",
            ("  opened and closed in between", "dim"),
        )
    yield from _changed_lines(found)
    for signal in found.received:
        yield line(
            ("→ ", "warn"),
            ("signal ", "dim"),
            (cell_text(signal.name), "key"),
            f"  received at event {signal.event_id}",
        )
    for signal in found.handled:
        yield line(
            ("✔ ", "good"), ("signal ", "dim"), (cell_text(signal.name), "key"), f"  of event {signal.event_id} handled"
        )


def _backward_lines(found: RecordedDifference) -> Iterator[Line]:
    """Return what has not happened yet at an earlier stop."""
    for one in found.opened:
        yield line(("+ ", "good"), *_format_pending_name(one), f"  open again: {one.status}")
    for one in (*found.closed, *found.passed):
        yield line(("- ", "warn"), *_format_pending_name(one), "  not opened yet")
    yield from _changed_lines(found)
    for signal in found.received:
        yield line(("- ", "warn"), ("signal ", "dim"), (cell_text(signal.name), "key"), "  not received yet")
    for signal in found.handled:
        yield line(("● ", "warn"), ("signal ", "dim"), (cell_text(signal.name), "key"), "  not handled yet")


def _changed_lines(found: RecordedDifference) -> Iterator[Line]:
    for one, other in found.moved:
        yield line(("~ ", "warn"), *_format_pending_name(other), f"  {one.status} → {other.status}")
    for change in found.changes:
        before, after = (_format_value(value) for value in (change.before, change.after))
        yield line(("~ ", "warn"), (cell_text(change.what), "key"), f"  {before} → {after}")


def _closing_sign(one: PendingItem) -> Line:
    good = one.status in ("Completed", "Fired", "Delivered")
    return line(("✔ " if good else "✗ ", "good" if good else "bad"))


def _format_value(value: object) -> str:
    return "nothing" if value is None else cell_text(value, 80)


def format_problems(found: Sequence[Mapping[str, Any]]) -> list[Line]:
    """Return the problems of a run."""
    return [_format_problem(cell_text(one["code"]), cell_text(one["message"], 300), one["event_id"]) for one in found]


def _format_problem(code: str, message: str, event_id: int | None) -> Line:
    return line((code, "warn"), f"  {message}", (f"  event {event_id}" if event_id else "", "dim"))
