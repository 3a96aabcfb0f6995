"""A verdict does not depend on what the same process replayed before: shuffled, split and doubled sets agree."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from replaytool.engines import CodeSpec
from replaytool.workers.pool import WorkerLimits, WorkItem, replay_all_runs, work_from_run
from tests.support.histories import bent, events

_STATE = """
import functools, itertools, random

total = 0
names = []
by_name = {"all": []}
numbers = itertools.count(1)
dice = random.Random(3)

class Meter:
    ticks = 0
    __slots__ = ("own",)
    def __init__(self):
        self.own = 0

meter = Meter()

def count():
    global total
    total += 1
    return total

def collect():
    names.append("x")
    by_name["all"].append("x")
    by_name[len(by_name)] = "y"
    return len(names) + len(by_name["all"]) + len(by_name) - 3

def number():
    return next(numbers)

def tick():
    Meter.ticks += 1
    meter.own += 1
    return Meter.ticks + meter.own - 1

def close_over():
    calls = 0
    def call():
        nonlocal calls
        calls += 1
        return calls
    return call

closed = close_over()

@functools.lru_cache
def look(item):
    return None

def cache():
    before = look.cache_info().currsize
    look("item")
    return before + 1

FIRST = random.Random(3).random()

def roll():
    return 1 if dice.random() == FIRST else 2
"""
_ITERATOR = """
steps = (number for number in range(1, 99))

def step():
    return next(steps)
"""
_HEAD = """
from datetime import timedelta
from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    import {module} as state

async def order(item, cents, moment):
    done = []
    for name, value in (("reserve_stock", item), ("charge_card", cents), ("send_parcel", item)):
        if name == "send_parcel" and moment != {right}:
            name = "send_letter"
        done.append(await workflow.execute_activity(name, value, start_to_close_timeout=timedelta(seconds=10)))
    return done
"""
_CLASS = """
@workflow.defn(name={name!r}, sandboxed={sandboxed})
class {name}:
    @workflow.run
    async def run(self, item: str, cents: int) -> list[str]:
        return await order(item, cents, state.{call}())
"""
_CALLS = ("count", "collect", "number", "tick", "closed", "cache", "roll")


def _write_code(folder: Path, module: str, calls: tuple[str, ...], right: int) -> tuple[CodeSpec, list[WorkItem]]:
    """Workflows that follow their history only where their module's state is the `right` one."""
    (folder / "kept_state.py").write_text(_STATE)
    (folder / "kept_iterator.py").write_text(_ITERATOR)
    code, types = _HEAD.format(module=module, right=right), []
    for call in calls:
        for sandboxed in (True, False):
            types.append(f"{call.title().replace('_', '')}{sandboxed}")
            code += _CLASS.format(name=types[-1], sandboxed=sandboxed, call=call)
    (folder / "stateful.py").write_text(code)
    listed = [work_from_run(name, bent(events("activities_in_sequence"), name)) for name in types]
    return CodeSpec(("stateful.py",), folder=str(folder)), listed


def _words(works: list[WorkItem], spec: CodeSpec, engine: str) -> dict[str, str]:
    """The verdict of each run, and of its copy in the same process."""
    twice = [WorkItem(f"{one.key} {copy}", one.run, one.size, one.history) for copy in "ab" for one in works]
    found = replay_all_runs(twice, spec, limits=WorkerLimits(jobs=1), engine=engine).verdicts
    return {key: f"{one.verdict} {one.event_id}" for key, one in found.items()}


_ENGINES = ["auto", *(pytest.param(name, marks=pytest.mark.drill) for name in ("direct", "sdk"))]


@pytest.mark.parametrize("engine", _ENGINES)
@pytest.mark.parametrize(("right", "word"), [(1, "ok None"), (2, "diverged 17")])
def test_neighbours_change_no_verdict(tmp_path: Path, engine: str, right: int, word: str) -> None:
    spec, works = _write_code(tmp_path, "kept_state", _CALLS, right)
    whole = _words(works, spec, engine)
    assert whole == dict.fromkeys(whole, word)
    shuffled = random.Random(right).sample(works, len(works))
    assert _words(shuffled, spec, engine) == whole
    halves = [_words(part, spec, engine) for part in (works[:5], works[5:])]
    assert halves[0] | halves[1] == whole


@pytest.mark.parametrize("engine", _ENGINES)
def test_an_iterator_that_cannot_be_set_back_is_in_a_process_of_its_own(tmp_path: Path, engine: str) -> None:
    spec, works = _write_code(tmp_path, "kept_iterator", ("step",), 1)
    whole = _words(works, spec, engine)
    assert whole == dict.fromkeys(whole, "ok None")
