"""The ledger is whole whenever its writer is killed, also in the moment in which it is made."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from replaytool.store.ledger import Ledger

_WRITER = """
import sys
from pathlib import Path
from replaytool.model.reset_plan import ItemOutcome
from replaytool.store.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for number in range(10_000):
    entry = ItemOutcome(f"item-{number}", "w", "r", 3, "intended", 1, None, None, "2026-01-01T00:00:00Z")
    ledger.write_entries("plan", [entry])
    print(number, flush=True)
    if number % 3 == 2:
        ledger.release_file()
"""
_MOMENTS = (0, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.04)


@pytest.mark.parametrize("moment", _MOMENTS)
def test_a_writer_that_is_killed_leaves_all_it_said_it_wrote(moment: float, tmp_path: Path) -> None:
    path = tmp_path / "plan.ledger.duckdb"
    command = [sys.executable, "-c", _WRITER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        print("go", file=process.stdin, flush=True)
        _await_file(path, process)
        time.sleep(moment)
        process.kill()
        said = process.stdout.read().split()
    ledger = Ledger(path)
    assert len(ledger.read_outcomes("plan")) in (len(said), len(said) + 1)
    ledger.open_for_writing()
    ledger.release_file()


def _await_file(path: Path, process: subprocess.Popen[str]) -> None:
    """At once, as the first moments of the file are what this is about."""
    end = time.monotonic() + 20
    while not path.exists():
        assert process.poll() is None
        assert time.monotonic() < end
