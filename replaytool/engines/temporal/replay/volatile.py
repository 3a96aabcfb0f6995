"""Leave out of the comparison what differs between two replays of the same code: ids and times that libraries make.

A change beside such a value is still drift. If the workflow's own lines read the clock or random numbers, everything is
compared: that is a fault of the workflow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from replaytool.engines.temporal.replay.findings import match_tape
from replaytool.engines.temporal.replay.verdicts import ReplayCase, judge_replay
from replaytool.model.verdict import Verdict
from replaytool.replay.compare.drift import Place, find_volatile_places
from replaytool.replay.isolation.clock_and_random import shift_wall_clock_further

_AHEAD = 17_543_169.7
"""Seconds: another year, month, day, hour, minute and second."""
_MOST_LINES = 3


def drop_volatile_drift(verdict: Verdict, case: ReplayCase, repeat: Callable[[], ReplayCase]) -> Verdict:
    """Return the verdict without the drift that one more replay, under another clock, does not repeat."""
    if verdict.verdict != "drift" or any(not one.refused for one in verdict.hazards):
        return verdict
    with shift_wall_clock_further(_AHEAD):
        again = repeat()
    if again.outcome.word != "ok":
        return verdict
    places = _find_places(case, again)
    if not places:
        return verdict
    judged = judge_replay(replace(case, volatile=frozenset(places)))
    return replace(judged, notes=(*judged.notes, _describe_places(places, case)))


def _find_places(case: ReplayCase, again: ReplayCase) -> list[Place]:
    one, other = (match_tape(side.record, side.tape.activations).pairs.matched for side in (case, again))
    return list(find_volatile_places(one, other, case.decode))


def _describe_places(places: list[Place], case: ReplayCase) -> str:
    event_id, path = places[0]
    count = "1 value differs" if len(places) == 1 else f"{len(places)} values differ"
    uses = list(case.tape.guard.library_uses.values()) if case.tape.guard else []
    lines = [f"{use.call_site.file}:{use.call_site.line} ({use.what})" for use in uses if use.call_site is not None]
    made = f"; made anew by {', '.join(lines[:_MOST_LINES])}" if lines else ""
    return f"{count} between two replays of the same code, first {path} at event {event_id}: not compared{made}"
