"""Output of `scrub`, as text and as plain data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from replaytool.text import escape_controls

if TYPE_CHECKING:
    from replaytool.session.corpora import ScrubbedHistory


def scrub_to_json(found: Sequence[ScrubbedHistory]) -> dict[str, object]:
    """Return the scrubbed histories for `--json`."""
    return {"schema": 1, "histories": [_scrubbed_history_to_json(one) for one in found]}


def _scrubbed_history_to_json(one: ScrubbedHistory) -> dict[str, object]:
    return {
        "run_key": one.row.run_key,
        "source": one.row.source,
        "workflow_type": one.row.workflow_type,
        "accepted": not one.found.reason,
        "reason": one.found.reason,
        "verdict": one.found.verdict,
        "file": one.file or None,
        "replaced": one.found.replaced,
        "kept": [{"field": kept.field, "why": kept.why} for kept in one.found.kept],
    }


def format_scrub(found: Sequence[ScrubbedHistory]) -> Iterator[str]:
    """Format the scrubbed histories as lines of text."""
    for one in found:
        name = escape_controls(f"{one.row.workflow_type}  {one.row.workflow_id or one.row.run_key}")
        if one.found.reason:
            yield f"{name}: not accepted: {escape_controls(one.found.reason)}"
            continue
        yield f"{name}: {one.found.replaced:,} values replaced, verdict still {one.found.verdict}"
        yield f"  {escape_controls(one.file)}"
        yield from (f"  kept: {escape_controls(kept.field)} ({kept.why})" for kept in one.found.kept)
    accepted = sum(not one.found.reason for one in found)
    yield f"{accepted:,} of {len(found):,} histories scrubbed"
