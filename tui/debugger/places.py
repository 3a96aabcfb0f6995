"""Places in a run that the user can name: an event, a time, a name."""

from __future__ import annotations

from bisect import bisect_right

from replaytool.debug.timeline import RunTimeline
from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.tui.debugger.event_list import seconds_since_start

EXAMPLE = "11 · +30s · @charge_card"


def parse_place(text: str, timeline: RunTimeline, stop: int) -> int:
    """Return the index of the event that the user means; a name means the next event after the stop that has it."""
    text = text.strip()
    if text.startswith("@"):
        names = timeline.names
        order = (*range(stop + 1, len(names)), *range(stop + 1))
        found: int | None = next((index for index in order if names[index] == text[1:]), None)
        if found is None:
            raise ReplaytoolError(
                f"no event has the name {text[1:]!r}", "the list shows the names", code=ErrorCode.DEBUG_PLACE
            )
        return found
    if text.startswith("+"):
        return _index_after_seconds(text[1:].removesuffix("s"), timeline)
    if not text.isdigit():
        raise ReplaytoolError(
            f"cannot go to {text!r}", "write an event ID, +SECONDS, or @NAME", code=ErrorCode.DEBUG_PLACE
        )
    return timeline.index_of_event(int(text))


def _index_after_seconds(text: str, timeline: RunTimeline) -> int:
    try:
        wanted = float(text)
    except ValueError:
        raise ReplaytoolError(
            f"+{text} is not a time", "write +90 or +90s, in seconds from the start", code=ErrorCode.DEBUG_PLACE
        ) from None
    passed = [seconds_since_start(event, timeline.events[0]) or 0.0 for event in timeline.events]
    return max(bisect_right(passed, wanted) - 1, 0)
