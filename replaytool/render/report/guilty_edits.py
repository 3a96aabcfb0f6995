"""What every report format shows of the edits that break runs: a headline, the diff, and what replays have shown."""

from __future__ import annotations

from collections.abc import Iterator

from replaytool.model.guilty import EditHunk, GuiltyEdits, GuiltySearch
from replaytool.model.verdict import CheckReport
from replaytool.text import count_noun, escape_controls

_MOST_LINES = 40


def list_guilty_edits(report: CheckReport) -> tuple[GuiltyEdits, ...]:
    """Return the guilty edits, those that break most runs first."""
    return report.guilty.found if report.guilty is not None else ()


def format_place(hunk: EditHunk) -> str:
    """Return file and line of an edit in the changed code."""
    return escape_controls(f"{hunk.path}:{find_line(hunk)}")


def find_line(hunk: EditHunk) -> int:
    """Return the first line of an edit in the changed code; where lines were only removed, the line before."""
    return max(hunk.new_start, 1)


def format_headline(found: GuiltyEdits) -> str:
    """Say in one line which edit breaks how many runs."""
    first, more = found.hunks[0], len(found.hunks) - 1
    what = f"the edit at {format_place(first)}"
    if more:
        what = f"{more + 1} edits together, the first at {format_place(first)},"
    verb = "break" if more else "breaks"
    if not found.alone:
        return f"{what} could not be separated further"
    return f"{what} {verb} {count_noun(len(found.breaks), 'run')}"


def format_proof(found: GuiltyEdits) -> str:
    """Say what replays have shown of these edits."""
    those = "these edits" if len(found.hunks) > 1 else "this edit"
    if not found.alone:
        return f"not shown by a replay of {those} alone"
    runs = count_noun(len(found.breaks), "run")
    broken = "breaks" if len(found.breaks) == 1 else "break"
    shown = f"shown by replay: on the base with only {those}, {runs} {broken}"
    if not found.heals:
        return shown
    healed = "all of them pass" if len(found.heals) == len(found.breaks) else f"{len(found.heals)} of them pass"
    return f"{shown}; on the change without {those}, {healed}"


def list_diff_lines(found: GuiltyEdits) -> Iterator[str]:
    """Return the edits as a diff, with the commit that made each."""
    for hunk in found.hunks:
        commit = f" (commit {hunk.commit[:12]})" if hunk.commit else ""
        ranges = f"-{hunk.old_start},{hunk.old_lines} +{hunk.new_start},{hunk.new_lines}"
        yield f"@@ {ranges} @@ {escape_controls(hunk.path)}{commit}"
        lines = [f"-{line}" for line in hunk.removed] + [f"+{line}" for line in hunk.added]
        yield from (escape_controls(line.rstrip("\n")) for line in lines[:_MOST_LINES])
        if len(lines) > _MOST_LINES:
            yield f"… {len(lines) - _MOST_LINES} more lines"


def list_fix_lines(search: GuiltySearch) -> Iterator[str]:
    """Return the fix with what replays have shown, or why there is none."""
    fix = search.fix
    if fix is None:
        return
    if not fix.diff:
        yield f"fix: {escape_controls(fix.note)}"
        return
    runs = count_noun(fix.healed, "run")
    yield f"fix, proven by replay: {runs} replay again, no other run changes, and a fresh run takes the new path"
    yield from (f"  {escape_controls(line)}" for line in fix.diff.splitlines())


def list_search_notes(search: GuiltySearch) -> Iterator[str]:
    """Return what the search could not tell."""
    if search.note:
        yield f"guilty: {escape_controls(search.note)}"
    if search.found and search.unexplained:
        yield f"guilty: no edit was found for {count_noun(len(search.unexplained), 'run')} that breaks as well"
