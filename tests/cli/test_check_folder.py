"""A folder with good histories and with the worst that code can do: each costs its own verdict, and no other."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.conftest import Call
from tests.support.paths import FIXTURES, ROOT

pytestmark = pytest.mark.slow

SCHEMA = json.loads((ROOT / "docs" / "check-report.schema.json").read_bytes())
TIMEOUT = 40
LIMITS = ("--timeout", str(TIMEOUT), "--memory", "300")
GOOD = ("activities_in_sequence", "timers", "signals")
HOSTILE = """
import os
from temporalio import workflow


@workflow.defn(sandboxed=False)
class Loops:
    @workflow.run
    async def run(self, item: str, cents: int) -> None:
        while True:
            pass


@workflow.defn(sandboxed=False)
class Leaves:
    @workflow.run
    async def run(self, item: str, cents: int) -> None:
        os._exit(1)


@workflow.defn(sandboxed=False)
class Grows:
    @workflow.run
    async def run(self, item: str, cents: int) -> None:
        taken = []
        while True:
            taken.append(bytearray(50_000_000))
"""
# By workflow type: the verdict, and what it must say.
BAD = {
    "Loops": ("failed", "Deadlock"),
    "Leaves": ("crashed", "exit code 1"),
    "Grows": ("crashed", "memory"),
    "Nobody": ("unverified", "no code for workflow type 'Nobody'"),
}
OUTSIDE = """
import socket
from temporalio import workflow


@workflow.defn(name="Order"{how})
class Order:
    @workflow.run
    async def run(self, item: str, cents: int) -> list[str]:
        try:
            socket.create_connection(("127.0.0.1", {port}), 5).sendall(b"hello")  # sends
        except OSError:
            pass
        with open({path!r}, "w") as stream:  # writes
            stream.write("hello")
        return []
