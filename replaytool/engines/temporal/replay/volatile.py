"""Leave out of the comparison what differs between two replays of the same code: ids and times that libraries make.

A change beside such a value is still drift. If the workflow's own lines read the clock or random numbers, everything is
compared: that is a fault of the workflow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from replaytool.engines.temporal.replay.findings import match_tape
from replaytool.engines.temporal.replay.verdicts import ReplayCase, judge_replay
from replaytool.model.verdict import Verdict
from replaytool.replay.compare.drift import Place, VolatileValues, find_volatile_values
from replaytool.replay.isolation.clock_and_random import shift_wall_clock_further

_AHEAD = 17_543_169.7
"""Seconds: another year, month, day, hour, minute and second."""
_MOST_LINES = 3
_MOST_REPEATS = 4


def drop_volatile_drift(verdict: Verdict, case: ReplayCase, repeat: Callable[[], ReplayCase]) -> Verdict:
    """Return the verdict without the drift that more replays, under another clock, do not repeat.

    One replay shows whether anything differs. Chance may repeat a value, so that drift beside such values needs more.
    """
    if verdict.verdict != "drift" or any(not one.refused for one in verdict.hazards):
        return verdict
    replays, judged = [case], verdict
    while len(replays) <= _MOST_REPEATS and judged.verdict == "drift":
        with shift_wall_clock_further(_AHEAD * len(replays)):
            again = repeat()
        if again.outcome.word != "ok":
            return verdict
        replays.append(again)
        volatile = _find_values(replays)
        if not volatile.places:
            return verdict
        judged = judge_replay(replace(case, volatile=volatile))
    return replace(judged, notes=(*judged.notes, _describe_places(volatile.places, case)))


def _find_values(replays: list[ReplayCase]) -> VolatileValues:
    matched = [match_tape(one.record, one.tape.activations).pairs.matched for one in replays]
    return find_volatile_values(matched, replays[0].decode)


def _describe_places(places: Sequence[Place], case: ReplayCase) -> str:
    event_id, path = places[0]
    count = "1 value differs" if len(places) == 1 else f"{len(places)} values differ"
    uses = list(case.tape.guard.library_uses.values()) if case.tape.guard else []
    lines = [f"{use.call_site.file}:{use.call_site.line} ({use.what})" for use in uses if use.call_site is not None]
    made = f"; made anew by {', '.join(lines[:_MOST_LINES])}" if lines else ""
    return f"{count} between two replays of the same code, first {path} at event {event_id}: not compared{made}"
