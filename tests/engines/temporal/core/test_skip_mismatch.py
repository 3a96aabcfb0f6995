"""Going on past a mismatch: the first one is the one that is told, and what fits behind it is matched."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.replayable_histories import WORKFLOWS
from replaytool.engines.temporal.core.skip_mismatch import MismatchSkipper
from replaytool.engines.temporal.replay import direct
from replaytool.engines.temporal.replay.stepper import ActivationStep, Stepper
from replaytool.replay.options import Options
from tests.engines.temporal.replay.test_direct import a_run, code_of

_CALL = '            total += await workflow.execute_activity("score_trip"'
_LONG, _QUICK = "LONG = timedelta(seconds=30)\n", 'QUICK = {"start_to_close_timeout": LONG}\n'
_OFF = Options(sandbox="off")


def driven(place: Path, source: str, *, past_mismatches: bool) -> tuple[Stepper, list[ActivationStep]]:
    course = direct.open_stepper(a_run(steps=4), code_of(place, source), _OFF)
    course.machines.skipper = MismatchSkipper() if past_mismatches else None
    return course, list(course.run_steps())


@pytest.mark.parametrize(
    ("old", "new", "parted_at"),
    [
        ("", "", []),
        ('activity("score_trip"', 'activity("other"', [5, 11, 17, 23]),
        (_CALL, "            if step == 1:\n                continue\n" + _CALL, [23]),
        (_CALL, "            if step == 1:\n                workflow.start_activity('x', **QUICK)\n" + _CALL, [11, 29]),
        (_CALL, "            if step == 1:\n                asyncio.ensure_future(asyncio.sleep(5))\n"
         "                await asyncio.sleep(0)\n" + _CALL, [11]),
        (_CALL, "            if step == 2:\n                await asyncio.sleep(5)\n" + _CALL, [17, 23, 29]),
    ],
    ids=["nothing changed", "another name", "one less", "one more of the kind", "one more beside", "waits for more"],
)  # fmt: skip
def test_each_parting_is_told_and_the_first_is_the_verdict(
    place: Path, old: str, new: str, parted_at: list[int]
) -> None:
    source = (WORKFLOWS.replace(old, new, 1) if old else WORKFLOWS).replace(_LONG, _LONG + _QUICK)
    whole, steps = driven(place, source, past_mismatches=True)
    first, fewer = driven(place, source, past_mismatches=False)
    assert [one.event_id for one in whole.skipped_mismatches] == parted_at
    assert whole.is_clean == (not parted_at)
    assert (whole.outcome.word, whole.outcome.event_id) == (first.outcome.word, first.outcome.event_id)
    assert first.skipped_mismatches == []
    assert len(steps) >= len(fewer)


def test_code_with_another_name_for_its_activity_comes_to_its_end(place: Path) -> None:
    course, steps = driven(place, WORKFLOWS.replace('activity("score_trip"', 'activity("other"'), past_mismatches=True)
    assert steps[-1].answer.commands[0].HasField("complete_workflow_execution")
    assert course.machines.last_id == course.machines.history.heads[-1].event_id
    assert [one.command.schedule_activity.activity_type for one in course.skipped_mismatches if one.command] == [
        "other"
    ] * 4
