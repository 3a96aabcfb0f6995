"""A started process has the caller's environment and folder, reports how it ended, and ends with its parent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO

import pytest

from replaytool.workers.start_process import PythonProcess, start_python

HERE = "tests.workers.test_start_process"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")


def describe_itself() -> None:
    """Write what this process was given."""
    told = {
        "folder": os.getcwd(), "said": sys.stdin.readline(), "mark": os.environ.get("MARK_OF_TEST"),
        "parent": os.getppid(), "random": os.urandom(4).hex(), "threads": len(os.listdir("/proc/self/task")),
        "open": sorted(int(one) for one in os.listdir("/proc/self/fd"))[3:-1],
    }  # fmt: skip
    sys.stdout.write(json.dumps(told))
    sys.stdout.flush()


def kill_its_template() -> None:
    """Do what hostile code could do."""
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)


def raise_an_error() -> None:
    """Fail before anything is answered."""
    raise ValueError("it went wrong")


def wait_for_input() -> None:
    """Live until standard input ends."""
    sys.stdin.read()


def start_worker_and_be_killed() -> None:
    """Start a process that says its ID, and leave it alone."""
    started = start("say_its_id_and_serve")
    assert started.stdout is not None
    sys.stdout.write(started.stdout.readline().decode())
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)


def say_its_id_and_serve() -> None:
    """Be a worker whose parent is gone."""
    from replaytool.workers.worker_main import serve_pipes

    sys.stdout.write(f"{os.getpid()}\n")
    sys.stdout.flush()
    serve_pipes(lambda _requests, _answers: time.sleep(60))


def start(function: str, errors: IO[bytes] | None = None, folder: str | None = None) -> PythonProcess:
    return start_python(f"{HERE}:{function}", errors or tempfile.TemporaryFile(), folder=folder)


def answer_of(process: PythonProcess, said: bytes = b"hello\n") -> dict[str, object]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(said)
    process.stdin.close()
    with process.stdout:
        found: dict[str, object] = json.loads(process.stdout.read())
    assert process.wait(20) == 0
    return found


def test_two_processes_have_what_they_were_given_and_nothing_of_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARK_OF_TEST", "\udcff is no UTF-8")
    first, second = start("describe_itself", folder=str(tmp_path)), start("describe_itself", folder="/")
    one, other = answer_of(first), answer_of(second)
    assert (one["folder"], other["folder"]) == (str(tmp_path), "/")
    assert one["said"] == "hello\n"
    assert one["mark"] == "\udcff is no UTF-8"
    assert one["parent"] == other["parent"] != os.getpid()
    assert (one["threads"], one["open"], other["open"]) == (1, [], [])
    assert one["random"] != other["random"]


def test_an_end_by_signal_by_error_and_by_itself_is_reported() -> None:
    killed, waiting = start("wait_for_input"), start("wait_for_input")
    killed.kill()
    assert killed.wait(20) == -signal.SIGKILL
    assert waiting.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(0.1)
    assert waiting.stdin is not None
    waiting.stdin.close()
    assert waiting.wait(20) == 0
    with tempfile.TemporaryFile() as errors:
        assert start("raise_an_error", errors).wait(20) == 1
        errors.seek(0)
        assert b"ValueError: it went wrong" in errors.read()


def test_code_that_ends_the_template_ends_its_processes_and_the_next_one_starts() -> None:
    waiting, hostile = start("wait_for_input"), start("kill_its_template")
    assert hostile.wait(20) == -signal.SIGKILL
    assert waiting.wait(20) == -signal.SIGKILL
    assert answer_of(start("describe_itself"))["said"] == "hello\n"


def test_a_worker_ends_with_the_process_that_started_it() -> None:
    call = f"from {HERE} import start_worker_and_be_killed as call; call()"
    folder = Path(__file__).parents[2]
    told = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True, timeout=60, cwd=folder)
    assert told.returncode == -signal.SIGKILL
    worker = int(told.stdout)
    until = time.monotonic() + 20
    while Path(f"/proc/{worker}").exists() and time.monotonic() < until:
        time.sleep(0.1)
    assert not Path(f"/proc/{worker}").exists()
