"""What comes from outside opens no door: conditions, URLs, spreadsheets, other people's checkouts, broken outputs."""

from __future__ import annotations

import io
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from replaytool.render.tables import write_csv
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
