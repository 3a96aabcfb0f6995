"""All that a change broke in one run, told at once: on request, and without another verdict."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.replayable_histories import WORKFLOWS
from replaytool.engines import Options, replay
from replaytool.engines.temporal.replay.all_mismatches import add_later_mismatches
from tests.engines.temporal.replay.test_direct import a_run, code_of

_CALL = '            total += await workflow.execute_activity("score_trip"'
_RENAMED = WORKFLOWS.replace('activity("score_trip"', 'activity("score_trip" if step % 2 else "other"', 1)
_SLEEP = "            if step in (1, 3):\n                await asyncio.sleep(5)\n"
_LONGER = WORKFLOWS.replace(_CALL, _SLEEP + _CALL, 1)


@pytest.mark.parametrize("engine", ["auto", "direct", "sdk", "both"])
def test_every_engine_tells_what_parts_behind_the_first_mismatch(place: Path, engine: str) -> None:
    run, code = a_run(steps=6), code_of(place, _RENAMED)
    first = replay(run, code, Options(sandbox="off"), engine)
    every = replay(run, code, Options(sandbox="off", every_mismatch=True), engine)
    assert first.further == ()
    assert (every.verdict, every.event_id, every.reason) == (first.verdict, first.event_id, first.reason)
    told = [(one.event_id, one.expected and one.expected.name, one.actual and one.actual.name) for one in every.further]
    assert told == [(17, "score_trip", "other"), (29, "score_trip", "other")]
    assert {one.call_site.line for one in every.further if one.call_site} == {16}
    assert [one.actual.fields["input"] for one in every.further if one.actual] == [[{"trip": 2}], [{"trip": 4}]]


def test_what_the_code_does_more_is_told_wherever_it_does_it(place: Path) -> None:
    found = replay(a_run(steps=3), code_of(place, _LONGER), Options(sandbox="off", every_mismatch=True))
    assert found.divergence is not None
    assert found.divergence.event_id == 11
    assert found.divergence.actual is not None
    assert found.divergence.actual.kind == "timer"
    assert found.further[0].event_id == 17


def test_a_run_that_follows_has_nothing_behind(place: Path) -> None:
    found = replay(a_run(), code_of(place, WORKFLOWS), Options(sandbox="off", every_mismatch=True))
    assert (found.verdict, found.further) == ("ok", ())


def test_it_works_where_a_loop_is_running(place: Path) -> None:
    code = code_of(place, _RENAMED)

    async def inside() -> int:
        return len(replay(a_run(steps=6), code, Options(sandbox="off", every_mismatch=True)).further)

    assert asyncio.run(inside()) == 2


def test_a_history_that_is_left_to_the_sdk_says_so(place: Path) -> None:
    run = a_run(steps=6)
    events = [*run.events]
    events[-1] = type(events[-1])(
        41, "TeaWasServed", events[-1].event_time, None, b'{"eventId":"41","eventType":"TEA"}'
    )
    code = code_of(place, _RENAMED)
    verdict = replay(run, code, Options(sandbox="off"))
    told = add_later_mismatches(verdict, replace(run, events=events), code, Options(sandbox="off", every_mismatch=True))
    assert told.further == ()
    assert "mismatches after event 5 are not listed" in told.notes[-1]
