"""What reaches for the world is told with its line, and what would change it is refused."""

from __future__ import annotations

import socket
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from replaytool.engines import CodeSpec, Options, load_code
from replaytool.model.verdict import Hazard, Verdict
from replaytool.replay.isolation.side_effects import (
    SideEffectRefused,
    SideEffectWatch,
    watch_all_threads,
    watch_side_effects,
)
from tests.support.histories import bent, events, replay

pytestmark = pytest.mark.oldest
HEAD = """
import datetime, logging, os, random, socket, subprocess, time, uuid
from datetime import timedelta
from temporalio import workflow

@workflow.defn(name="Order", sandboxed=False)
class Order:
    @workflow.run
    async def run(self, item: str, cents: int) -> list[str]:
        try:
            {line}  # here
        except OSError:
            pass
        done = []
        for name, value in (("reserve_stock", item), ("charge_card", cents), ("send_parcel", item)):
            done.append(
                await workflow.execute_activity(name, value, start_to_close_timeout=timedelta(seconds=10))
            )
        return done
"""


def verdict_of(tmp_path: Path, line: str, **options: bool) -> Verdict:
    (tmp_path / "reaching.py").write_text(HEAD.format(line=line))
    code = load_code(CodeSpec(("reaching.py",), folder=str(tmp_path)))
    return replay(bent(events("activities_in_sequence")), code, Options(**options))  # type: ignore[arg-type]


def hazard_of(verdict: Verdict) -> Hazard:
    assert len(verdict.hazards) == 1, verdict.hazards
    found = verdict.hazards[0]
    assert found.call_site is not None
    assert found.call_site.line == 11
    assert found.call_site.function == "Order.run"
    return found


def test_a_file_is_not_written(tmp_path: Path) -> None:
    target = tmp_path / "written"
    verdict = verdict_of(tmp_path, f"open({str(target)!r}, 'w').write('x')")
    assert verdict.verdict == "ok"
    found = hazard_of(verdict)
    assert (found.what, found.refused) == ("open", True)
    assert str(target) in found.detail
    assert not target.exists()


def test_nothing_is_sent(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.5)
        port = server.getsockname()[1]
        verdict = verdict_of(tmp_path, f"socket.create_connection(('127.0.0.1', {port}), 1)")
        assert verdict.hazards[0].what in {"socket.connect", "socket.getaddrinfo"}
        assert verdict.hazards[0].refused
        with pytest.raises(TimeoutError):
            server.accept()


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("os.system('true')", "os.system"),
        ("subprocess.run(['true'])", "subprocess.Popen"),
        ("os.mkdir('made')", "os.mkdir"),
        ("os.remove('nothing-of-this-name')", "os.remove"),
        ("os.open('made', os.O_CREAT | os.O_WRONLY)", "open"),
    ],
)
def test_what_changes_the_world_is_refused(tmp_path: Path, line: str, what: str) -> None:
    found = hazard_of(verdict_of(tmp_path, line))
    assert (found.what, found.refused) == (what, True)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("time.time()", "time.time"),
        ("datetime.datetime.now()", "datetime.now"),
        ("random.random()", "random.random"),
        ("random.choice([1, 2])", "random.choice"),
        ("uuid.uuid4()", "uuid.uuid4"),
        ("os.urandom(2)", "os.urandom"),
    ],
)
def test_clocks_and_chance_are_told_and_let_pass(tmp_path: Path, line: str, what: str) -> None:
    verdict = verdict_of(tmp_path, line)
    assert verdict.verdict == "ok"
    found = hazard_of(verdict)
    assert (found.what, found.refused) == (what, False)


@pytest.mark.parametrize(
    "line",
    [
        "workflow.now()",
        "workflow.random().random()",
        "workflow.uuid4()",
        "workflow.logger.warning('x')",
        "logging.getLogger('mine').warning('x')",
        "open(__file__).close()",
        "random.Random(7).random()",
    ],
)
def test_what_is_harmless_is_not_told(tmp_path: Path, line: str) -> None:
    assert verdict_of(tmp_path, line).hazards == ()


def test_without_guard_it_is_told_only(tmp_path: Path) -> None:
    target = tmp_path / "written"
    verdict = verdict_of(tmp_path, f"open({str(target)!r}, 'w').write('x')", guard=False)
    found = hazard_of(verdict)
    assert not found.refused
    assert target.read_text() == "x"
    again = verdict_of(tmp_path, f"open({str(target)!r}, 'w').write('y')", guard=False, watch=False)
    assert again.hazards == ()


def test_the_world_is_open_again_afterwards(tmp_path: Path) -> None:
    verdict_of(tmp_path, "os.mkdir('made')")
    (tmp_path / "mine").write_text("x")
    assert (tmp_path / "mine").read_text() == "x"


def watch_here(**options: Any) -> SideEffectWatch:
    return SideEffectWatch(lambda frame: None, **options)


def run_in_thread(work: Callable[[], object]) -> Exception | None:
    """Run a function in a thread of its own, and return what it raised."""
    raised: list[Exception] = []

    def catch() -> None:
        try:
            work()
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=catch)
    thread.start()
    thread.join()
    return raised[0] if raised else None


def test_every_thread_is_watched_where_an_engine_asks_for_it(tmp_path: Path) -> None:
    target, watch = tmp_path / "written", watch_here()
    with watch_all_threads(watch):
        assert isinstance(run_in_thread(lambda: target.write_text("x")), SideEffectRefused)
        with pytest.raises(SideEffectRefused):
            target.write_text("x")
    assert not target.exists()
    assert {hazard.what for hazard in watch.found_hazards} == {"open"}
    assert run_in_thread(lambda: target.write_text("x")) is None


def test_one_thread_is_watched_and_no_other(tmp_path: Path) -> None:
    with watch_side_effects(watch_here()):
        assert run_in_thread(lambda: (tmp_path / "written").write_text("x")) is None


def test_an_engine_may_write_its_own_folder_and_no_other(tmp_path: Path) -> None:
    own, elsewhere = tmp_path / "own", tmp_path / "elsewhere"
    own.mkdir()
    (own / "way-out").symlink_to(tmp_path)
    watch = watch_here(exempt=str(own))
    with watch_all_threads(watch):
        assert run_in_thread(lambda: sqlite3.connect(own / "state.db").execute("CREATE TABLE t (x)")) is None
        for path in (elsewhere, own / ".." / "elsewhere", own / "way-out" / "elsewhere"):
            assert isinstance(run_in_thread(lambda path=path: path.write_text("x")), SideEffectRefused)  # type: ignore[misc]
        assert isinstance(run_in_thread(lambda: (own / "state.db").rename(elsewhere)), SideEffectRefused)
    assert not elsewhere.exists()
    assert {hazard.what for hazard in watch.found_hazards} == {"open", "os.rename"}
