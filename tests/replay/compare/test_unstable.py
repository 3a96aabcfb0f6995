"""What one replay says by luck is told as luck: by two passes of one engine, by two engines, by several replays."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from replaytool.check.repeat import replay_repeatedly
from replaytool.engines import Code, CodeSpec, load_code
from replaytool.model.verdict import Hazard, Verdict
from replaytool.replay.compare.unstable import combine_verdicts, is_unstable, may_be_unstable
from replaytool.workers.pool import work_from_run
from tests.support.histories import recorded, replay
from tests.support.paths import FIXTURES

pytestmark = pytest.mark.oldest
ORDER = FIXTURES / "activities_in_sequence"
FIRST = "        reserved = "
IN_BRANCH = """        if {condition}:
            await workflow.execute_activity("by_luck", start_to_close_timeout=timedelta(seconds=5))
"""


def code_of(folder: Path, condition: str, before: str) -> Code:
    text = (ORDER / "workflow.py").read_text()
    assert text.count(FIRST) == text.count("@workflow.defn\nclass") == 1
    text = text.replace(FIRST, IN_BRANCH.format(condition=condition) + FIRST)
    text = text.replace("@workflow.defn\nclass", f"{before}\n\n\n@workflow.defn(sandboxed=False)\nclass")
    (folder / "lucky.py").write_text(text)
    return load_code(CodeSpec(("lucky.py",), folder=str(folder)))


TURNS = "import itertools\nturns = itertools.cycle([{turns}])"


@pytest.mark.parametrize("engine", ["direct", "auto"])
def test_what_only_the_first_pass_meets_is_told(tmp_path: Path, engine: str) -> None:
    code = code_of(tmp_path, "next(turns)", TURNS.format(turns="True, *[False] * 40"))
    verdict = replay(recorded(ORDER.name), code, engine=engine)
    assert verdict.verdict == "diverged"
    assert verdict.reason.startswith("unstable: in 10 replays 9 ok, 1 diverged; ")
    assert verdict.divergence is not None
    assert verdict.divergence.event_id == 5
    assert verdict.divergence.expected is not None
    assert verdict.divergence.actual is not None
    assert verdict.divergence.actual.name == "by_luck"


def test_what_is_met_again_is_told_with_its_line(tmp_path: Path) -> None:
    code = code_of(tmp_path, "next(turns)", TURNS.format(turns="True, False"))
    verdict = replay(recorded(ORDER.name), code, engine="direct")
    assert (verdict.verdict, is_unstable(verdict)) == ("diverged", True)
    assert verdict.call_site is not None
    assert verdict.call_site.function == "Order.run"


def test_what_only_the_watched_pass_meets_is_told(tmp_path: Path) -> None:
    before = "import time\n" + TURNS.format(turns="False, *[True] * 40")
    code = code_of(tmp_path, "time.time() and next(turns)", before)
    verdict = replay(recorded(ORDER.name), code, engine="direct")
    assert (verdict.verdict, is_unstable(verdict)) == ("diverged", True)
    assert [one.what for one in verdict.hazards] == ["time.time"]


@pytest.mark.parametrize("engine", ["auto", "both"])
def test_engines_that_differ_by_luck_do_not_accuse_each_other(tmp_path: Path, engine: str) -> None:
    before = "import time\n" + TURNS.format(turns="True, True, *[False] * 40")
    code = code_of(tmp_path, "time.time() and next(turns)", before)
    verdict = replay(recorded(ORDER.name), code, engine=engine)
    assert verdict.verdict == "diverged"
    assert verdict.reason.startswith("unstable: in 2 replays 1 ok, 1 diverged; ")


def test_the_wall_clock_of_a_repeated_replay_is_set_off(tmp_path: Path) -> None:
    later = datetime.datetime.now() + datetime.timedelta(days=100)
    code_of(tmp_path, f"str(datetime.datetime.now()) > {str(later)!r}", "import datetime")
    listed = [work_from_run("k", recorded(ORDER.name))]
    verdict = replay_repeatedly(listed, CodeSpec(("lucky.py",), folder=str(tmp_path)), 2).verdicts["k"]
    assert (verdict.verdict, is_unstable(verdict)) == ("diverged", True)
    assert [one.what for one in verdict.hazards] == ["datetime.now"]


def test_the_worst_verdict_stands_for_all() -> None:
    found = combine_verdicts([Verdict("ok", seconds=1), Verdict("drift", "x"), Verdict("ok", seconds=2)])
    assert (found.verdict, found.reason) == ("drift", "unstable: in 3 replays 2 ok, 1 drift; x")
    assert combine_verdicts([Verdict("ok", seconds=1), Verdict("ok", seconds=2)]).reason == ""


def test_what_was_refused_answers_the_same_each_time() -> None:
    clock, write = Hazard("time.time"), Hazard("open", refused=True)
    assert may_be_unstable(Verdict("ok"), Verdict("ok", hazards=(write, clock)))
    assert not may_be_unstable(Verdict("ok", hazards=(write,)))
