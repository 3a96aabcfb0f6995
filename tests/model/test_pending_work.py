"""The index of open work finds what a scan of all work finds."""

from __future__ import annotations

import random

from replaytool.model.pending_work import OpenWorkIndex, PendingItem, TrackedWork


def _random_works(draw: random.Random, last: int) -> list[TrackedWork]:
    works = []
    for opened in sorted(draw.sample(range(1, last), 400)):
        end = draw.choice([None, opened + 1 + int(draw.expovariate(1 / 120))])
        view = PendingItem("timer", str(opened), str(opened), opened, "Started", opened)
        views = (view, PendingItem("timer", view.name, view.key, opened, "Fired", end)) if end else (view,)
        works.append(TrackedWork(views, end))
    return works


def test_the_index_agrees_with_a_scan() -> None:
    draw = random.Random(7)
    ids = list(range(1, 1500))
    works = _random_works(draw, len(ids))
    index = OpenWorkIndex(ids, works)
    for place in range(0, len(ids), 13):
        event_id = ids[place]
        scanned = tuple(work.view_at(event_id) for work in works if work.is_open_at(event_id))
        assert index.list_open(place, event_id) == scanned
    for low, high in ((1, 1499), (200, 700), (256, 257), (700, 700)):
        passed = [
            work.views[-1] for work in works if low < work.opening_event_id <= high and (work.closed or 9999) <= high
        ]
        assert index.list_passed(low, high) == passed
    assert all(index.final_view(work.opening_event_id) == work.views[-1] for work in works)
