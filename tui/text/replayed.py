"""Lines about the replayed side of the debugger: variables, commands, changes, blame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from replaytool.model.debug_state import (
    Blame,
    BuildSplit,
    CoroutineFrame,
    ExpressionHit,
    IssuedCommand,
    PathChange,
    ReplayedState,
    StateDifference,
    StateValue,
    Trouble,
    ValueItem,
)
from replaytool.model.debug_state import SourceLine as CodeLine
from replaytool.tui.styled_lines import Line, cell_text, line, short_file_name
from replaytool.tui.text.verdict import excerpt_lines, format_call_site

_ONE_LINE = 56
_MOST = 2_000
_MOST_ITEMS = 200
_DEEPEST = 8


@dataclass(frozen=True, slots=True)
class VariableRow:
    """One line of the variables, with the path of its value; headings have no path."""

    line: Line
    path: str = ""
    asks: str = ""
    """The same for an expression, which names the main coroutine's variables without it."""
    value: StateValue | None = None
    is_changed: bool = False


def format_variables(moment: ReplayedState, changed: Sequence[PathChange]) -> list[VariableRow]:
    """Return the attributes of the workflow, then the local variables of waiting coroutines."""
    if not moment.task and not moment.state.items:
        return [VariableRow(line(("no state yet: no task has completed", "dim")))]
    was = {one.path: one for one in changed}
    rows: list[VariableRow] = [VariableRow(line(("self", "strong"), (f"  {cell_text(moment.state.type)}", "dim")))]
    for item in moment.state.items:
        rows.extend(_variable_rows(item, item.label, item.label, 1, was))
    if not moment.state.items:
        rows.append(VariableRow(line(("  no attributes", "dim"))))
    for label, frame, code in label_frames(moment.frames):
        rows.append(VariableRow(_frame_heading(frame, code)))
        for item in code.locals.items:
            rows.extend(
                _variable_rows(item, f"{label}.{item.label}", item.label if frame.kind == "main" else "", 1, was)
            )
        if len(rows) > _MOST:
            return [*rows[:_MOST], VariableRow(line(("… more variables", "dim")))]
    return rows


def label_frames(frames: Sequence[CoroutineFrame]) -> Iterator[tuple[str, CoroutineFrame, CodeLine]]:
    """Yield each stack line of each waiting coroutine, with the name that starts its variables' paths."""
    seen: dict[str, int] = {}
    for frame in frames:
        for code in frame.lines:
            name = code.function.rpartition(".")[2]
            seen[name] = seen.get(name, 0) + 1
            yield (f"{name}#{seen[name]}" if seen[name] > 1 else name), frame, code


def _frame_heading(frame: CoroutineFrame, code: CodeLine) -> Line:
    who = "main" if frame.kind == "main" else f"{frame.kind} {cell_text(frame.name, 60)}"
    return line(
        (f"{cell_text(code.function, 60)}", "strong"), (f"  {who}, {short_file_name(code.file)}:{code.line}", "dim")
    )


def _variable_rows(
    item: ValueItem, path: str, asks: str, depth: int, was: Mapping[str, PathChange]
) -> Iterator[VariableRow]:
    value, change = item.value, was.get(path)
    inside = change is None and any(one.startswith((f"{path}.", f"{path}[")) for one in was)
    mark = ("~ ", "warn") if change or inside else ("  ", "")
    head = line(("  " * (depth - 1), ""), mark, (cell_text(item.label, 60), "key"))
    one_line = value.text
    if not value.items or depth > _DEEPEST or (len(one_line) <= _ONE_LINE and not inside):
        before = f"  was {cell_text(change.before.text, 60) if change.before else 'nothing'}" if change else ""
        role = "strong" if change else "dim" if value.kind in ("opaque", "again") else ""
        yield VariableRow(
            line(*head, " ", (cell_text(one_line, 160), role), (before, "warn")), path, asks, value, change is not None
        )
        return
    yield VariableRow(line(*head, (f" {cell_text(value.type)}, {value.size:,}", "dim")), path, asks, value, inside)
    for inner in value.items[:_MOST_ITEMS]:
        below = f"[{inner.label}]" if value.kind in ("list", "map") else f".{inner.label}"
        yield from _variable_rows(inner, path + below, asks and asks + below, depth + 1, was)
    if value.is_cut or len(value.items) > _MOST_ITEMS:
        yield VariableRow(line(("  " * depth, ""), ("… more", "dim")))


