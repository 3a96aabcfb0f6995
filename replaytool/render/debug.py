"""Output of `debug`: the recorded and the replayed side of an event, and the answers to searches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from replaytool.render.tables import format_cell
from replaytool.text import shorten_text

if TYPE_CHECKING:
    from replaytool.debug.timeline import PendingItem, RecordedState
    from replaytool.model.debug_state import (
        Blame,
        BuildSplit,
        CoroutineFrame,
        ExpressionHit,
        IssuedCommand,
        ReplayedState,
        StateValue,
        Trouble,
        WatchResult,
    )
    from replaytool.model.pending_work import ReceivedMessage
    from replaytool.model.verdict import CallSite

_WIDE = 100


def format_recorded_state(row: Any, state: RecordedState) -> Iterator[str]:
    """Format what the history records up to an event."""
    yield f"{row.workflow_type} {row.workflow_id or '-'} ({row.run_key}), {state.status}"
    yield f"event {state.event_id}: {state.event_type} {state.name}".rstrip() + f", {state.event_time or 'no time'}"
    yield f"build: {state.build_id or 'not recorded'}"
    if state.task is not None:
        cause = f" ({state.task.cause})" if state.task.cause and state.task_status == state.task.outcome else ""
        yield f"task: {state.task.ordinal}, {state.task_status}{cause}"
    if state.issued_by:
        yield f"issued by the task completed at event {state.issued_by}"
    if state.consumed_by:
        yield f"processed by the task completed at event {state.consumed_by}"
    yield from _format_section("waits for", [_format_pending_work(one) for one in state.pending])
    yield from _format_section("signals", [_format_signal(one, state.event_id) for one in state.signals])
    yield from _format_section("updates", [_format_pending_work(one) for one in state.updates])
    for title, values in (("search attributes", state.search_attributes), ("memo", state.memo)):
        yield from _format_section(
            title, [f"{key}: {shorten_text(format_cell(value), _WIDE)}" for key, value in values.items()]
        )


def format_replayed_state(header: str, moment: ReplayedState, parts: Sequence[BuildSplit]) -> Iterator[str]:
    """Format the state of the replayed workflow at an event."""
    yield f"replayed with {header}"
    yield from _format_section("builds make different states", [_format_state_difference(one) for one in parts])
    if moment.trouble is not None:
        yield _format_trouble(moment.trouble)
    if moment.task and moment.state.type:
        yield f"state after task {moment.task} (event {moment.task_event_id}), {moment.code}:"
        yield from (f"  {item.label}: {item.value.text}" for item in moment.state.items)
    yield from _format_section("waits at", [line for one in moment.frames for line in _format_frame(one)])
    yield from _format_section("commands of this task", [_format_issued_command(one) for one in moment.commands])
    yield from _format_section(
        "next commands, not in the history", [_format_issued_command(one) for one in moment.next]
    )
    if moment.pending_until and moment.pending_until > moment.event_id:
        yield f"the code processes this event in the task completed at event {moment.pending_until}"


def format_search_answer(answer: ExpressionHit) -> Iterator[str]:
    """Format the first step at which an expression held."""
    if answer.event_id is None:
        yield f"{answer.expression}: true at no step" + (f" ({answer.error})" if answer.error else "")
    else:
        build = f", build {answer.build_id}" if answer.build_id else ""
        yield f"{answer.expression}: first true after the task completed at event {answer.event_id}{build}"
        if answer.call_site is not None:
            yield f"  by {_format_site(answer.call_site)}"
        yield f"  still false at event {answer.last_false}" if answer.last_false else "  true from the first step on"
        yield f"  true until event {answer.until}"
    if answer.trouble is not None:
        yield _format_trouble(answer.trouble)


def format_blame_answer(answer: Blame) -> Iterator[str]:
    """Format what changed a value last."""
    if answer.event_id is None:
        yield f"{answer.path}: {answer.error or 'no such value'}"
    else:
        build = f", build {answer.build_id}" if answer.build_id else ""
        change = f"{_format_value(answer.before)} → {_format_value(answer.after)}"
        yield f"{answer.path}: {change} in the task completed at event {answer.event_id}{build}"
        if answer.call_site is not None:
            yield f"  by {_format_site(answer.call_site)}"
        if answer.ran_at not in (None, answer.event_id):
            yield f"  the line ran when {answer.build_id or 'this code'} replayed the task of event {answer.ran_at}"
    if answer.trouble is not None:
        yield _format_trouble(answer.trouble)


def format_watch_answer(answer: WatchResult) -> Iterator[str]:
    """Format every step at which an expression changed."""
    yield f"{answer.expression}:"
    for step in answer.changed_steps:
        build = f" ({step.build_id})" if step.build_id else ""
        yield f"  event {step.event_id}{build}: {_format_value(step.value) if step.value is not None else step.error}"
    if answer.trouble is not None:
        yield _format_trouble(answer.trouble)


def moment_to_json(header: str, moment: ReplayedState) -> dict[str, object]:
    """Return the replayed side for `debug --json`."""
    main = next((one for one in moment.frames if one.kind == "main"), None)
    return {
        "state": moment.state.to_plain_data(),
        "locals": {key: value for line in reversed(main.lines) for key, value in line.locals.to_plain_data().items()}
        if main
        else {},
        "frames": [_frame_to_json(one) for one in moment.frames],
        "commands": msgspec.to_builtins(moment.commands),
        "command": msgspec.to_builtins(moment.command),
        "next": msgspec.to_builtins(moment.next),
        "pending_until": moment.pending_until,
        "replayed": {
            "with": header,
            "code": moment.code,
            "build_id": moment.build_id,
            "task_event_id": moment.task_event_id,
            "trouble": msgspec.to_builtins(moment.trouble),
        },
    }


def answer_to_json(answer: ExpressionHit | Blame) -> dict[str, object]:
    """Return an answer as plain JSON data."""
    plain: dict[str, object] = msgspec.to_builtins(answer)
    for side in ("before", "after"):
        if side in plain:
            value: StateValue | None = getattr(answer, side)
            plain[side] = None if value is None else value.to_plain_data()
    return plain


def watch_to_json(answer: WatchResult) -> list[dict[str, object]]:
    """Return every step of a watched expression as plain JSON data."""
    return [
        {
            "expression": answer.expression,
            "event_id": step.event_id,
            "build_id": step.build_id,
            "value": None if step.value is None else step.value.to_plain_data(),
            **({"error": step.error} if step.error else {}),
        }
        for step in answer.steps
    ]


def state_difference_to_json(part: BuildSplit) -> dict[str, object]:
    """Return a difference between two builds' states as plain JSON data."""
    changes = [
        {
            "path": one.path,
            "before": one.before and one.before.to_plain_data(),
            "after": one.after and one.after.to_plain_data(),
        }
        for one in part.changes
    ]
    return {**msgspec.to_builtins(part), "changes": changes, "words": part.words}


