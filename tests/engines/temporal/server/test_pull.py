"""Histories from a real server: all of them, each as the official tool shows it, and nothing fetched twice."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from google.protobuf import json_format
from temporalio.api.history.v1 import History

from replaytool.engines.temporal.server import client as temporal_client
from replaytool.engines.temporal.server import pull as temporal_server
from replaytool.engines.temporal.server.pull import pull_histories
from replaytool.errors import ReplaytoolError
from replaytool.model.pull_options import PullOptions, PullProgress
from replaytool.model.server_options import ServerOptions
from replaytool.sources import HistorySource
from tests.engines.temporal.server.workload import LONG, populate
from tests.support.dev_server import DevServer, dev_server

pytestmark = pytest.mark.server


def options(server: DevServer, **more: object) -> PullOptions:
    return PullOptions(ServerOptions(address=server.address), **more)  # type: ignore[arg-type]


def history(source: HistorySource) -> History:
    with source.open() as stream:
        return History.FromString(stream.read())


def ids(sources: Iterator[HistorySource]) -> list[str]:
    return [source.hints.workflow_id or "" for source in sources]


def shown(server: DevServer, source: HistorySource) -> History:
    """The same run, as the official tool tells it."""
    hints = source.hints
    command = ("workflow", "show", "-w", hints.workflow_id, "-r", hints.run_id, "--output", "json")
    return json_format.Parse(server.cli(*map(str, command)), History())


def test_every_run_is_what_the_official_tool_shows(server: DevServer) -> None:
    tally = PullProgress()
    sources = list(pull_histories(options(server), None, tally))
    assert (tally.listed, tally.fetched, tally.failed, len(sources)) == (72, 72, 0, 72)
    assert {(source.hints.workflow_id or "").split("/")[0] for source in sources} >= {"continued", "timed-out", "long"}
    for source in sources:
        assert source.hints.namespace == "default"
        assert source.name == f"temporal://default/{source.hints.workflow_id}/{source.hints.run_id}"
    with ThreadPoolExecutor(2) as pool:
        expected = list(pool.map(lambda source: shown(server, source), sources))
    assert [history(source) for source in sources] == expected


def test_the_order_is_stable_and_pages_are_put_together(server: DevServer, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = [(source.name, history(source)) for source in pull_histories(options(server, concurrency=3))]
    monkeypatch.setattr(temporal_server, "_PAGE", 7)
    paged = [(source.name, history(source)) for source in pull_histories(options(server))]
    assert paged == whole
    assert max(len(one.events) for _, one in paged) > LONG


def test_a_reset_run_has_its_own_id(server: DevServer) -> None:
    query = "WorkflowId = 'reset/0'"
    runs = {source.hints.run_id: history(source) for source in pull_histories(options(server, query=query))}
    origins = {
        one.events[0].workflow_execution_started_event_attributes.original_execution_run_id for one in runs.values()
    }
    assert len(runs) == 2
    assert len(origins) == 1


def test_nothing_is_fetched_twice_and_what_grew_is(server: DevServer) -> None:
    known = {source.hints.run_id: len(history(source).events) for source in pull_histories(options(server))}
    tally = PullProgress()
    assert not list(pull_histories(options(server), lambda workflow_id, run_id: known.get(run_id), tally))
    assert (tally.listed, tally.unchanged) == (72, 72)
    server.cli("workflow", "signal", "-w", "running/3", "--name", "go")
    again = list(pull_histories(options(server), lambda workflow_id, run_id: known.get(run_id)))
    assert ids(iter(again)) == ["running/3"]
    assert len(history(again[0]).events) > known[again[0].hints.run_id]
    everything = pull_histories(options(server, only_new=False, limit=5), lambda workflow_id, run_id: known.get(run_id))
    assert len(list(everything)) == 5
    named = options(server, workflow_ids=("completed/1", "running/3"))
    assert ids(pull_histories(named, lambda workflow_id, run_id: known.get(run_id))) == ["running/3"]


def test_what_is_asked_for(server: DevServer) -> None:
    query = "ExecutionStatus = 'Failed' OR ExecutionStatus = 'Terminated'"
    assert len(ids(pull_histories(options(server, query=query)))) == 12
    assert len(ids(pull_histories(options(server, query=query, since="1h")))) == 12
    assert ids(pull_histories(options(server, query=query, since="2100-01-01"))) == []
    assert len(ids(pull_histories(options(server, limit=3)))) == 3
    named = options(server, workflow_ids=("running/1", "missing", "continued/2", "running/1"))
    running, missing, continued = pull_histories(named)
    assert [source.hints.workflow_id for source in (running, missing, continued)] == [
        "running/1",
        "missing",
        "continued/2",
    ]
    assert not history(continued).events[-1].HasField("workflow_execution_continued_as_new_event_attributes")
    with pytest.raises(OSError, match="not found") as raised:
        missing.open()
    assert "retention" in getattr(raised.value, "hint", "")
    run_id = running.hints.run_id
    (one,) = pull_histories(options(server, workflow_ids=("running/1",), run_id=run_id))
    assert history(one) == history(running)


def refusal(wanted: PullOptions) -> ReplaytoolError:
    with pytest.raises(ReplaytoolError) as raised:
        list(pull_histories(wanted))
    assert raised.value.hint
    return raised.value


def test_what_is_wrong_is_said(server: DevServer) -> None:
    bad = refusal(options(server, query="WorkflowType ="))
    assert "rejects the query" in bad.message
    assert "WorkflowType =" in bad.hint
    address = ServerOptions(address=server.address, namespace="nope")
    assert "no namespace nope" in refusal(PullOptions(address)).message
    assert "no namespace nope" in refusal(PullOptions(address, workflow_ids=("x",))).message
    assert "exactly one workflow ID" in refusal(options(server, run_id="x")).message
    assert "cannot be combined" in refusal(options(server, workflow_ids=("x",), since="1h")).message
    assert "no time" in refusal(options(server, since="yesterday")).message
    assert "at least 1" in refusal(options(server, limit=0)).message


def test_closing_early_leaves_nothing_behind(server: DevServer, recwarn: pytest.WarningsRecorder) -> None:
    before = threading.active_count()
    sources = pull_histories(options(server))
    assert len(list(itertools.islice(sources, 3))) == 3
    sources.close()  # type: ignore[attr-defined]
    unused = pull_histories(options(server))
    del unused
    assert threading.active_count() == before
    assert not recwarn.list


def test_runs_that_disappear_meanwhile_are_told() -> None:
    # A run is deleted when the server has noted that its other work is done: usually once in half a minute.
    often = {f"history_{queue}ProcessorUpdateAckInterval": "200ms" for queue in ("transfer", "timer", "visibility")}
    with dev_server(**often) as server:
        asyncio.run(populate(server.address, 4, ("completed",)))
        sources = pull_histories(options(server, concurrency=1))
        first = next(sources)
        listed = ids(pull_histories(options(server)))
        gone = listed[-1]
        server.cli("workflow", "delete", "-w", gone, "--yes")
        _wait_until_gone(server, gone)
        assert history(first).events
        *others, last = sources
        assert all(history(source).events for source in others)
        assert last.hints.workflow_id == gone
        with pytest.raises(OSError, match="not found"):
            last.open()


def _wait_until_gone(server: DevServer, workflow_id: str) -> None:
    for _ in range(300):
        (source,) = pull_histories(options(server, workflow_ids=(workflow_id,)))
        try:
            source.open().close()
        except OSError:
            return
        time.sleep(0.1)
    raise AssertionError("the run was not deleted")


def test_histories_as_they_are_stored() -> None:
    with dev_server(frontend_sendRawWorkflowHistory=True) as server:
        # Without a worker: the SDK itself cannot work with such a server.
        for number in range(3):
            server.cli("workflow", "start", "--type", "Ending", "-t", "nobody", "-w", f"raw/{number}")
            server.cli("workflow", "signal", "-w", f"raw/{number}", "--name", "go")
        sources = list(pull_histories(options(server, workflow_ids=("raw/0", "raw/1", "raw/2"))))
        assert [len(history(source).events) for source in sources] == [3, 3, 3]
        assert all(history(source) == shown(server, source) for source in sources)


@pytest.mark.drill  # the limit meets whoever starts the workflows as well, now and then
def test_a_rate_limit_is_waited_out() -> None:
    # The limit is lower than what a pull asks for in its first second.
    with dev_server(frontend_namespaceRPS=8, frontend_namespaceRPS_visibility=2) as server:
        asyncio.run(populate(server.address, 8, ("completed", "failed")))
        limited = list(pull_histories(options(server)))
        assert len(limited) == 16
        assert all(history(source).events for source in limited)


def test_a_server_that_dies_is_told_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temporal_client, "RETRY_MILLISECONDS", 1500)
    with dev_server() as server:
        asyncio.run(populate(server.address, 8, ("completed",)))
        sources = pull_histories(options(server, concurrency=1))
        next(sources)
    start = time.monotonic()
    with pytest.raises(ReplaytoolError, match="stopped answering"):
        list(sources)
    assert time.monotonic() - start < 20


def test_an_interrupt_ends_it_at_once() -> None:
    code = (
        "import sys\nfrom replaytool.engines.temporal.server.options import ServerOptions\n"
        "from replaytool.engines.temporal.server.pull import PullOptions, pull_histories\n"
        "print('ready', flush=True)\n"
        "try:\n    list(pull_histories(PullOptions(ServerOptions(address=sys.argv[1]))))\n"
        "except KeyboardInterrupt:\n    sys.exit(130)\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        process = subprocess.Popen(
            [sys.executable, "-c", code, address], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdout is not None
        process.stdout.readline()
        silent.settimeout(20)
        silent.accept()
        start = time.monotonic()
        os.kill(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (130, b"")
    assert time.monotonic() - start < 5
