"""Values made of live objects: nothing hostile runs, nothing grows without bound, nothing is kept twice."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import enum
import threading
import tracemalloc
from collections import OrderedDict, defaultdict, deque
from dataclasses import dataclass
from typing import Any, NoReturn

import msgspec
import pytest

from replaytool.model.debug_state import StateValue
from replaytool.replay.inspect_state.safe_copies import Copier, read_attributes
from replaytool.replay.inspect_state.snapshots import LONGEST, Snapshots


class Raises:
    def __init__(self) -> None:
        object.__setattr__(self, "held", 4)

    def __getattribute__(self, name: str) -> NoReturn:
        raise RuntimeError(name)

    def __repr__(self) -> NoReturn:
        raise ValueError

    def __eq__(self, other: object) -> NoReturn:
        raise ValueError

    def __hash__(self) -> NoReturn:
        raise ValueError


class Endless(list[int]):
    def __repr__(self) -> str:
        while True:
            pass

    def __iter__(self) -> Any:
        while True:
            yield 1

    def __len__(self) -> int:
        return 10**12


class Liar(dict[str, int]):
    def items(self) -> NoReturn:
        raise ValueError

    def __getitem__(self, key: str) -> NoReturn:
        raise ValueError


class Loud(datetime.datetime):
    def __str__(self) -> NoReturn:
        raise ValueError


class Level(enum.Enum):
    GOLD = 1


@dataclass(slots=True)
class Slotted:
    points: int
    name: str


class Workflow:
    pass


def value_of(found: Any) -> StateValue:
    return Snapshots().snapshot_value(found)


@pytest.mark.parametrize(
    ("found", "plain"),
    [
        (3, 3),
        (None, None),
        (True, True),
        ("text", "text"),
        ([1, (2, 3)], [1, [2, 3]]),
        ({"a": {1, 3, 2}, 5: None}, {"a": [1, 2, 3], "5": None}),
        (deque([1, 2]), [1, 2]),
        (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
        (defaultdict(list, a=[1]), {"a": [1]}),
        (Slotted(3, "x"), {"points": 3, "name": "x"}),
        (Level.GOLD, "Level.GOLD"),
        (decimal.Decimal("1.50"), "1.50"),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (ValueError("no", 3), {"args": ["no", 3]}),
        (2**70, "<int>"),
        (float("nan"), "<float>"),
        (threading.Lock(), "<lock>"),
        (Raises(), {"held": 4}),
        (Endless([1, 2]), [1, 2]),
        (Liar(a=1), {"a": 1}),
        (Loud(2026, 1, 2), "<Loud>"),
    ],
    ids=lambda one: type(one).__name__,
)
def test_values_and_what_is_no_value(found: Any, plain: Any) -> None:
    value = value_of(found)
    assert value.to_plain_data() == plain
    assert msgspec.json.decode(msgspec.json.encode(value), type=StateValue) == value
    assert len(value.text) < 200


def test_what_holds_itself_is_shown_once() -> None:
    ring: list[Any] = [1]
    ring.append(ring)
    workflow: Any = Workflow()
    workflow.me = workflow
    assert value_of(ring).to_plain_data() == [1, "<list>"]
    assert value_of(ring)["[1]"].kind == "again"
    assert value_of(workflow).to_plain_data() == {"me": "<Workflow>"}


def test_what_is_huge_is_cut_and_says_how_large_it_was() -> None:
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    wide = value_of(list(range(100_000)))
    assert (wide.size, wide.is_cut, wide.items[0].label, wide.items[-1].label) == (100_000, True, "[0]", "[99999]")
    text = value_of("x" * 10**7)
    assert (text.size, len(str(text.scalar))) == (10**7, LONGEST)
    many = value_of({f"key {number}": {"a": [number]} for number in range(100_000)})
    for value in (wide, text, many, value_of(deep), value_of([[list(range(100))] * 100] * 100), value_of(10**5000)):
        assert len(msgspec.json.encode(value)) < 500_000


def test_steps_share_what_has_not_changed() -> None:
    workflow: Any = Workflow()
    workflow.trips, workflow.mails, workflow.rider = [], [{"to": "ada"}], Slotted(1, "x")
    snapshots = Snapshots()
    tracemalloc.start()
    kept = []
    for number in range(3000):
        workflow.trips.append(number)
        snapshots.next_step()
        kept.append(snapshots.snapshot_names("self", "Workflow", read_attributes(workflow)))
    used = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert kept[5]["mails"] is kept[2999]["mails"]
    assert kept[5]["rider"] is kept[2999]["rider"]
    assert kept[5]["trips"] != kept[6]["trips"]
    assert used / len(kept) < 3000  # bytes for a step that shows a hundred items
    snapshots.next_step()
    assert snapshots.snapshot_names("self", "Workflow", read_attributes(workflow)) is kept[-1]


def test_copies_are_whole_where_they_can_be_and_never_lead_into_the_event_loop() -> None:
    async def made() -> Any:
        workflow: Any = Workflow()
        workflow.lock, workflow.queue, workflow.waiting = asyncio.Lock(), asyncio.Queue(), asyncio.Future()
        workflow.queue.put_nowait(3)
        await workflow.lock.acquire()
        workflow.me, workflow.endless, workflow.raises = workflow, Endless([1]), Raises()
        workflow.by_name = defaultdict(list, a=[workflow.queue])
        return workflow

    workflow = asyncio.run(made())
    copied = Copier().copy_value(workflow)
    assert copied is not workflow
    assert copied.me is copied
    assert copied.by_name["a"][0] is copied.queue
    assert copied.by_name["b"] == []
    assert "b" not in workflow.by_name
    assert (copied.queue.qsize(), copied.lock.locked(), repr(copied.waiting)) == (1, True, "<Future>")
    copied.queue.get_nowait()
    assert workflow.queue.qsize() == 1
    assert list.__len__(copied.endless) == 1
    assert dict(read_attributes(copied.raises)) == {"held": 4}
