from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

from replaytool.cli import COMMANDS, cli, formats
from tests.conftest import Call
from tests.support.paths import FIXTURES

pytestmark = pytest.mark.slow

HEAVY = ("duckdb", "pyarrow", "temporalio", "textual", "deepdiff", "rich", "msgspec")


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys\nfrom replaytool.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_every_command_is_a_file_with_help_and_an_example() -> None:
    folder = Path(inspect.getfile(cli.__class__)).parent
    files = {path.stem for path in folder.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert set(COMMANDS) <= files
    for name in COMMANDS:
        command = cli.get_command(None, name)  # type: ignore[arg-type]
        assert command is not None
        assert command.help is not None
        assert f"replaytool {name}" in command.help, f"{name} shows no example"


def test_an_unknown_command_is_one_error_with_the_known_ones(call: Call) -> None:
    result = call("laod")
    assert result.code == 2
    assert "there is no command 'laod'; did you mean 'load'?" in result.err
    assert "load" in result.err
    assert "Traceback" not in result.err


def test_words_that_are_no_words_of_ours_get_the_nearest_one_if_there_is_one(call: Call) -> None:
    assert "no report format 'jsn'; did you mean 'json'?" in call("check", "x", "--format", "jsn").err
    assert "unknown verdict 'divergd'; did you mean 'diverged'?" in call("check", "x", "--fail-on", "divergd").err
    assert "there is no command 'qqqqq' [" in call("qqqqq").err


@pytest.mark.parametrize("given", [(), ("reset",)])
def test_no_command_is_answered_by_the_help(call: Call, given: tuple[str, ...]) -> None:
    result = call(*given)
    assert (result.out + result.err).startswith("Usage: replaytool")


def test_a_missing_argument_is_a_usage_error(call: Call) -> None:
    result = call("show")
    assert result.code == 2
    assert "RUN" in result.err


def test_a_missing_choice_is_told_in_one_line(call: Call) -> None:
    missing = call("completion")
    assert missing.code == 2
    assert "Choose from: bash, zsh, fish [RT-USAGE-1]\n" in missing.err
    assert "\\t" not in missing.err


def test_a_fault_is_told_without_a_traceback(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**_: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(formats.command, "callback", broken)
    result = call("formats")
    assert result.code == 3
    assert "internal error of replaytool: RuntimeError: boom" in result.err
    assert "Traceback" not in result.err


def test_a_reader_that_goes_away_is_one_message(tmp_path: Path) -> None:
    """`replaytool … | head` closes our stdout while we still write."""
    store = tmp_path / "store.duckdb"
    run = [sys.executable, "-m", "replaytool", "--store", str(store)]
    subprocess.run([*run, "load", str(FIXTURES / "loop_of_activities" / "history.json")], check=True, timeout=120)
    query = "SELECT a.raw FROM events a, events b, range(4)"
    reader, writer = os.pipe()
    process = subprocess.Popen([*run, "sql", query, "--format", "jsonl"], stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    os.read(reader, 10)
    os.close(reader)
    _, err = process.communicate(timeout=120)
    assert err.splitlines()[0] == b"replaytool: the output was cut short: its reader closed the pipe [RT-OUTPUT-1]"
    assert len(err.splitlines()) == 2
    assert process.returncode == 2
