"""A result on disk is there as a whole or not at all."""

from __future__ import annotations

import gc
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from replaytool.errors import ReplaytoolError
from replaytool.sources import open_output, probe_output


def test_the_target_changes_when_the_stream_is_closed(tmp_path: Path) -> None:
    target = tmp_path / "result.csv"
    target.write_text("old")
    target.chmod(0o640)
    with open_output(str(target)) as output:
        output.write(b"new")
        output.flush()
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["result.csv"]


def test_a_new_file_is_its_owners_alone(tmp_path: Path) -> None:
    open_output(str(tmp_path / "made")).close()
    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o600


def test_what_goes_wrong_or_is_forgotten_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), open_output(str(tmp_path / "x")) as output:
        output.write(b"x" * (5_000_000 + 1 // output.write(b"")))
    forgotten = open_output(str(tmp_path / "x"))
    forgotten.write(b"x")
    del forgotten
    gc.collect()
    assert os.listdir(tmp_path) == []


def test_a_killed_process_leaves_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "result"
    target.write_text("old")
    code = (
        "import os, signal, sys\nfrom replaytool.sources import open_output\n"
        "output = open_output(sys.argv[1])\noutput.write(b'x' * 5_000_000)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(target)], timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert target.read_text() == "old"


def test_a_link_goes_on_leading_to_its_target(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    with open_output(f"file://{tmp_path}/link") as output:
        output.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_a_device_is_written_and_not_replaced() -> None:
    with open_output("/dev/null") as output:
        output.write(b"x")
    assert not stat.S_ISREG(os.stat("/dev/null").st_mode)


def test_parquet_can_be_written(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    with open_output(str(tmp_path / "x.parquet")) as output:
        parquet.write_table(pyarrow.table({"a": [1, 2]}), output)
    assert parquet.read_table(tmp_path / "x.parquet").num_rows == 2


def test_what_cannot_be_written(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "no" / "such", tmp_path / ("x" * 300)):
        with pytest.raises(ReplaytoolError) as raised:
            open_output(str(path))
        assert raised.value.hint


def test_looking_ahead_changes_nothing(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("old")
    os.mkfifo(tmp_path / "pipe")
    for name in ("kept", "new", "pipe"):
        probe_output(str(tmp_path / name))
    assert kept.read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["kept", "pipe"]
    with pytest.raises(ReplaytoolError, match="cannot be written"):
        probe_output(str(tmp_path / "nowhere" / "new"))
