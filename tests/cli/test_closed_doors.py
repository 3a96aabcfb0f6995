"""What comes from outside opens no door: conditions, URLs, spreadsheets, other people's checkouts, broken outputs."""

from __future__ import annotations

import http.server
import io
import logging
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from replaytool.model.reset_plan import ItemOutcome
from replaytool.render.tables import write_csv
from replaytool.store.connections import connect_for_writing
from replaytool.store.ledger import Ledger
from replaytool.text import hide_url_secrets
from tests.conftest import Call
from tests.support.paths import FIXTURES

CASE = FIXTURES / "activities_in_sequence"
HISTORY = CASE / "history.json"
BAIT = "import pathlib\npathlib.Path(__file__).with_name('imported').touch()\n"


@pytest.mark.parametrize("source", [(), (str(HISTORY),)], ids=["stored", "in memory"])
def test_a_condition_reads_no_file(call: Call, tmp_path: Path, source: tuple[str, ...]) -> None:
    (tmp_path / "secret.csv").write_text("a\n1\n")
    assert call("load", HISTORY).code == 0
    condition = "EXISTS (SELECT 1 FROM read_csv('secret.csv'))"
    if not source:
        refused = call("runs", "--where", condition)
        assert (refused.code, "outside the store" in refused.err) == (2, True)
        assert len(call("runs", "--where", "event_count > 1", "--json").json) == 1
    refused = call("check", *source, "-w", CASE / "workflow.py", "--where", condition)
    assert (refused.code, "outside the store" in refused.err) == (2, True)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("https://me:secret@host/a?sig=secret failed", "https://host/a?… failed"),
        ("s3://key:secret@bucket/x/*.json", "s3://bucket/x/*.json"),
        ("s3://bucket/2026-0?-01.json", "s3://bucket/2026-0?-01.json"),
        ("'http://secret@host:80'", "'http://host:80'"),
        ("me@host says a?b=c", "me@host says a?b=c"),
    ],
)
def test_urls_are_told_without_their_secrets(text: str, told: str) -> None:
    assert hide_url_secrets(text) == told


def test_no_message_has_the_password_of_an_address(call: Call) -> None:
    for address in ("ftp://me:secret@host/x?token=secret", "file://me:secret@host/x"):
        result = call("load", address)
        assert result.code == 2
        assert "secret" not in result.err + result.out


def test_csv_has_no_formulas() -> None:
    table = pa.table({"text": ["=1+1", "+1", "-1", "@x", "plain", "a=b"], "number": [-1, 2, 3, 4, 5, 6]})
    out = io.BytesIO()
    write_csv(table.to_reader(), out)
    lines = out.getvalue().decode().splitlines()
    assert lines == ["text,number", "'=1+1,-1", "'+1,2", "'-1,3", "'@x,4", "plain,5", "a=b,6"]


