"""The answer of `find`: the places by number of runs, then each run, then what could not be replayed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict

from replaytool.model.found_states import FoundState, FoundStates
from replaytool.render.code_frame import path_in_repository
from replaytool.render.tables import format_table
from replaytool.text import count_noun, escape_controls, shorten_text

_MOST_REASONS = 20


def render_text(found: FoundStates) -> str:
    """Return the tables."""
    return "\n".join(_list_lines(found)) + "\n"


def render_json(found: FoundStates) -> str:
    """Return one JSON object."""
    plain = {"expression": found.expression, "runs": found.runs}
    matches, unreplayed = (list(map(asdict, listed)) for listed in (found.matches, found.not_replayed))
    return json.dumps({**plain, "matches": matches, "not_replayed": unreplayed}, default=str) + "\n"


def _list_lines(found: FoundStates) -> Iterator[str]:
    total = count_noun(found.runs, "run")
    yield f"{escape_controls(found.expression)}: true in {len(found.matches):,} of {total}"
    for (build, file, line), runs in found.count_places():
        where = f"{path_in_repository(file)}:{line}" if file else "no line"
        yield escape_controls(f"  {count_noun(runs, 'run')}: build {build or '(none)'}, {where}")
    if found.matches:
        yield ""
        columns = ("workflow_id", "run_key", "event", "build", "line", "before", "after")
        yield format_table(columns, map(_list_cells, found.matches)).rstrip("\n")
    for one in (match for match in found.matches if match.note):
        yield escape_controls(f"{one.workflow_id or one.run_key}: {one.note}")
    yield from _list_unreplayed(found)


def _list_unreplayed(found: FoundStates) -> Iterator[str]:
    """Return the reasons with their number of runs, and an example of each."""
    by_reason: dict[str, list[str]] = {}
    for left in found.not_replayed:
        by_reason.setdefault(left.why, []).append(left.workflow_id or left.run_key)
    if by_reason:
        yield ""
        yield f"Nobody knows of {count_noun(len(found.not_replayed), 'run')}:"
    for why, names in list(by_reason.items())[:_MOST_REASONS]:
        runs = names[0] if len(names) == 1 else f"{count_noun(len(names), 'run')}, such as {names[0]}"
        yield escape_controls(f"  {runs}: {shorten_text(why, 200)}")
    if len(by_reason) > _MOST_REASONS:
        yield f"  … and {len(by_reason) - _MOST_REASONS} more reasons; --json lists all"


def _list_cells(one: FoundState) -> list[object]:
    line = f"{path_in_repository(one.file)}:{one.line}" if one.file else ""
    sides = [_format_attributes(side) for side in (one.before, one.after)]
    return [one.workflow_id, one.run_key, one.event_id, one.build_id, line, *sides]


def _format_attributes(side: Mapping[str, object]) -> str:
    return shorten_text(" ".join(f"{name}={json.dumps(value, default=str)}" for name, value in side.items()), 60)
