"""A load that is killed at any moment leaves a store of whole runs, and loading again completes it."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.synthetic_histories import Shape, history
from replaytool import ingest
from replaytool.errors import ReplaytoolError
from replaytool.sources import open_sources
from replaytool.store import Store

pytestmark = pytest.mark.slow

_LOAD = """
import sys
from pathlib import Path
from replaytool import ingest
from replaytool.sources import open_sources
from replaytool.store import Store
ingest._BATCH_EVENTS = int(sys.argv[3])  # so that there are many transactions to be killed in
ingest.load_into_store(Store(Path(sys.argv[1])), open_sources([sys.argv[2]]))
"""
_READ = """
import json, sys, time
from pathlib import Path
from replaytool.errors import ReplaytoolError
from replaytool.store import Store
seen, refused, until = [], [], time.monotonic() + float(sys.argv[2])
while time.monotonic() < until:
    try:
        (row,) = Store(Path(sys.argv[1])).query_rows(
            "SELECT (SELECT count(*) FROM run) AS runs, (SELECT coalesce(sum(event_count), 0) FROM run) AS promised, "
            "(SELECT count(*) FROM event) AS events"
        )
        seen.append([row["runs"], int(row["promised"]), row["events"]])
    except ReplaytoolError as error:
        refused.append(error.message)
    time.sleep(0.02)
print(json.dumps({"seen": seen, "refused": refused}))
"""


def _write(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        (folder / f"{number}.json").write_text(history(number, Shape(1 + number % 5)))
    return folder


def _loader(store: Path, folder: Path, batch: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", _LOAD, str(store), str(folder), str(batch)])


def _assert_whole(store: Store) -> int:
    runs = store.query_rows("SELECT id, event_count FROM run")
    found = store.query_rows(
        "SELECT run, count(*) AS n, count(DISTINCT event_id) AS ids, min(event_id) AS low, max(event_id) AS high "
        "FROM event GROUP BY run"
    )
    assert {row["run"]: (row["n"], row["ids"], row["low"], row["high"]) for row in found} == {
        row["id"]: (row["event_count"], row["event_count"], 1, row["event_count"]) for row in runs
    }
    return len(runs)


_MORE = 20
"""Where a busy machine let no kill come half way, so many more are tried."""


def _drill_killing(folder: Path, files: int, times: int, batch: int) -> None:
    histories = _write(folder / "histories", files)
    whole = Store(folder / "whole.duckdb")
    began = time.monotonic()
    assert _loader(folder / "whole.duckdb", histories, batch).wait() == 0
    seconds = time.monotonic() - began
    path = folder / "killed.duckdb"
    source = random.Random(files)
    loaded: list[int] = []
    while len(loaded) < times or (len(set(loaded)) == 1 and len(loaded) < times + _MORE):
        loader = _loader(path, histories, batch)
        time.sleep(source.uniform(0.2, 1) * seconds)
        loader.send_signal(signal.SIGKILL)
        loader.wait()
        loaded.append(_assert_whole(Store(path)) if path.exists() else 0)
        if loaded[-1] == files:
            for old in folder.glob("killed.duckdb*"):
                old.unlink()
    assert _loader(path, histories, batch).wait() == 0
    assert _assert_whole(Store(path)) == files
    sql = "SELECT sha256, source, event_count FROM runs ORDER BY ALL"
    assert Store(path).query_rows(sql) == whole.query_rows(sql)
    report = ingest.load_into_store(Store(path), open_sources([str(histories)]))
    assert dict(report.outcomes) == {"same": files}
    assert len(set(loaded)) > 1, f"never killed half way: {loaded}"


def test_killed_a_few_times(tmp_path: Path) -> None:
    _drill_killing(tmp_path, 100, 3, 300)


@pytest.mark.drill
def test_killed_at_fifty_moments(tmp_path: Path) -> None:
    _drill_killing(tmp_path, 1_000, 50, 1_000)


def _drill_together(folder: Path, files: int, batch: int, seconds: float) -> None:
    histories = _write(folder / "histories", files)
    path = folder / "store.duckdb"
    ingest.load_into_store(Store(path), open_sources([str(histories / "0.json")]))
    command = [sys.executable, "-c", _READ, str(path), str(seconds)]
    readers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert _loader(path, histories, batch).wait() == 0
    answers = [json.loads(reader.communicate()[0]) for reader in readers]
    assert [reader.returncode for reader in readers] == [0, 0]
    for answer in answers:
        assert answer["seen"]
        assert all(promised == events for _, promised, events in answer["seen"])
        assert all("is in use by" in message for message in answer["refused"])
    assert _assert_whole(Store(path)) == files


def test_two_readers_and_a_loader(tmp_path: Path) -> None:
    _drill_together(tmp_path, 100, 300, 3)


@pytest.mark.drill
def test_two_readers_and_a_loader_for_long(tmp_path: Path) -> None:
    _drill_together(tmp_path, 3_000, 500, 30)


def test_a_store_that_is_taken_says_so(tmp_path: Path) -> None:
    with pytest.raises(ReplaytoolError, match="no store"):
        Store(tmp_path / "none.duckdb").query_rows("SELECT 1")
