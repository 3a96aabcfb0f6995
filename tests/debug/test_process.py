"""What a run or a question breaks in a walk's child is an answer, and the next question is answered."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from replaytool.debug.process.messages import EvaluatedSteps, EvaluateExpression, StateAt
from replaytool.debug.process.parent import DebugClient, DebugProcessSetup
from replaytool.debug.time_travel import TimeTravel
from replaytool.engines import CodeSpec
from replaytool.errors import ReplaytoolError
from replaytool.model.debug_state import ReplayedState
from replaytool.model.history import Run, encode_history
from replaytool.replay.code.builds import CodeMap
from tests.support.histories import bent, events, recorded
from tests.support.paths import FIXTURES

pytestmark = pytest.mark.slow

CASE = "activities_in_sequence"
NASTY = {
    "Exits": ("os._exit(7)", "crashed", "exit code 7"),
    "Segfaults": ("ctypes.string_at(0)", "crashed", "signal 11"),
    "Loops": ("while True: pass", "failed", "does not yield"),
    "Raises": ("raise KeyError('total')", "failed", "KeyError: 'total'"),
}
HEAD = "import ctypes, os\nfrom temporalio import workflow\n"
BODY = """
@workflow.defn(name={name!r}, sandboxed=False)
class {name}:
    @workflow.run
    async def run(self, item: str, cents: int) -> list[str]:
        {line}
"""


def walk(run: Run, spec: CodeSpec) -> TimeTravel:
    return TimeTravel(run, encode_history(run), CodeMap(spec))


@pytest.fixture(scope="module")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> CodeSpec:
    folder = tmp_path_factory.mktemp("nasty")
    (folder / "nasty.py").write_text(HEAD + "".join(BODY.format(name=key, line=NASTY[key][0]) for key in NASTY))
    return CodeSpec(("nasty.py",), folder=str(folder))


@pytest.mark.parametrize("name", NASTY)
def test_code_that_crashes_hangs_or_raises_is_an_answer(name: str, nasty: CodeSpec) -> None:
    _, kind, message = NASTY[name]
    with walk(bent(events(CASE), name), nasty) as found:
        for trouble in (
            found.state_at(5).trouble,
            found.watch_expression("self").trouble,
            found.find_first_holding("self").trouble,
        ):
            assert trouble is not None
            assert (trouble.kind, message in trouble.message) == (kind, True), trouble.message
        assert found.find_build_changes() == ()
        assert found.blame_value("self").event_id is None


@pytest.fixture
def walker() -> Iterator[DebugClient]:
    run = recorded("loyalty", "history-rider-02.json")
    spec = CodeSpec(("builds/v1.py",), folder=str(FIXTURES / "loyalty"))
    found = DebugClient(DebugProcessSetup(spec, str(Path.cwd()), seconds=5), replace(run), encode_history(run), {})
    yield found
    found.close_process()


def points(walker: DebugClient) -> object:
    moment, trouble = walker.ask_question(StateAt(24), ReplayedState)
    assert trouble is None
    assert moment is not None
    return moment.state["points"].scalar


def test_a_question_that_nothing_can_break_off_costs_the_child_and_not_the_walk(walker: DebugClient) -> None:
    assert points(walker) == 70
    answer, trouble = walker.ask_question(EvaluateExpression("9**9**9"), EvaluatedSteps)
    assert answer is None
    assert trouble is not None
    assert (trouble.kind, "without an answer" in trouble.message) == ("crashed", True)
    assert points(walker) == 70


def test_a_question_can_be_cancelled_from_another_thread(walker: DebugClient) -> None:
    assert points(walker) == 70
    canceller = threading.Timer(1, walker.cancel_questions)
    canceller.start()
    began = time.monotonic()
    _, trouble = walker.ask_question(
        EvaluateExpression("[one for one in range(10**9)]"), EvaluatedSteps
    )  # a second for each of 12 tasks
    assert trouble is not None
    assert trouble.kind == "cancelled"
    assert time.monotonic() - began < 60
    assert points(walker) == 70


def test_a_closed_walk_says_so(walker: DebugClient) -> None:
    walker.close_process()
    with pytest.raises(ReplaytoolError, match="closed"):
        points(walker)


def test_an_import_that_never_ends_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "endless.py").write_text("import time, temporalio.workflow\ntime.sleep(600)\n")
    run = recorded(CASE)
    setup = DebugProcessSetup(CodeSpec(("endless.py",), folder=str(tmp_path)), str(tmp_path), loading_seconds=4)
    client = DebugClient(setup, replace(run), encode_history(run), {})
    began = time.monotonic()
    with pytest.raises(ReplaytoolError, match=r"did not end within 4 seconds, at .*endless\.py:2"):
        client.ask_question(StateAt(5), ReplayedState)
    assert time.monotonic() - began < 60
    client.close_process()