"""


def renamed(case: str, number: int) -> str:
    """The history of a fixture as that of another run."""
    text = (FIXTURES / case / "history.json").read_text()
    stated = json.loads((FIXTURES / case / "verdict.json").read_bytes())["recorded_by"]["history.json"]
    run_id = f"{number:08x}{stated['run_id'][8:]}"
    return text.replace(stated["run_id"], run_id).replace(stated["workflow_id"], f"{case}-{number}")


def folder_of(folder: Path, good: int) -> list[str]:
    """So many good histories, the five bad ones, and the arguments of a check of them all."""
    histories = folder / "histories"
    histories.mkdir()
    for number in range(good):
        (histories / f"good{number}.json").write_text(renamed(GOOD[number % len(GOOD)], number))
    for number, name in enumerate(BAD, good):
        text = renamed(GOOD[0], number)
        assert '"name": "Order"' in text
        (histories / f"bad-{name}.json").write_text(text.replace('"name": "Order"', f'"name": "{name}"'))
    (histories / "bad-corrupt.json").write_text(renamed(GOOD[0], good + len(BAD))[:3_000])
    (folder / "hostile.py").write_text(HOSTILE)
    code = [str(FIXTURES / case / "workflow.py") for case in GOOD] + ["hostile.py"]
    return [str(histories), *(word for file in code for word in ("-w", file)), *LIMITS]


def assert_told_apart(report: Any, err: str, good: int) -> None:
    jsonschema.validate(report, SCHEMA)
    assert report["complete"]
    runs = {run["run_key"]: run for run in report["runs"]}
    bad = {run["workflow_type"]: run for run in runs.values() if run["workflow_type"] in BAD}
    told = {name: (run["verdict"], json.dumps(run)) for name, run in bad.items()}
    for name, (verdict, says) in BAD.items():
        assert told[name][0] == verdict, told[name]
        assert says in told[name][1], told[name]
        assert bad[name]["seconds"] < TIMEOUT
    fine = [run for run in runs.values() if run["workflow_type"] not in BAD]
    assert [run["reason"] for run in fine if run["verdict"] != "ok"] == []
    assert len(fine) == good
    assert len({run["run_id"] for run in fine}) == good, "they are all different runs"
    assert len(report["causes"]) == len(BAD)
    assert "bad-corrupt.json" in err
    assert "Traceback" not in err


def test_each_bad_one_costs_its_own_verdict_alone(call: Call, tmp_path: Path) -> None:
    arguments = folder_of(tmp_path, 30)
    result = call("check", *arguments, "--format", "json", "--format", "text:report.txt")
    assert result.code == 1
    assert_told_apart(result.json, result.err, 30)
    text = (tmp_path / "report.txt").read_text()
    assert "34 runs" in text
    assert "30 ok, 1 failed, 1 unverified, 2 crashed" in text
    for _, says in BAD.values():
        assert says.lower() in text.lower()
    line = next(n for n, one in enumerate(HOSTILE.splitlines(), 1) if "while True" in one)
    assert f"hostile.py:{line} in Loops.run" in text or f"hostile.py:{line + 1} in Loops.run" in text


def test_the_corrupt_file_alone_fails_the_check(call: Call, tmp_path: Path) -> None:
    """All that could be read is fine, and still somebody must look."""
    arguments = folder_of(tmp_path, 3)
    for path in tmp_path.glob("histories/bad-[A-Z]*.json"):
        path.unlink()
    result = call("check", *arguments)
    assert "3 ok" in result.out
    assert result.code == 1
    (tmp_path / "histories" / "bad-corrupt.json").unlink()
    assert call("check", *arguments).code == 0


@pytest.mark.parametrize("how", [", sandboxed=False", ""], ids=["without sandbox", "in the sandbox"])
def test_nothing_is_sent_and_nothing_written(call: Call, tmp_path: Path, how: str) -> None:
    room = tmp_path / "room"
    room.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(1)
        port = server.getsockname()[1]
        code = OUTSIDE.format(how=how, port=port, path=str(room / "written"))
        (tmp_path / "reaching.py").write_text(code)
        history = FIXTURES / "activities_in_sequence" / "history.json"
        result = call("check", history, "-w", "reaching.py", "--format", "json", "--format", "text:report.txt")
        with pytest.raises(TimeoutError):
            server.accept()
        with socket.create_connection(("127.0.0.1", port), 5):
            server.accept()[0].close()  # it would have heard
    assert list(room.iterdir()) == []
    assert result.code == 1
    (run,) = result.json["runs"]
    assert run["verdict"] == "failed", run
    lines = {
        mark: n for n, one in enumerate(code.splitlines(), 1) for mark in ("sends", "writes") if f"# {mark}" in one
    }
    text = (tmp_path / "report.txt").read_text()
    if how:
        refused = {(found["what"], found["call_site"]["line"]) for found in run["hazards"] if found["refused"]}
        assert ("open", lines["writes"]) in refused
        assert {line for what, line in refused if what.startswith("socket.")} == {lines["sends"]}
        assert f"reaching.py:{lines['sends']} in Order.run" in text
        assert run["failure"]["call_site"]["line"] == lines["writes"]
        assert f"reaching.py:{lines['writes']} in Order.run" in text
    else:  # the SDK's sandbox is there first
        assert run["failure"]["call_site"]["line"] == lines["sends"]
        assert f"reaching.py:{lines['sends']} in Order.run" in text


def test_without_the_guard_both_would_have_happened(call: Call, tmp_path: Path) -> None:
    """The code of the test above does reach out: else nothing was shown."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        code = OUTSIDE.format(how=", sandboxed=False", port=server.getsockname()[1], path=str(tmp_path / "written"))
        (tmp_path / "reaching.py").write_text(code)
        call("check", FIXTURES / "activities_in_sequence" / "history.json", "-w", "reaching.py", "--no-guard")
        heard = server.accept()[0]
        with heard:
            assert heard.recv(100) == b"hello"
    assert (tmp_path / "written").read_text() == "hello"
