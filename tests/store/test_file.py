"""The file itself: who may open it, what a foreign query may do, and what happens when the disk does not play along."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import duckdb
import pytest

from replaytool.errors import ReplaytoolError
from replaytool.store import Store
from replaytool.store import connections as db
from tests.formats.sample_histories import OTHER_RUN_ID, events, one
from tests.store.test_loading import VIEWS
from tests.store.view_contents import digest_views


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store.duckdb")
    with store.open_writer() as writer:
        writer.add_runs([("a source", one({"events": events()}))])
    return store


def _path(store: Store) -> Path:
    assert store.path is not None
    return store.path


def test_a_store_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ReplaytoolError, match="there is no store at"):
        Store(tmp_path / "none.duckdb").list_runs()
    with pytest.raises(ReplaytoolError, match="there is no folder"), Store(tmp_path / "no" / "s.duckdb").open_writer():
        pass


def test_other_files_are_refused(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no store " * 1000)
    with pytest.raises(ReplaytoolError, match="is no store that this DuckDB can read"):
        Store(text).list_runs()
    assert text.read_text().startswith("no store")
    foreign = tmp_path / "foreign.duckdb"
    with duckdb.connect(str(foreign)) as connection:
        connection.execute("CREATE TABLE mine (a INTEGER)")
    for access in (lambda: Store(foreign).list_runs(), lambda: Store(foreign).open_writer().__enter__()):
        with pytest.raises(ReplaytoolError, match="no store of replaytool"):
            access()


@pytest.mark.parametrize(("version", "hint"), [("0", "load the histories into a new store"), ("99", "upgrade")])
def test_other_versions_are_refused(store: Store, version: str, hint: str) -> None:
    with duckdb.connect(str(store.path)) as connection:
        connection.execute("UPDATE meta SET value = ? WHERE key = 'format_version'", [version])
    for access in (lambda: store.list_runs(), lambda: store.open_writer().__enter__()):
        with pytest.raises(ReplaytoolError, match=f"of format {version}") as caught:
            access()
        assert hint in caught.value.hint


def test_a_store_of_the_last_format_is_upgraded(store: Store) -> None:
    before = digest_views(_path(store))
    for _ in range(2):
        with duckdb.connect(str(store.path)) as connection:
            connection.execute("UPDATE meta SET value = '1' WHERE key = 'format_version'")
            connection.execute("DROP VIEW steps; DROP TABLE step; DROP SCHEMA engine_temporal CASCADE")
        assert len(store.list_runs()) == 1
        assert digest_views(_path(store)) == before
    with store.open_writer() as writer:
        writer.add_runs([("b", one({"events": events(OTHER_RUN_ID)}))])
    assert len(store.query_rows("FROM steps")) == 2


def test_views_work_in_a_store_that_another_session_attaches(store: Store) -> None:
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{store.path}' AS other (READ_ONLY)")
        for view in VIEWS:
            connection.execute(f"FROM other.{view}").fetchall()


_HOLD = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "reader")
print("held", flush=True)
sys.stdin.readline()
"""


def _holder(path: Path, role: str) -> subprocess.Popen[str]:
    held = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(path), role], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert held.stdout is not None
    assert held.stdout.readline() == "held\n"
    return held


@pytest.mark.parametrize("role", ["writer", "reader"])
def test_a_store_that_is_in_use_is_waited_for(store: Store, monkeypatch: pytest.MonkeyPatch, role: str) -> None:
    for name in ("_WAIT_TO_READ", "_WAIT_TO_WRITE"):
        monkeypatch.setattr(db, name, 0.3)
    held = _holder(_path(store), role)
    with held:
        began = time.monotonic()
        with pytest.raises(ReplaytoolError, match=f"in use by process {held.pid}"), store.open_writer():
            pass
        assert time.monotonic() - began >= 0.3
        if role == "reader":
            assert len(store.list_runs()) == 1
        monkeypatch.setattr(db, "_WAIT_TO_WRITE", 30.0)
        assert held.stdin is not None
        threading.Timer(0.3, held.stdin.close).start()
        with store.open_writer() as writer:
            writer.add_runs([("b", one({"events": events(OTHER_RUN_ID)}))])
    assert len(store.list_runs()) == 2


