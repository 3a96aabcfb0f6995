"""A check of two hundred histories when things go wrong around it: hostile code, a full disk, nobody reads, Ctrl-C."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from replaytool.store import Store
from tests.cli.test_check_folder import assert_told_apart, folder_of, renamed
from tests.support.paths import FIXTURES

GOOD = 200
ORDER = str(FIXTURES / "activities_in_sequence" / "workflow.py")
SLOW = """
import time
from pathlib import Path
from temporalio import workflow

Path({mark!r}).touch()


@workflow.defn(sandboxed=False)
class Order:
    @workflow.run
    async def run(self, item: str, cents: int) -> list[str]:
        time.sleep(0.4)
        raise ValueError("slow and bad")
"""


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "replaytool", *arguments]


def good_folder(folder: Path, count: int) -> Path:
    histories = folder / "histories"
    histories.mkdir()
    for number in range(count):
        (histories / f"{number}.json").write_text(renamed("activities_in_sequence", number))
    return histories


def children_of(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    return [int(word) for word in listed.stdout.split()]


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def are_gone(pids: list[int], seconds: float = 20) -> bool:
    until = time.monotonic() + seconds
    while any(map(is_there, pids)) and time.monotonic() < until:
        time.sleep(0.2)
    return not any(map(is_there, pids))


@pytest.mark.drill
def test_two_hundred_good_and_five_bad(tmp_path: Path) -> None:
    arguments = folder_of(tmp_path, GOOD)
    done = subprocess.run(
        command("check", *arguments, "--format", "json"), cwd=tmp_path, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 1
    assert_told_apart(json.loads(done.stdout), done.stderr, GOOD)


@pytest.mark.drill
@pytest.mark.parametrize("form", ["text", "json"])
def test_a_closed_stdout_is_no_traceback(tmp_path: Path, form: str) -> None:
    arguments = command("check", *folder_of(tmp_path, GOOD), "--format", form)
    with subprocess.Popen(
        arguments, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()  # as `| head` does when it has seen enough
        err = process.stderr.read()
        assert process.wait(900) == 1
    assert "Traceback" not in err
    assert "BrokenPipe" not in err
    assert "Exception ignored" not in err


@pytest.mark.drill
def test_a_full_disk_for_the_store_is_one_error(tmp_path: Path) -> None:
    histories = good_folder(tmp_path, GOOD)
    store = tmp_path / "replaytool.duckdb"
    assert subprocess.run(command("load", str(histories)), cwd=tmp_path, capture_output=True).returncode == 0
    # Code that says much about every run, so that what is to be kept does not fit.
    (tmp_path / "failing.py").write_text(SLOW.format(mark=str(tmp_path / "mark")).replace("time.sleep(0.4)", "pass"))

    def full() -> None:
        size = store.stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    done = subprocess.run(
        command("check", "-w", "failing.py"), cwd=tmp_path, capture_output=True, text=True, timeout=900, preexec_fn=full
    )
    assert "Traceback" not in done.stderr
    assert "internal error of replaytool" not in done.stderr
    assert done.returncode != 0
    assert len(Store(store).list_runs()) == GOOD, "what was there before is there still"
    assert Store(store).query_rows("SELECT count(*) AS n FROM verdicts")[0]["n"] in (0, GOOD), "all of them or none"
    again = subprocess.run(command("check", "-w", ORDER), cwd=tmp_path, capture_output=True, text=True, timeout=900)
    assert again.returncode == 0, again.stderr
    assert f"{GOOD} ok" in again.stdout


@pytest.mark.drill
def test_ctrl_c_in_the_middle_ends_with_what_is_known(tmp_path: Path) -> None:
    histories = good_folder(tmp_path, GOOD)
    mark = tmp_path / "loaded"
    (tmp_path / "slow.py").write_text(SLOW.format(mark=str(mark)))
    process = subprocess.Popen(
        command("check", str(histories), "-w", "slow.py", "--format", "json"),
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    until = time.monotonic() + 200
    while not mark.exists() and time.monotonic() < until:
        time.sleep(0.2)
    assert mark.exists(), "no child has loaded the code"
    time.sleep(8)
    children = children_of(process.pid)
    assert children
    began = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
    out, err = process.communicate(timeout=60)
    assert time.monotonic() - began < 30
    assert process.returncode == 130
    assert "Traceback" not in err
    report = json.loads(out)
    assert report["complete"] is False
    assert 0 < len(report["runs"]) < GOOD
    assert {run["verdict"] for run in report["runs"]} == {"failed"}
    assert are_gone(children)
