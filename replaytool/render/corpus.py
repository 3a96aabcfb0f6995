"""Output of `coverage` and `select`, as text and as plain data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from replaytool.render.code_frame import make_path_relative
from replaytool.text import escape_controls

if TYPE_CHECKING:
    from replaytool.corpus.coverage import CorpusCoverage, FileCoverage
    from replaytool.corpus.source_lines import Thing
    from replaytool.session.corpora import ChosenHistories

_SORTS = {
    "type": ("workflow type", "workflow types"),
    "shape": ("command shape", "command shapes"),
    "event": ("event type", "event types"),
    "patch": ("side of a patch", "sides of patches"),
    "line": ("line", "lines"),
    "branch": ("branch", "branches"),
}


def coverage_to_json(found: CorpusCoverage) -> dict[str, object]:
    """Return the coverage for `--json`."""
    return {
        "schema": 1,
        "histories": found.histories,
        "not_followed": found.not_followed,
        "percent": round(found.percent_covered, 1),
        "files": [_file_coverage_to_json(one) for one in found.files],
        "types": dict(found.types),
        "types_without_history": [name for name, count in found.types.items() if not count],
        "types_without_code": list(found.without_code),
        "patches": [
            {"id": one.patch, "with_marker": one.with_marker, "without_marker": one.without_marker}
            for one in found.patches
        ],
    }


def _file_coverage_to_json(one: FileCoverage) -> dict[str, object]:
    return {
        "file": make_path_relative(one.file),
        "percent": round(one.percent_covered, 1),
        "lines": one.lines,
        "missing_lines": list(one.missing_lines),
        "branches": one.branches,
        "missing_branches": [{"line": line, "way": way} for line, way in one.missing_branches],
        "unreached_branches": one.unreached_branches,
    }


def format_coverage(found: CorpusCoverage) -> Iterator[str]:
    """Format the coverage as lines of text."""
    for one in found.files:
        reached = one.lines - len(one.missing_lines)
        taken = one.branches - len(one.missing_branches) - one.unreached_branches
        yield (
            f"{escape_controls(make_path_relative(one.file))}  {one.percent_covered:.0f} %"
            f"  {reached} of {one.lines} lines, {taken} of {one.branches} branches"
        )
    words = "history reaches" if found.histories == 1 else "histories reach"
    total = f"{found.histories:,} {words} {found.percent_covered:.0f} % of the workflow code"
    yield total if found.files else "no history reaches the workflow code"
    if found.not_followed:
        yield f"{found.not_followed:,} of them do not follow the code; they count up to their first mismatch"
    gaps = list(list_coverage_gaps(found))
    if gaps:
        yield ""
        yield "No history covers:"
        yield from (f"  {line}" for line in gaps)


def list_coverage_gaps(found: CorpusCoverage) -> Iterator[str]:
    """List what no history covers, one line each."""
    yield from (
        f"workflow type {escape_controls(name)}: no history" for name, count in found.types.items() if not count
    )
    for patch in found.patches:
        if not patch.with_marker:
            yield f"patch {escape_controls(patch.patch)}: with its marker"
        if not patch.without_marker:
            yield f"patch {escape_controls(patch.patch)}: without its marker"
    for one in found.files:
        if one.missing_lines:
            yield f"{escape_controls(make_path_relative(one.file))}: lines {join_line_spans(one.missing_lines)}"
        for line, way in one.missing_branches:
            yield f"{escape_controls(make_path_relative(one.file))}:{line}: {way}"
    yield from (f"workflow type {escape_controls(name)}: histories, but no code" for name in found.without_code)


def join_line_spans(lines: Sequence[int]) -> str:
    """Join neighbouring line numbers.

    >>> join_line_spans([3, 4, 5, 9])
    '3-5, 9'
    """
    joined: list[list[int]] = []
    for line in lines:
        if joined and line == joined[-1][1] + 1:
            joined[-1][1] = line
        else:
            joined.append([line, line])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in joined)


def selection_to_json(found: ChosenHistories) -> dict[str, object]:
    """Return the selection for `--json`."""
    rows, chosen = found.corpus.rows, found.selection
    return {
        "schema": 1,
        "histories": len(found.corpus.things),
        "covered": _count_kinds(chosen.covered),
        "lost": [_thing_to_json(one) for one in sorted(chosen.lost)],
        "chosen": [
            {
                "run_key": one.key,
                "workflow_id": rows[one.key].workflow_id,
                "run_id": rows[one.key].run_id,
                "workflow_type": rows[one.key].workflow_type,
                "source": rows[one.key].source,
                "events": rows[one.key].event_count,
                "file": found.files[one.key],
                "adds": _count_kinds(one.adds),
                "added": [_thing_to_json(thing) for thing in sorted(one.adds)],
            }
            for one in chosen.chosen
        ],
        "uncovered": coverage_to_json(found.coverage),
    }


def _count_kinds(things: Iterable[Thing]) -> dict[str, int]:
    counts = Counter(one[0] for one in things)
    return {sort: counts[sort] for sort in _SORTS}


def _thing_to_json(thing: Thing) -> list[str]:
    return [
        make_path_relative(word) if at == 1 and thing[0] in ("line", "branch") else word
        for at, word in enumerate(thing)
    ]


def format_selection(found: ChosenHistories) -> Iterator[str]:
    """Format the selection as lines of text."""
    chosen = found.selection
    for number, one in enumerate(chosen.chosen, 1):
        row = found.corpus.rows[one.key]
        run = escape_controls(f"{row.workflow_type}  {row.workflow_id or one.key}")
        yield f"{number:4}  {run}  adds {describe_things(one.adds)}"
        yield f"      {escape_controls(found.files[one.key])}"
    yield (
        f"{len(chosen.chosen):,} of {len(found.corpus.things):,} histories cover {describe_things(chosen.covered)}"
        + ("" if chosen.lost else ": everything that all of them cover")
    )
    if chosen.lost:
        yield f"not covered because of --max: {describe_things(chosen.lost)}"
    gaps = list(list_coverage_gaps(found.coverage))
    if gaps:
        yield ""
        yield "No history covers:"
        yield from (f"  {line}" for line in gaps)


def describe_things(things: Iterable[Thing]) -> str:
    """Count the things of each kind in words.

    >>> describe_things([("line", "a.py", "3"), ("line", "a.py", "4"), ("type", "Order")])
    '1 workflow type, 2 lines'
    """
    counts = Counter(one[0] for one in things)
    parts = [f"{counts[sort]:,} {words[counts[sort] != 1]}" for sort, words in _SORTS.items() if counts[sort]]
    return ", ".join(parts) or "nothing"
