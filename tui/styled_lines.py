"""Lines of text made of (text, role) pieces. There is no markup, so no payload can be taken for style."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Iterable, Iterator

from rich.cells import cell_len, get_character_cell_size

from replaytool.text import escape_controls, shorten_text

Line = tuple[tuple[str, str], ...]
"""Pieces of text with their roles: key, dim, good, bad, warn, strong, or "" for plain."""

ROLES = ("key", "dim", "good", "bad", "warn", "strong", "cursor", "head", "mark")
_LONGEST_TEXT = 20_000
_MOST_LINES = 5_000
_DEEPEST = 40
_LONGEST_FILE = 32
_LONGEST_WORD = 20


def line(*pieces: str | tuple[str, str]) -> Line:
    """Return a line of plain pieces and pieces with a role."""
    return tuple((piece, "") if isinstance(piece, str) else piece for piece in pieces)


def plain_text(lines: Iterable[Line]) -> str:
    """Return the lines without their roles."""
    return "\n".join("".join(text for text, _ in pieces) for pieces in lines)


def cell_text(value: object, widest: int = 200) -> str:
    """Return a value on one line, cut to a width, without terminal control characters."""
    if value is None:
        return ""
    if isinstance(value, datetime.datetime):
        return value.isoformat(sep=" ", timespec="milliseconds")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    text = value if isinstance(value, str) else _short_json(value, widest)
    return escape_controls(shorten_text(text, widest))


def short_file_name(file: str) -> str:
    """Return a file path for a title: unchanged if short, else its last two parts."""
    if len(file) <= _LONGEST_FILE:
        return cell_text(file)
    return "…/" + cell_text("/".join(file.split("/")[-2:]), 60)


def _short_json(value: object, widest: int) -> str:
    """Encode only as much of a large value as will be shown."""
    parts: list[str] = []
    length = 0
    for part in json.JSONEncoder(ensure_ascii=False, default=str).iterencode(_clip_value(value, widest)):
        parts.append(part)
        length += len(part)
        if length > widest:
            break
    return "".join(parts)


def _clip_value(value: object, widest: int, depth: int = 0) -> object:
    if isinstance(value, str):
        return value[: widest + 1]
    if depth > _DEEPEST:
        return "…"
    if isinstance(value, dict):
        pairs = zip(range(widest), value.items(), strict=False)
        return {str(key)[: widest + 1]: _clip_value(item, widest, depth + 1) for _, (key, item) in pairs}
    if isinstance(value, list | tuple):
        return [_clip_value(item, widest, depth + 1) for item in value[:widest]]
    return value


def tree_lines(value: object, most: int = _MOST_LINES) -> list[Line]:
    """Return a recorded value as a tree: one line per leaf, long texts cut, with a note about what is missing."""
    found: list[Line] = []
    for one in _tree_branches("", value, 0):
        if len(found) == most:
            return [*found, line(("… more lines; y copies the whole", "dim"))]
        found.append(one)
    return found


def _tree_branches(label: str, value: object, depth: int) -> Iterator[Line]:
    head: Line = (("  " * depth, ""), (label, "key")) if label else (("  " * depth, ""),)
    if depth > _DEEPEST:
        yield (*head, ("…", "dim"))
    elif isinstance(value, dict) and value:
        yield from [head] if label else []
        for key, item in value.items():
            yield from _tree_branches(f"{escape_controls(shorten_text(str(key), 200))}: ", item, depth + bool(label))
    elif isinstance(value, list) and value:
        yield from [head] if label else []
        for index, item in enumerate(value):
            yield from _tree_branches(f"[{index}] ", item, depth + bool(label))
    elif isinstance(value, str):
        yield from _text_lines(head, value, depth)
    else:
        yield (*head, (_format_scalar(value), ""))


def _text_lines(head: Line, value: str, depth: int) -> Iterator[Line]:
    """Show a text of several lines, such as a stack trace, line by line."""
    cut, missing = value[:_LONGEST_TEXT], len(value) - _LONGEST_TEXT
    if "\n" in cut.strip("\n"):
        yield head
        for part in cut.rstrip("\n").split("\n"):
            yield (("  " * (depth + 1) + "│ ", "dim"), (escape_controls(part.expandtabs(4)), ""))
    else:
        yield (*head, (f'"{escape_controls(cut)}"', ""))
    if missing > 0:
        yield (("  " * (depth + 1), ""), (f"… {missing:,} more characters; y copies the whole", "dim"))


def _format_scalar(value: object) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return escape_controls(shorten_text(json.dumps(value, default=str), 200))


def fold_lines(lines: Iterable[Line], width: int) -> list[Line]:
    """Break the lines to a width; continuation lines are indented, so that they do not look like new lines."""
    found: list[Line] = []
    for pieces in lines:
        if sum(cell_len(text) for text, _ in pieces) <= width or width < 8:
            found.append(pieces)
        else:
            found.extend(_break_line(pieces, width))
    return found


def _break_line(pieces: Line, width: int) -> Iterator[Line]:
    row: list[tuple[str, str]] = []
    room = width
    for text, role in pieces:
        while text:
            head = _cut_at_space(fit_text(text, room), text)
            if head:
                row.append((head, role))
                room -= cell_len(head)
                text = text[len(head) :]
            else:
                yield tuple(row)
                row, room = [("  ", "")], width - 2
    yield tuple(row)


def _cut_at_space(head: str, text: str) -> str:
    """Keep words whole if a space is near."""
    if len(head) == len(text):
        return head
    at = head.rfind(" ", max(len(head) - _LONGEST_WORD, 1))
    return head[: at + 1] if at > 0 and head[:at].strip() else head


def fit_text(text: str, room: int) -> str:
    """Return as much of the beginning as fits into a number of cells."""
    head = text[: max(room, 0)]
    if head.isascii():
        return head
    taken = 0
    for index, char in enumerate(head):
        taken += get_character_cell_size(char)
        if taken > room:
            return head[:index]
    return head