def _frame_to_json(frame: CoroutineFrame) -> dict[str, object]:
    lines = [
        {"file": one.file, "line": one.line, "function": one.function, "locals": one.locals.to_plain_data()}
        for one in frame.lines
    ]
    return {
        "kind": frame.kind,
        "name": frame.name,
        "call_site": msgspec.to_builtins(frame.call_site),
        "locals": frame.locals.to_plain_data(),
        "lines": lines,
        "begun_at": msgspec.to_builtins(frame.begun_at),
    }


def _format_frame(frame: CoroutineFrame) -> Iterator[str]:
    yield f"{frame.kind} {frame.name}"
    for one in frame.lines:
        held = ", ".join(f"{item.label}={item.value.text}" for item in one.locals.items)
        yield f"  {one.file}:{one.line} in {one.function}" + (f": {shorten_text(held, _WIDE)}" if held else "")


def _format_issued_command(one: IssuedCommand) -> str:
    event = f"event {one.event_id}" if one.event_id else "not in the history"
    return (
        f"{one.kind} {one.name}".rstrip()
        + f", {event}"
        + (f", at {_format_site(one.call_site)}" if one.call_site else "")
    )


def _format_state_difference(part: BuildSplit) -> str:
    since = f" (since event {part.parted_at})" if part.parted_at != part.event_id else ""
    return f"event {part.event_id}: {part.words}{since}"


def _format_trouble(trouble: Trouble) -> str:
    at = f" at event {trouble.event_id}" if trouble.event_id else ""
    site = f" ({_format_site(trouble.call_site)})" if trouble.call_site else ""
    return f"{trouble.kind}{at}: {trouble.message}{site}"


def _format_site(site: CallSite) -> str:
    return f"{site.file}:{site.line} in {site.function}"


def _format_value(value: StateValue | None) -> str:
    return "nothing" if value is None else value.text


def _format_section(title: str, rows: list[str]) -> Iterator[str]:
    if rows:
        yield f"{title}:"
        yield from (f"  {row}" for row in rows)


def _format_pending_work(one: PendingItem) -> str:
    key = f" #{one.key}" if one.key and one.key != one.name else ""
    attempt = "attempt " if one.kind == "activity" else ""
    note = f", {attempt}{one.note}" if one.note else ""
    return f"{one.kind} {one.name}{key}, {one.status}{note}, since event {one.since}"


def _format_signal(one: ReceivedMessage, event_id: int) -> str:
    handled = f"handled at event {one.handled_by}" if one.was_handled_at(event_id) else "not handled yet"
    return f"{one.kind} {one.name}, event {one.event_id}, {handled}"
