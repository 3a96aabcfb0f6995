"""What a run breaks, it breaks for itself alone."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from pathlib import Path

import pytest

from replaytool.check.repeat import replay_repeatedly
from replaytool.engines import CodeSpec
from replaytool.errors import ReplaytoolError
from replaytool.model.verdict import Verdict
from replaytool.workers.pool import WorkerLimits, WorkItem, replay_all_runs, start_worker_ahead, work_from_run
from tests.support.histories import bent, events, recorded
from tests.support.paths import FIXTURES

pytestmark = pytest.mark.slow

CASE = "activities_in_sequence"
HEAD = "import ctypes, os, signal, time\nfrom temporalio import workflow\n"
BODY = """
@workflow.defn(name={name!r}, sandboxed=False)
class {name}:
    @workflow.run
    async def run(self, item: str, cents: int) -> list[str]:
        {line}
"""
NASTY = {
    "Exits": "os._exit(7)",
    "Kills": "signal.raise_signal(signal.SIGKILL)",
    "Eats": "kept = [bytearray(1 << 24) for _ in range(1 << 20)]",
    "Segfaults": "ctypes.string_at(0)",
    "Loops": "while True: pass",
    "Sleeps": "time.sleep(3600)",
}


@pytest.fixture(scope="module")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nasty")
    good = (FIXTURES / CASE / "workflow.py").read_text()
    (folder / "good.py").write_text(good)
    code = HEAD + "".join(BODY.format(name=name, line=line) for name, line in NASTY.items())
    (folder / "nasty.py").write_text(code)
    return folder


def works(*types: str) -> list[WorkItem]:
    return [work_from_run(f"{index}-{name}", bent(events(CASE), name)) for index, name in enumerate(types)]


@pytest.mark.parametrize("engine", ["sdk", "direct"])
def test_each_of_them_costs_only_its_own_verdict(nasty: Path, engine: str) -> None:
    types = ["Order", *NASTY, "Order", "Nobody", "Order"]
    spec = CodeSpec(("good.py", "nasty.py"), folder=str(nasty))
    said: list[str] = []
    limits = WorkerLimits(jobs=2, timeout=30, megabytes=300)
    outcome = replay_all_runs(
        works(*types), spec, limits=limits, engine=engine, progress=lambda key, _: said.append(key)
    )
    got = {key.partition("-")[2]: one for key, one in outcome.verdicts.items()}
    words = {name: one.verdict for name, one in got.items()}
    assert words == {
        "Order": "ok",
        "Exits": "crashed",
        "Kills": "crashed",
        "Eats": "crashed",
        "Segfaults": "crashed",
        "Loops": "failed",
        "Sleeps": "failed",
        "Nobody": "unverified",
    }
    assert [one.verdict for key, one in outcome.verdicts.items() if key.endswith("Order")] == ["ok"] * 3
    assert "exit code 7" in got["Exits"].reason
    assert re.search(r"SIGSEGV, at .*nasty\.py:\d+ in run: Fatal Python error", got["Segfaults"].reason)
    assert "memory" in got["Eats"].reason
    for name in ("Loops", "Sleeps"):
        failure = got[name].failure
        assert failure is not None
        assert failure.type == "Deadlock"
        assert failure.call_site is not None
        assert NASTY[name] in (nasty / "nasty.py").read_text().splitlines()[failure.call_site.line - 1]
    assert "Nobody" in got["Nobody"].reason
    assert list(outcome.verdicts) == [work.key for work in works(*types)]
    assert sorted(said) == sorted(outcome.verdicts)
    assert outcome.code.modules == ("good", "nasty")


def test_a_run_that_takes_too_long_is_ended_and_its_line_told(tmp_path: Path) -> None:
    code = HEAD + BODY.format(name="Counts", line="sum(iter(int, 1))")  # nothing breaks this off
    (tmp_path / "counting.py").write_text(code)
    spec = CodeSpec(("counting.py",), folder=str(tmp_path))
    verdict = replay_all_runs(works("Counts"), spec, limits=WorkerLimits(jobs=1, timeout=6)).verdicts["0-Counts"]
    assert verdict.verdict == "crashed"
    assert re.search(r"after 6 seconds without an answer, at .*counting\.py:\d+ in run", verdict.reason)


FORKS = """libc = ctypes.CDLL(None)
        if libc.fork() == 0:
            libc.sleep(150)
            libc._exit(0)
        os._exit(7)"""


def test_a_process_that_keeps_the_pipe_open_does_not_keep_the_check_waiting(tmp_path: Path) -> None:
    (tmp_path / "forking.py").write_text(HEAD + BODY.format(name="Forks", line=FORKS))
    began = time.monotonic()
    limits = WorkerLimits(jobs=1, timeout=15)
    listed = works("Forks", "Forks")
    verdicts = replay_all_runs(listed, CodeSpec(("forking.py",), folder=str(tmp_path)), limits=limits).verdicts
    assert [one.verdict for one in verdicts.values()] == ["crashed", "crashed"]
    assert "exit code 7" in verdicts["0-Forks"].reason
    assert time.monotonic() - began < 140


def test_a_forked_process_answers_for_no_other_run(tmp_path: Path) -> None:
    good = (FIXTURES / CASE / "workflow.py").read_text()
    (tmp_path / "good.py").write_text(good)
    body = "\n".join(f"        {line}" for line in ("os.fork()", "raise KeyError('own')"))
    (tmp_path / "twice.py").write_text(HEAD + BODY.format(name="Twice", line="pass") + body + "\n")
    spec = CodeSpec(("good.py", "twice.py"), folder=str(tmp_path))
    listed = works("Twice", "Order", "Order", "Order")
    verdicts = replay_all_runs(listed, spec, limits=WorkerLimits(jobs=1), engine="direct").verdicts
    assert [one.verdict for one in verdicts.values()][1:] == ["ok", "ok", "ok"]


def test_code_that_cannot_be_loaded_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import temporalio\n1 / 0\n")
    with pytest.raises(ReplaytoolError, match="ZeroDivisionError"):
        replay_all_runs(
            works("Order", "Order"), CodeSpec(("broken.py",), folder=str(tmp_path)), limits=WorkerLimits(jobs=2)
        )
    (tmp_path / "leaves.py").write_text("import os, temporalio\nos._exit(0)\n")
    with pytest.raises(ReplaytoolError, match="cannot be loaded"):
        replay_all_runs(works("Order"), CodeSpec(("leaves.py",), folder=str(tmp_path)), limits=WorkerLimits(jobs=1))


def test_the_longest_history_goes_first_and_the_order_of_the_answers_is_the_asked_one(nasty: Path) -> None:
    listed = works("Order", "Order", "Order")
    listed = [WorkItem(work.key, work.run, size, work.history) for work, size in zip(listed, (1, 3, 2), strict=True)]
    seen: list[str] = []
    spec = CodeSpec(("good.py",), folder=str(nasty))
    outcome = replay_all_runs(listed, spec, limits=WorkerLimits(jobs=1), progress=lambda key, _: seen.append(key))
    assert [key[0] for key in seen] == ["1", "2", "0"]
    assert [key[0] for key in outcome.verdicts] == ["0", "1", "2"]


def test_an_interrupt_gives_what_is_known(nasty: Path) -> None:
    def interrupt(key: str, verdict: Verdict) -> None:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()

    spec = CodeSpec(("good.py", "nasty.py"), folder=str(nasty))
    listed = works("Order", "Sleeps", "Sleeps")
    listed = [WorkItem(one.key, one.run, 9 - int(one.key[0]), one.history) for one in listed]
    outcome = replay_all_runs(listed, spec, limits=WorkerLimits(jobs=1), progress=interrupt)
    assert not outcome.complete
    assert outcome.verdicts["0-Order"].verdict == "ok"
    assert len(outcome.verdicts) < 3


def test_the_order_of_a_set_is_told_as_luck(tmp_path: Path) -> None:
    listed = [work_from_run("k", recorded("activities_gathered"))]
    text = (FIXTURES / "activities_gathered" / "workflow.py").read_text()
    unordered = text.replace("[30, 10, 20]", "map(int, {'30', '10', '20'})")
    assert unordered != text
    (tmp_path / "unordered.py").write_text(unordered)
    verdict = replay_repeatedly(listed, CodeSpec(("unordered.py",), folder=str(tmp_path)), 4).verdicts["k"]
    assert verdict.verdict == "diverged"
    assert verdict.reason.startswith("unstable: in 4 replays ")
    (tmp_path / "ordered.py").write_text(text)
    steady = replay_repeatedly(listed, CodeSpec(("ordered.py",), folder=str(tmp_path)), 2).verdicts["k"]
    assert (steady.verdict, steady.reason) == ("ok", "")


def test_a_child_that_was_started_ahead_is_the_one_that_replays(nasty: Path) -> None:
    spec = CodeSpec(("good.py",), folder=str(nasty))
    with start_worker_ahead(spec) as child:
        outcome = replay_all_runs(works("Order"), spec, limits=WorkerLimits(jobs=1))
        assert child.process.returncode == 0  # it was asked to go when there was nothing left to do
    assert [one.verdict for one in outcome.verdicts.values()] == ["ok"]
    assert outcome.code == child.loaded_code()


def test_a_child_that_nobody_wants_is_ended_and_one_for_something_else_is_not_taken(nasty: Path) -> None:
    spec = CodeSpec(("good.py",), folder=str(nasty))
    with start_worker_ahead(spec, engine="sdk") as child:
        outcome = replay_all_runs(works("Order"), spec, limits=WorkerLimits(jobs=1), engine="direct")
        assert child.is_alive
    assert not child.is_alive
    assert [one.engine for one in outcome.verdicts.values()] == ["direct"]


def test_code_that_cannot_be_loaded_is_told_when_it_is_asked_for(nasty: Path) -> None:
    (nasty / "broken.py").write_text("1 / 0\n")
    with (
        start_worker_ahead(CodeSpec(("broken.py",), folder=str(nasty))) as child,
        pytest.raises(ReplaytoolError, match="division by zero"),
    ):
        child.loaded_code()


def test_code_that_closes_its_descriptors_ends(tmp_path: Path) -> None:
    line = "os.setsid(); os.closerange(0, 1000); time.sleep(3600)"
    (tmp_path / "closing.py").write_text(HEAD + BODY.format(name="Closes", line=line))
    spec = CodeSpec(("closing.py",), folder=str(tmp_path))
    began = time.monotonic()
    verdict = replay_all_runs(works("Closes"), spec, limits=WorkerLimits(jobs=1, timeout=20)).verdicts["0-Closes"]
    assert verdict.verdict == "crashed"
    assert "closed its connection" in verdict.reason
    assert time.monotonic() - began < 300


def test_an_import_that_never_ends_obeys_the_time_out(tmp_path: Path) -> None:
    (tmp_path / "endless.py").write_text("import temporalio.workflow\nwhile True:\n    pass\n")
    began = time.monotonic()
    with pytest.raises(ReplaytoolError, match="was ended after 1 seconds"):
        replay_all_runs(works("Counts"), CodeSpec((str(tmp_path / "endless.py"),)), limits=WorkerLimits(1, timeout=1))
    assert time.monotonic() - began < 100
