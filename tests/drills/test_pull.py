"""More than three hundred workflows of every ending: nothing is lost, nothing is altered, and memory stays flat."""

from __future__ import annotations

import asyncio
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest
from google.protobuf import json_format
from temporalio.api.history.v1 import History

from replaytool.engines.temporal.server.pull import pull_histories
from replaytool.model.pull_options import PullOptions, PullProgress
from replaytool.model.server_options import ServerOptions
from tests.engines.temporal.server.workload import populate
from tests.support.dev_server import DevServer, dev_server

pytestmark = [pytest.mark.server, pytest.mark.drill]

EACH = 34


def test_pull_is_complete_and_cheap() -> None:
    with dev_server() as server:
        runs = asyncio.run(populate(server.address, EACH))
        options = PullOptions(ServerOptions(address=server.address, namespace="default"))
        found = _timed(options, runs)
        with ThreadPoolExecutor(2) as pool:
            shown = list(pool.map(lambda key: _shown(server, *key), found))
        assert [History.FromString(history) for history in found.values()] == shown
        _check_memory(options, sum(len(history) for history in found.values()))
        tally = PullProgress()
        known = {run_id: len(one.events) for (_, run_id), one in zip(found, shown, strict=True)}
        assert not list(pull_histories(options, lambda workflow_id, run_id: known[run_id], tally))
        assert tally.unchanged == runs


def _timed(options: PullOptions, runs: int) -> dict[tuple[str, str], bytes]:
    start = time.monotonic()
    found = {}
    for source in pull_histories(options):
        with source.open() as stream:
            found[source.hints.workflow_id or "", source.hints.run_id or ""] = stream.read()
    seconds = time.monotonic() - start
    print(f"{len(found)} runs in {seconds:.2f} s: {len(found) / seconds:.0f} a second")
    assert len(found) == runs
    assert seconds < 60
    return found


def _shown(server: DevServer, workflow_id: str, run_id: str) -> History:
    return json_format.Parse(
        server.cli("workflow", "show", "-w", workflow_id, "-r", run_id, "--output", "json"), History()
    )


def _check_memory(options: PullOptions, total: int) -> None:
    """What is held is the window that is being fetched, and not what went by."""
    tracemalloc.start()
    for source in pull_histories(options):
        source.open().close()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(f"{total / 1e6:.1f} MB of histories, {peak / 1e6:.1f} MB at most in memory")
    assert peak < max(total / 2, 4_000_000)
