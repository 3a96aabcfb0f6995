"""What `scrub` did, for people and as plain data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from replaytool.text import visible

if TYPE_CHECKING:
    from replaytool.session.corpora import Cleaned


def data(found: Sequence[Cleaned]) -> dict[str, Any]:
    """For `--json`."""
    return {"schema": 1, "histories": [_history(one) for one in found]}


def _history(one: Cleaned) -> dict[str, Any]:
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


def text(found: Sequence[Cleaned]) -> Iterator[str]:
    """Line by line."""
    for one in found:
        name = visible(f"{one.row.workflow_type}  {one.row.workflow_id or one.row.run_key}")
        if one.found.reason:
            yield f"{name}: not accepted: {visible(one.found.reason)}"
            continue
        yield f"{name}: {one.found.replaced:,} values replaced, the verdict is {one.found.verdict} as before"
        yield f"  {visible(one.file)}"
        yield from (f"  kept: {visible(kept.field)} ({kept.why})" for kept in one.found.kept)
    accepted = sum(not one.found.reason for one in found)
    yield f"{accepted:,} of {len(found):,} histories can be given away"