def test_another_thread_of_this_process_is_waited_for(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_WAIT_TO_READ", "_WAIT_TO_WRITE"):
        monkeypatch.setattr(db, name, 0.05)
    with store.open_writer() as writer:
        writer.add_runs([("b", one({"events": events(OTHER_RUN_ID)}))])
        with pytest.raises(ReplaytoolError, match="in use by another process"):
            store.list_runs()
        with pytest.raises(ReplaytoolError, match="in use by another process"), store.open_writer():
            pass
    assert len(store.list_runs()) == 2
    assert [path.name for path in _path(store).parent.iterdir()] == ["store.duckdb"]


_REACHES_OUT = (
    "COPY runs TO '{folder}/out.csv'",
    "COPY runs TO '{folder}/out.parquet' (FORMAT parquet)",
    "ATTACH '{folder}/other.duckdb' AS other",
    "SELECT * FROM read_text('{folder}/secret.csv')",
    "SELECT * FROM '{folder}/secret.csv'",
    "SELECT * FROM read_csv('{folder}/secret.csv')",
    "SELECT * FROM glob('{folder}/*')",
    "EXPORT DATABASE '{folder}/all'",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SELECT * FROM secret",
    "SET enable_external_access = true",
    "SET lock_configuration = false",
    "DROP TABLE run",
    "CREATE TABLE x AS SELECT 1",
    "DELETE FROM run",
    "SELECT * FROM no_such_view",
    "SELEC",
)


@pytest.mark.parametrize("query", _REACHES_OUT)
@pytest.mark.parametrize("in_memory", [False, True])
def test_foreign_queries_reach_nothing_but_the_store(tmp_path: Path, store: Store, query: str, in_memory: bool) -> None:
    secret = tmp_path / "secret.csv"  # the name is also that of a variable, which a query must not see
    secret.write_text("a,b\n1,2\n")
    before = sorted(tmp_path.iterdir())
    if in_memory:
        if query.startswith(("DROP", "CREATE", "DELETE")):
            pytest.skip("a store in memory is the caller's own")
        store = Store(None)
    with pytest.raises(ReplaytoolError) as caught, store.run_user_query(query.format(folder=tmp_path)) as batches:
        batches.read_all()
    assert caught.value.hint
    if "{folder}" in query:
        assert "--allow-files" in caught.value.hint
    assert sorted(tmp_path.iterdir()) == before


def test_files_can_be_allowed(tmp_path: Path, store: Store) -> None:
    with store.run_user_query(f"COPY runs TO '{tmp_path}/out.csv'", allow_files=True) as batches:
        batches.read_all()  # a count, or nothing: that is each DuckDB's own affair
    with store.run_user_query(f"SELECT * FROM '{tmp_path}/out.csv'", allow_files=True) as batches:
        assert batches.read_all().num_rows == 1


def test_foreign_queries_answer(store: Store) -> None:
    with store.run_user_query("SELECT event_id, raw ->> '$.eventType' AS kind FROM events ORDER BY ALL") as batches:
        rows = batches.read_all().to_pylist()
    assert rows[0] == {"event_id": 1, "kind": "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED"}
    for view in VIEWS:
        with store.run_user_query(f"SELECT * FROM {view}") as batches:
            batches.read_all()


_FILLS_UP = """
import resource, sys
from pathlib import Path
from replaytool import ingest
from replaytool.errors import ReplaytoolError
from replaytool.sources import open_sources
from replaytool.store import Store
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store, folder, limit = sys.argv[1:]
resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
ingest._BATCH_EVENTS = 2000
try:
    ingest.load_into_store(Store(Path(store)), open_sources([folder]))
except ReplaytoolError as error:
    print(error.message)
else:
    print("it fitted")
"""


def test_a_full_disk_is_said_and_loses_nothing(tmp_path: Path, store: Store) -> None:
    histories = tmp_path / "histories"
    histories.mkdir()
    for number in range(300):
        noise = os.urandom(20_000).hex()
        text = '{"events":[' + ",".join(event.raw.decode() for event in one({"events": events(noise[:36])}).events)
        (histories / f"{number}.json").write_text(text.replace('"1@web"', f'"{noise}"') + "]}")
    limit = _path(store).stat().st_size + 4_000_000
    command = [sys.executable, "-c", textwrap.dedent(_FILLS_UP), str(store.path), str(histories), str(limit)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert "the disk is full" in done.stdout, done.stdout + done.stderr
    assert not done.stderr
    rows = store.list_runs()
    assert 1 <= len(rows) < 301
    assert all(len(store.read_events(row.run_key)) == row.event_count for row in rows)
    with store.open_writer() as writer:
        writer.add_runs([("later", one({"events": events(OTHER_RUN_ID)}))])
    assert len(store.list_runs()) == len(rows) + 1


_ANSWERS = """
import sys, duckdb
assert duckdb.__version__ == "1.5.6", duckdb.__version__
connection = duckdb.connect(sys.argv[1], read_only=True)
for view in sys.argv[2:]:
    connection.execute(f"SELECT * FROM {view}").fetchall()
print(connection.execute("SELECT count(*) FROM events").fetchall()[0][0])
"""


@pytest.mark.drill
def test_the_duckdb_of_last_year_opens_the_store(tmp_path: Path, store: Store) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "-q", "duckdb==1.5.6"], check=True)
    command = [python, "-c", _ANSWERS, str(store.path), *VIEWS]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("8\n", "")
