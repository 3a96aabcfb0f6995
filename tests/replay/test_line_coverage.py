from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from replaytool.engines import CodeSpec, Options, load_code
from replaytool.model.history import encode_history
from replaytool.replay.jobs import JobRequest
from replaytool.replay.line_coverage import END, ReplayCoverage
from replaytool.workers.replay_job import REACH
from tests.support.histories import expectations, recorded, run_of
from tests.support.paths import FIXTURES

CASES = ("loyalty", "saga_with_compensation", "cancellation_with_cleanup", "updates", "timer_races_signal", "patches")


def reached(case: str, file: str = "history.json", engine: str = "direct", sandbox: str = "shared") -> ReplayCoverage:
    code = load_code(CodeSpec((str(FIXTURES / case / "workflow.py"),)))
    run = recorded(case, file)
    argument = {"engine": engine}
    return REACH.work(
        JobRequest(replace(run, events=()), encode_history(run), code, Options(sandbox=sandbox), argument)
    ).reach


def text_of(case: str, reach: ReplayCoverage) -> list[str]:
    (file,) = reach.lines
    text = Path(file).read_text().splitlines()
    assert Path(file) == FIXTURES / case / "workflow.py"
    return [text[line - 1].strip() for line in reach.lines[file]]


@pytest.mark.parametrize("case", CASES)
def test_both_engines_and_all_sandboxes_come_by_the_same_lines(case: str) -> None:
    for file in expectations(case)["recorded_by"]:
        found = [
            reached(case, file, engine, sandbox)
            for engine, sandbox in (("direct", "shared"), ("direct", "off"), ("direct", "per-run"), ("sdk", "per-run"))
        ]
        assert all(one.lines for one in found)
        assert all((one.lines, one.steps) == (found[0].lines, found[0].steps) for one in found[1:])


def test_code_that_is_cancelled_is_followed_into_its_handlers() -> None:
    lines = text_of("cancellation_with_cleanup", reached("cancellation_with_cleanup"))
    assert "await asyncio.shield(locking)" in lines


def test_only_functions_are_taken_down() -> None:
    lines = text_of("saga_with_compensation", reached("saga_with_compensation"))
    assert 'return await self.do("charge_card", traveller)' in lines
    assert not any(line.startswith(("import", "from", "class", "@", "async def")) for line in lines)
    assert 'return f"flight of {traveller}"' not in lines, "activities do not run"


def test_modules_that_all_runs_share_are_named() -> None:
    file = next(iter(expectations("patches")["recorded_by"]))
    assert reached("patches", file).shared == ()
    assert [Path(one).name for one in reached("patches", file, sandbox="off").shared] == ["workflow.py"]


def test_a_step_out_of_a_function_is_a_return_and_no_wait() -> None:
    found = reached("saga_with_compensation")
    ((file, steps),) = found.steps.items()
    text = Path(file).read_text().splitlines()
    leaving = {text[before - 1].strip() for before, after in steps if after == END}
    assert leaving == {
        "self.undo: list[tuple[str, str]] = []",
        "return await workflow.execute_activity(step, argument, result_type=str, start_to_close_timeout=SHORT)",
    }


def test_a_run_without_code_reaches_nothing() -> None:
    code = load_code(CodeSpec((str(FIXTURES / "timers" / "workflow.py"),)))
    run = run_of((FIXTURES / "patches" / next(iter(expectations("patches")["recorded_by"]))).read_bytes())
    answer = REACH.work(JobRequest(replace(run, events=()), encode_history(run), code, Options(), {}))
    assert answer.verdict.verdict == "unverified"
    assert answer.reach == ReplayCoverage()
