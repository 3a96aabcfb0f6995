"""What the panes of the debugger say about the replayed side: pure functions from moments to lines."""

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
from replaytool.tui.styled_lines import Line, cell, file_name, line
from replaytool.tui.text.verdict import excerpt, place

_ONE_LINE = 56
_MOST = 2_000
_MOST_ITEMS = 200
_DEEPEST = 8


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the variables, and the path of what it shows; headings have none."""

    line: Line
    path: str = ""
    asks: str = ""
    """The same for an expression, which names the main coroutine's variables without it."""
    value: StateValue | None = None
    is_changed: bool = False


def variables(moment: ReplayedState, changed: Sequence[PathChange]) -> list[Row]:
    """Attributes of the workflow first, then the variables of whatever waits."""
    if not moment.task and not moment.state.items:
        return [Row(line(("no task has completed yet: there is no state", "dim")))]
    was = {one.path: one for one in changed}
    rows: list[Row] = [Row(line(("self", "strong"), (f"  {cell(moment.state.type)}", "dim")))]
    for item in moment.state.items:
        rows.extend(_rows(item, item.label, item.label, 1, was))
    if not moment.state.items:
        rows.append(Row(line(("  no attributes", "dim"))))
    for label, frame, code in labelled(moment.frames):
        rows.append(Row(_heading(frame, code)))
        for item in code.locals.items:
            rows.extend(_rows(item, f"{label}.{item.label}", item.label if frame.kind == "main" else "", 1, was))
        if len(rows) > _MOST:
            return [*rows[:_MOST], Row(line(("… more variables", "dim")))]
    return rows


def labelled(frames: Sequence[CoroutineFrame]) -> Iterator[tuple[str, CoroutineFrame, CodeLine]]:
    """Each line of each waiting coroutine, under the name by which a path begins."""
    seen: dict[str, int] = {}
    for frame in frames:
        for code in frame.lines:
            name = code.function.rpartition(".")[2]
            seen[name] = seen.get(name, 0) + 1
            yield (f"{name}#{seen[name]}" if seen[name] > 1 else name), frame, code


def _heading(frame: CoroutineFrame, code: CodeLine) -> Line:
    who = "main" if frame.kind == "main" else f"{frame.kind} {cell(frame.name, 60)}"
    return line((f"{cell(code.function, 60)}", "strong"), (f"  {who}, {file_name(code.file)}:{code.line}", "dim"))


def _rows(item: ValueItem, path: str, asks: str, depth: int, was: Mapping[str, PathChange]) -> Iterator[Row]:
    value, change = item.value, was.get(path)
    inside = change is None and any(one.startswith((f"{path}.", f"{path}[")) for one in was)
    mark = ("~ ", "warn") if change or inside else ("  ", "")
    head = line(("  " * (depth - 1), ""), mark, (cell(item.label, 60), "key"))
    one_line = value.text
    if not value.items or depth > _DEEPEST or (len(one_line) <= _ONE_LINE and not inside):
        before = f"  was {cell(change.before.text, 60) if change.before else 'nothing'}" if change else ""
        role = "strong" if change else "dim" if value.kind in ("opaque", "again") else ""
        yield Row(
            line(*head, " ", (cell(one_line, 160), role), (before, "warn")), path, asks, value, change is not None
        )
        return
    yield Row(line(*head, (f" {cell(value.type)}, {value.size:,}", "dim")), path, asks, value, inside)
    for inner in value.items[:_MOST_ITEMS]:
        below = f"[{inner.label}]" if value.kind in ("list", "map") else f".{inner.label}"
        yield from _rows(inner, path + below, asks and asks + below, depth + 1, was)
    if value.is_cut or len(value.items) > _MOST_ITEMS:
        yield Row(line(("  " * depth, ""), ("… more of it", "dim")))


def changes(found: StateDifference) -> list[Line]:
    """What the code made of the way from the stop before."""
    rows = [_change(one) for one in (*found.state, *found.variables)]
    if found.trouble is not None:
        rows.append(trouble(found.trouble))
    return rows


def _change(one: PathChange) -> Line:
    before, after = (cell(value.text, 80) if value else "nothing" for value in (one.before, one.after))
    return line(("~ ", "warn"), (cell(one.path, 80), "key"), f"  {before} → {after}")


def asked(moment: ReplayedState) -> Iterator[Line]:
    """What the code asked for in the newest task, and what it would ask for where the record ends."""
    for title, found in (("Asked for in this task", moment.commands), ("Would ask for next", moment.next)):
        if found:
            yield line((title, "strong"), (f"  {len(found):,}", "dim"))
            yield from (_issued(one) for one in found[:_MOST_ITEMS])
    if moment.pending_until is not None:
        yield line(("the code sees this event in the task that completes at ", "dim"), str(moment.pending_until))


def _issued(one: IssuedCommand) -> Line:
    where = f"  event {one.event_id}" if one.event_id is not None else "  no event records it"
    site = f"  {place(one.call_site)}" if one.call_site else ""
    sign = ("↗ ", "good") if one.event_id is not None else ("… ", "warn")
    return line(
        "  ", sign, (one.kind.replace("_", " ") + " ", "dim"), (cell(one.name, 80), "key"), where, (site, "dim")
    )


def trouble(found: Trouble) -> Line:
    """Why there is no more to see."""
    at = f" at event {found.event_id}" if found.event_id is not None else ""
    site = f"  {place(found.call_site)}" if found.call_site else ""
    return line((f"✗ {found.kind}{at}: ", "bad"), cell(found.message, 400), (site, "dim"))


def part(one: BuildSplit) -> Line:
    """Where the builds' states part, in a sentence."""
    return line((f"◆ at event {one.parted_at} ", "warn"), cell(one.words, 300))


def found_in_words(one: ExpressionHit) -> str:
    """What the debugger says when it has travelled there."""
    if one.event_id is None:
        return f"{one.expression} holds nowhere" + (f": {one.error}" if one.error else "")
    before = f", and not yet at {one.last_false}" if one.last_false is not None else ", from the first step on"
    by = f" under build {one.build_id}" if one.build_id else ""
    return f"{one.expression} holds from event {one.event_id}{by}{before}"


def blamed(one: Blame, source: Sequence[str]) -> list[Line]:
    """Which event, build and line made a value what it is."""
    if one.event_id is None:
        why = one.error or (one.trouble.message if one.trouble else "it leads to nothing here")
        return [line((cell(one.path, 120), "key"), f"  {cell(why, 300)}")]
    before, after = (cell(value.text, 200) if value else "nothing" for value in (one.before, one.after))
    rows = [
        line((cell(one.path, 120), "strong"), f"  {before} → {after}"),
        line(("event  ", "key"), str(one.event_id), ("  the task that completed there", "dim")),
        line(("build  ", "key"), cell(one.build_id) or "not recorded"),
    ]
    if one.ran_at is not None and one.ran_at != one.event_id:
        rows.append(line(("ran at ", "key"), f"{one.ran_at}, and again when this build took over"))
    if one.call_site is not None:
        rows += [line(("line   ", "key"), (place(one.call_site), "strong"), f"  {cell(one.call_site.function)}")]
        rows += excerpt(source, one.call_site.line)
    if one.trouble is not None:
        rows.append(trouble(one.trouble))
    return rows