def format_changes(found: StateDifference) -> list[Line]:
    """Return what the code changed since the previous stop."""
    rows = [_format_change(one) for one in (*found.state, *found.variables)]
    if found.trouble is not None:
        rows.append(format_trouble(found.trouble))
    return rows


def _format_change(one: PathChange) -> Line:
    before, after = (cell_text(value.text, 80) if value else "nothing" for value in (one.before, one.after))
    return line(("~ ", "warn"), (cell_text(one.path, 80), "key"), f"  {before} → {after}")


def format_commands(moment: ReplayedState) -> Iterator[Line]:
    """Yield the commands of the newest task, and the next commands where the history ends."""
    for title, found in (
        ("Commands of this task", moment.commands),
        ("Next commands, not in the history", moment.next),
    ):
        if found:
            yield line((title, "strong"), (f"  {len(found):,}", "dim"))
            yield from (_format_command(one) for one in found[:_MOST_ITEMS])
    if moment.pending_until is not None:
        yield line(("the code processes this event in the task completed at event ", "dim"), str(moment.pending_until))


def _format_command(one: IssuedCommand) -> Line:
    where = f"  event {one.event_id}" if one.event_id is not None else "  not in the history"
    site = f"  {format_call_site(one.call_site)}" if one.call_site else ""
    sign = ("↗ ", "good") if one.event_id is not None else ("… ", "warn")
    return line(
        "  ", sign, (one.kind.replace("_", " ") + " ", "dim"), (cell_text(one.name, 80), "key"), where, (site, "dim")
    )


def format_trouble(found: Trouble) -> Line:
    """Return why the replay stopped."""
    at = f" at event {found.event_id}" if found.event_id is not None else ""
    site = f"  {format_call_site(found.call_site)}" if found.call_site else ""
    return line((f"✗ {found.kind}{at}: ", "bad"), cell_text(found.message, 400), (site, "dim"))


def format_build_difference(one: BuildSplit) -> Line:
    """Return where two builds' states differ, as a sentence."""
    return line((f"◆ at event {one.parted_at} ", "warn"), cell_text(one.words, 300))


def describe_find_result(one: ExpressionHit) -> str:
    """Return the message after a search for an expression."""
    if one.event_id is None:
        return f"{one.expression} is true at no step" + (f": {one.error}" if one.error else "")
    before = f", still false at event {one.last_false}" if one.last_false is not None else ", from the first step on"
    by = f", build {one.build_id}" if one.build_id else ""
    return f"{one.expression} is first true at event {one.event_id}{by}{before}"


def format_blame(one: Blame, source: Sequence[str]) -> list[Line]:
    """Return the event, build and line that gave a value its content."""
    if one.event_id is None:
        why = one.error or (one.trouble.message if one.trouble else "no such value here")
        return [line((cell_text(one.path, 120), "key"), f"  {cell_text(why, 300)}")]
    before, after = (cell_text(value.text, 200) if value else "nothing" for value in (one.before, one.after))
    rows = [
        line((cell_text(one.path, 120), "strong"), f"  {before} → {after}"),
        line(("event  ", "key"), str(one.event_id), ("  the task completed at this event", "dim")),
        line(("build  ", "key"), cell_text(one.build_id) or "not recorded"),
    ]
    if one.ran_at is not None and one.ran_at != one.event_id:
        rows.append(line(("ran at ", "key"), f"event {one.ran_at}, replayed by this build"))
    if one.call_site is not None:
        rows += [
            line(
                ("line   ", "key"),
                (format_call_site(one.call_site), "strong"),
                f"  {cell_text(one.call_site.function)}",
            )
        ]
        rows += excerpt_lines(source, one.call_site.line)
    if one.trouble is not None:
        rows.append(format_trouble(one.trouble))
    return rows
