"""`replaytool pull`, from the command line to the store and back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Call
from tests.engines.temporal.server.workload import populate
from tests.support.dev_server import DevServer, dev_server

pytestmark = pytest.mark.server

ENDINGS = ("completed", "failed", "running", "reset", "continued")
RUNS = 8


@pytest.fixture(scope="module")
def server() -> Iterator[DevServer]:
    with dev_server() as running:
        asyncio.run(populate(running.address, 1, ENDINGS))
        yield running


@pytest.fixture(autouse=True)
def here(server: DevServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NAMESPACE", "API_KEY", "TLS", "PROFILE"):
        monkeypatch.delenv(f"TEMPORAL_{name}", raising=False)
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(tmp_path / "temporal.toml"))
    monkeypatch.setenv("TEMPORAL_ADDRESS", server.address)


def test_runs_get_into_the_store_and_are_not_fetched_again(call: Call) -> None:
    first = call("pull")
    assert first.code == 0
    assert first.out.startswith(f"{RUNS} runs listed, 0 unchanged\n")
    assert first.err == ""
    again = call("pull", "--json").json
    assert (again["listed"], again["unchanged"], again["files"]) == (RUNS, RUNS, 0)
    everything = call("pull", "--all", "--json").json
    assert (everything["unchanged"], everything["runs"]) == (0, {"same": RUNS})


def test_every_run_is_stored_under_its_own_id(call: Call, server: DevServer) -> None:
    call("pull")
    stored = {(run["workflow_id"], run["run_id"]): run for run in call("runs", "--json").json}
    assert len(stored) == RUNS
    for (workflow_id, run_id), run in stored.items():
        assert run["source"] == f"temporal://default/{workflow_id}/{run_id}"
        assert run["namespace"] == "default"


def test_what_grew_takes_the_place_of_what_was_there(call: Call, server: DevServer) -> None:
    call("pull")
    server.cli("workflow", "signal", "-w", "running/0", "--name", "go")
    assert call("pull", "--json").json["runs"] == {"grown": 1}


def test_what_cannot_be_had_is_one_line_and_the_others_come(call: Call) -> None:
    result = call("pull", "-w", "missing", "-w", "completed/0")
    assert result.code == 1
    assert result.err.startswith("temporal://default/missing: ")
    assert result.err.count("\n") == 1
    assert len(call("runs", "--json").json) == 1
    assert call("pull", "-w", "missing", "--skip-bad").code == 0


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--address", "127.0.0.1:1"], "nothing listens on that port"),
        (["--address", "localhost"], "has no port"),
        (["-n", "nope"], "no namespace nope"),
        (["-q", "WorkflowType ="], "rejects the query"),
        (["--since", "soon"], "is not a time"),
        (["--tls"], "does not speak TLS"),
        (["--profile", "nope"], "no profile nope"),
        (["--config-file", "nope.toml"], "nope.toml does not exist"),
        (["-w", "x", "-q", "y"], "cannot be combined"),
        (["--tls-ca", "nope.pem"], "nope.pem cannot be read"),
    ],
)
def test_what_is_wrong_is_said_in_two_lines(call: Call, arguments: list[str], expected: str) -> None:
    result = call("pull", *arguments)
    assert (result.code, result.out) == (2, "")
    assert expected in result.err
    assert result.err.count("\n") == 2
