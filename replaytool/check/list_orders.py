"""Leave out of the drift the order of lists that the code makes from sets of strings.

The order of such a set is another one in each process, unless PYTHONHASHSEED is set. The worker that wrote the history
had its own. Replays with other hash seeds show which lists are concerned. A list that keeps its order in all of them,
or that has other members than the recorded one, is still drift.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from replaytool.model.verdict import Drift, Verdict
from replaytool.replay.compare.drift import MISSING, MOST_DRIFT, describe_drift
from replaytool.replay.compare.unstable import combine_verdicts
from replaytool.workers.pool import WorkItem

_SEEDS = ("1", "2", "3", "4", "5", "6")
"""The first replay has seed 0. Two strings have the same order under all seven in one case of 64."""
_MEMBER = re.compile(r"(.+)\[\d+\]$")
_PASSES = ("ok", "drift")
ListPlace = tuple[int, str]
"""An event and the path of a list in it."""
ReplayWithSeed = Callable[[Sequence[WorkItem], str], dict[str, Verdict]]


def settle_list_orders(works: Iterable[WorkItem], verdicts: dict[str, Verdict], again: ReplayWithSeed) -> None:
    """Replace verdicts whose drift includes lists that have another order under another hash seed."""
    open_works = {work.key: work for work in works if work.key in verdicts and find_other_orders(verdicts[work.key])}
    dropped: dict[str, set[ListPlace]] = {key: set() for key in open_works}
    for seed in _SEEDS:
        if not open_works:
            break
        found = again(list(open_works.values()), seed)
        for key in list(open_works):
            other, verdict = found.get(key), verdicts[key]
            if other is not None and other.verdict == "diverged":
                verdicts[key] = combine_verdicts([verdict, other])  # the order decides what the code asks for
                del open_works[key]
            elif other is not None and other.verdict in _PASSES and len(other.drift) < MOST_DRIFT:
                dropped[key] |= _find_moved_lists(verdict, other)
                if dropped[key] == set(find_other_orders(verdict)):
                    del open_works[key]
    for key, places in dropped.items():
        if places and verdicts[key].verdict == "drift":
            verdicts[key] = _drop_orders(verdicts[key], places)


def find_other_orders(verdict: Verdict) -> dict[ListPlace, list[Drift]]:
    """Return the lists of strings that the code makes with the recorded members in another order."""
    if verdict.verdict != "drift" or len(verdict.drift) >= MOST_DRIFT:  # the rest of the drift is not known
        return {}
    return {place: found for place, found in _group_by_list(verdict).items() if _have_equal_members(found)}


def _find_moved_lists(verdict: Verdict, other: Verdict) -> set[ListPlace]:
    """Return the lists that have the recorded members in both replays, and not in the same order."""
    orders, others, differing = find_other_orders(verdict), find_other_orders(other), _group_by_list(other)
    return {
        place
        for place, found in orders.items()
        if place not in differing or (place in others and others[place] != found)
    }


def _group_by_list(verdict: Verdict) -> dict[ListPlace, list[Drift]]:
    lists: dict[ListPlace, list[Drift]] = {}
    for one in verdict.drift:
        if member := _MEMBER.fullmatch(one.path):
            lists.setdefault((one.event_id, member[1]), []).append(one)
    return lists


def _have_equal_members(found: Sequence[Drift]) -> bool:
    sides = [[one.recorded for one in found], [one.produced for one in found]]
    before, after = ([value for value in side if value != MISSING] for side in sides)
    strings = all(isinstance(value, str) for value in (*before, *after))
    return strings and sorted(map(str, before)) == sorted(map(str, after))


def _drop_orders(verdict: Verdict, places: set[ListPlace]) -> Verdict:
    dropped = {id(one) for place, found in find_other_orders(verdict).items() if place in places for one in found}
    left = tuple(one for one in verdict.drift if id(one) not in dropped)
    reason = verdict.reason.replace(describe_drift(verdict.drift), describe_drift(left)).strip("; ")
    event_id, path = min(places)
    lists = "1 list has" if len(places) == 1 else f"{len(places)} lists have"
    note = f"{lists} another order under another PYTHONHASHSEED, first {path} at event {event_id}: not compared"
    return replace(verdict, verdict="drift" if left else "ok", reason=reason, drift=left, notes=(*verdict.notes, note))