def test_what_holds_payloads_is_its_owners_alone(call: Call, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        call("load", HISTORY)
        call("check", HISTORY, "-w", CASE / "workflow.py", "--format", "json:report.json")
        call("export", call("runs", "--json").json[0]["run_key"], "-o", "out.json")
    finally:
        os.umask(before)
    for name in ("replaytool.duckdb", "report.json", "out.json"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600, name


def test_commands_that_look_import_no_code_of_a_checkout(call: Call, tmp_path: Path) -> None:
    (tmp_path / "bait.py").write_text(BAIT)
    names = 'converter = "bait:x"\nreplayer = "bait:y"\nworkflows = ["bait.py"]\n'
    (tmp_path / "pyproject.toml").write_text(f"[tool.replaytool]\n{names}")
    call("load", HISTORY)
    key = call("runs", "--json").json[0]["run_key"]
    looks = (("show", key), ("show", key, "--event", "1"), ("runs",), ("sql", "SELECT 1"), ("builds",))
    for words in (*looks, ("diff", key, key), ("export", key, "-o", "x.json")):
        assert call(*words).code == 0, words
        assert not (tmp_path / "imported").exists(), words
    assert call("show", key, "--event", "1", "--converter", "bait:x").code == 2
    assert (tmp_path / "imported").exists()


def test_a_truncated_store_is_called_truncated(call: Call, tmp_path: Path) -> None:
    call("load", HISTORY)
    whole = tmp_path / "replaytool.duckdb"
    shutil.copy(whole, tmp_path / "cut.duckdb")
    os.truncate(tmp_path / "cut.duckdb", whole.stat().st_size // 2)
    for words in (("runs",), ("sql", "SELECT max(raw) FROM events")):
        result = call("--store", "cut.duckdb", *words)
        assert result.code == 2
        assert "cut.duckdb is truncated" in result.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_one_message(tmp_path: Path) -> None:
    with open("/dev/full", "wb") as full:
        words = [sys.executable, "-m", "replaytool", "formats"]
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, cwd=tmp_path, timeout=120)
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == "replaytool: the output was cut short: the disk is full [RT-OUTPUT-1]"
    assert len(done.stderr.splitlines()) == 2


def read_modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir() if path.is_file()}


def test_ledgers_and_logs_of_stores_are_their_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        ledger = Ledger(tmp_path / "plan.ledger.duckdb")
        ledger.write_entries("p", [ItemOutcome("i", "w", "r", 3, "pending", 1, None, "", "2026-01-01T00:00:00Z")])
        modes = read_modes(tmp_path)
        assert modes == {"plan.ledger.duckdb": 0o600, "plan.ledger.duckdb.wal": 0o600}
        ledger.release_file()
        with connect_for_writing(tmp_path / "s.duckdb") as connection:
            connection.execute("SET wal_autocheckpoint = '1GB'")
            connection.execute("CREATE TABLE more AS SELECT 1")
            assert read_modes(tmp_path)["s.duckdb.wal"] == 0o600
        (tmp_path / "other").touch()
        assert read_modes(tmp_path)["other"] == 0o644, "only what replaytool writes"
    finally:
        os.umask(before)


SLEEPS = """
import time
from pathlib import Path
from temporalio import workflow
{at_import}
@workflow.defn(name="Order", sandboxed=False)
class Order:
    @workflow.run
    async def run(self, item: str, cents: int) -> list[str]:
        Path("begun").touch()
        while True:
            time.sleep(0.1)
"""
WAITS = "Path('begun').touch()\ntime.sleep(600)"


@pytest.mark.slow
@pytest.mark.parametrize("at_import", ["", WAITS], ids=["replay", "import"])
def test_an_interrupt_is_130(tmp_path: Path, at_import: str) -> None:
    (tmp_path / "flow.py").write_text(SLEEPS.format(at_import=at_import))
    words = [sys.executable, "-m", "replaytool", "check", str(HISTORY), "-w", "flow.py", "--no-guard"]
    with subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        end = time.monotonic() + 60
        while not (tmp_path / "begun").exists() and time.monotonic() < end and process.poll() is None:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130, out + err
    assert "Traceback" not in out + err


@pytest.mark.parametrize("name", ["temporalio", "replaytool.x"])
def test_logs_hide_what_urls_hold_besides_the_place(call: Call, capfd: pytest.CaptureFixture[str], name: str) -> None:
    call("-vv", "load", HISTORY)
    capfd.readouterr()
    log = logging.getLogger(name)
    before, log.level = log.level, logging.DEBUG
    try:
        log.debug('https://me:secret@host:443 "GET /a?sig=secret HTTP/1.1" 200')
        try:
            raise ValueError("https://me:secret@host/a?sig=secret")
        except ValueError:
            log.debug("", exc_info=True)
    finally:
        log.level = before
        logging.basicConfig(force=True)
    err = capfd.readouterr().err
    assert "secret" not in err
    assert "GET /a?…" in err
    assert "ValueError: https://host/a?…" in err


@pytest.fixture
def codec_server() -> Iterator[tuple[str, list[str]]]:
    """A server that notes what it is asked."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


def test_payloads_go_to_no_server_that_a_checkout_names(
    call: Call, tmp_path: Path, codec_server: tuple[str, list[str]]
) -> None:
    address, asked = codec_server
    (tmp_path / "pyproject.toml").write_text(f'[tool.replaytool]\ncodec-endpoint = "{address}"\n')
    call("load", HISTORY)
    key = call("runs", "--json").json[0]["run_key"]
    for words in (("show", key), ("show", key, "--event", "1"), ("diff", key, key)):
        assert call(*words).code == 0, words
    assert asked == []
    assert call("show", key, "--event", "1", "--codec-endpoint", address).code == 0
    assert asked == ["/decode"]
