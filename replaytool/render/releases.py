"""The report of `check --with`: a line for each release, then the runs whose verdict changes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from replaytool.model.releases import ReleaseCheck, list_release_changes
from replaytool.render.tables import format_table
from replaytool.text import count_noun, cut_long_words, escape_controls, shorten_text

_WORDS = ("ok", "drift", "diverged", "failed", "unverified", "crashed")
_MOST_CHANGES = 50


def render_text(checks: Sequence[ReleaseCheck]) -> str:
    """Return the tables."""
    return "\n".join(cut_long_words(line) for line in _list_lines(checks)) + "\n"


def render_json(checks: Sequence[ReleaseCheck]) -> str:
    """Return one JSON object."""
    releases = [{key: value for key, value in asdict(one).items() if key != "runs"} for one in checks]
    verdicts = [{run.run_key: run.verdict for run in one.runs} for one in checks]
    for release, runs in zip(releases, verdicts, strict=True):
        release["verdicts"] = runs
    changes = [asdict(one) for one in list_release_changes(checks)]
    return json.dumps({"schema": 1, "releases": releases, "changes": changes}, indent=1) + "\n"


def _list_lines(checks: Sequence[ReleaseCheck]) -> Iterator[str]:
    yield format_table(("release", *_WORDS), map(_make_row, checks)).rstrip("\n")
    for one in checks:
        if one.versions:
            yield f"{one.name}: " + ", ".join(f"{name} {version}" for name, version in one.versions.items())
        if one.note:
            yield f"  {escape_controls(one.note)}"
        if one.trouble:
            yield f"  not checked: {escape_controls(one.trouble)}"
    yield ""
    changes = list_release_changes(checks)
    if not changes:
        yield "No verdict changes between these releases."
    else:
        yield f"Changed against what is installed: {count_noun(len(changes), 'verdict')}."
    for change in changes[:_MOST_CHANGES]:
        place = f", event {change.event_id}" if change.event_id is not None else ""
        name = escape_controls(change.workflow_id or change.run_key)
        reason = shorten_text(escape_controls(change.reason), 200)
        yield f"  {change.release}: {name} [{change.run_key}] {change.before} → {change.after}{place}: {reason}"
    if len(changes) > _MOST_CHANGES:
        yield f"  … and {len(changes) - _MOST_CHANGES} more; --json lists all"


def _make_row(check: ReleaseCheck) -> list[object]:
    counts = [None if check.trouble else int(check.summary.get(word, 0)) for word in _WORDS]
    return [check.name, *counts]
