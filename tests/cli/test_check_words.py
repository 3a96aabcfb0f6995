"""What `check` says around its findings: the exit code with its reason, commands that work as they stand, JSON."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import jsonschema
import pytest

from replaytool.check.check_runs import CheckPlan
from replaytool.config import Settings
from replaytool.engines import make_code_spec
from replaytool.ingest import LoadObserver
from replaytool.session import RunFilter, Session
from tests.conftest import Call
from tests.support.paths import FIXTURES, ROOT

pytestmark = pytest.mark.slow

ORDER = FIXTURES / "activities_in_sequence"
SCHEMA = json.loads((ROOT / "docs" / "check-report.schema.json").read_bytes())


def last_line(text: str) -> str:
    return text.splitlines()[-1]


def test_the_exit_code_and_its_reason_are_the_last_line(call: Call, tmp_path: Path) -> None:
    history = ORDER / "history.json"
    green = call("check", history, "-w", ORDER / "workflow.py")
    assert (green.code, last_line(green.out)) == (0, "exit code 0: no run fails the check")
    red = call("check", history, "-w", ORDER / "changed_activity_renamed.py")
    assert (red.code, last_line(red.out)) == (1, "exit code 1: 1 run fails the check (1 diverged)")
    drift = call("check", history, "-w", ORDER / "changed_timeout.py")
    assert (drift.code, last_line(drift.out)) == (0, "exit code 0: no run fails the check; not counted: 1 drift")
    other = call("check", FIXTURES / "timers" / "history.json", "-w", ORDER / "workflow.py")
    assert other.code == 1
    assert last_line(other.out) == (
        "exit code 1: 1 run fails the check (1 unverified); --allow-unverified lets these pass"
    )
    (tmp_path / "broken.json").write_text("{'events': []}")
    broken = call("check", history, tmp_path / "broken.json", "-w", ORDER / "workflow.py")
    assert (broken.code, last_line(broken.out)) == (1, "exit code 1: 1 file could not be read")
    none = call("check", history, "-w", ORDER / "workflow.py", "--type", "None")
    assert (none.code, last_line(none.out)) == (5, "exit code 5: nothing to check: no runs were found")
    assert none.err == ""


@pytest.mark.parametrize("place", ["file", "folder", "store"])
def test_the_debug_command_of_a_report_works_as_it_stands(call: Call, tmp_path: Path, place: str) -> None:
    histories = tmp_path / "my histories"
    histories.mkdir()
    shutil.copy(ORDER / "history.json", histories)
    shutil.copy(FIXTURES / "timers" / "history.json", histories / "other.json")
    code = ORDER / "changed_activity_renamed.py"
    if place == "store":
        assert call("--store", "other.duckdb", "load", histories).code == 0
        checked = call("--store", "other.duckdb", "check", "-w", code)
    else:
        checked = call("check", histories / "history.json" if place == "file" else histories, "-w", code)
    line = next(line for line in checked.out.splitlines() if line.strip().startswith("debug:") and "--at 11" in line)
    words = shlex.split(line.partition("debug: replaytool ")[2])
    told = call(*words, "--no-tui")
    assert "no workflow code given" not in told.out
    assert "event 11: ActivityTaskScheduled charge_card" in told.out, told.err
    assert "take_payment" in told.out


def test_debug_takes_files_and_asks_for_the_run_only_if_there_are_several(call: Call) -> None:
    history, other = ORDER / "history.json", FIXTURES / "timers" / "history.json"
    alone = call("debug", history, "--at", "5", "--json")
    assert alone.json["at"]["event_id"] == 5
    both = call("debug", history, other, "--at", "5", "--json")
    assert both.code == 2
    assert "there are several runs" in both.err
    assert alone.json["at"]["run_key"] in both.err
    chosen = call("debug", alone.json["at"]["run_key"], history, other, "--at", "5", "--json")
    assert chosen.json == alone.json
    assert "no run 'nobody' in these files" in call("debug", "nobody", history, "--no-tui").err


def test_a_folder_that_is_called_like_a_run_of_the_store_does_not_hide_it(call: Call, tmp_path: Path) -> None:
    assert call("load", ORDER / "history.json").code == 0
    key = call("runs", "--json").json[0]["run_key"]
    (tmp_path / key).mkdir()
    assert call("debug", key, "--at", "5", "--json").json["at"]["run_key"] == key


def test_json_is_short_for_the_format(call: Call, tmp_path: Path) -> None:
    given = ("check", ORDER / "history.json", "-w", ORDER / "changed_activity_renamed.py")
    result = call(*given, "--json", "--format", "text:seen.txt")
    assert result.code == 1
    jsonschema.validate(result.json, SCHEMA)
    assert result.json["origin"]["from_files"] is True
    assert last_line((tmp_path / "seen.txt").read_text()).startswith("exit code 1:")
    (tmp_path / "shard.json").write_text(result.out)
    assert call("merge", "shard.json", "--json").json["summary"] == result.json["summary"]
    both = call(*given, "--json", "--format", "text")
    assert (both.code, both.out) == (2, "")


def test_progress_knows_how_many_replays_there_are(tmp_path: Path) -> None:
    settings = Settings(store=tmp_path / "none.duckdb")
    plan = CheckPlan(make_code_spec(settings, [str(ORDER / "workflow.py")]))
    totals: list[int] = []
    replayed: list[str] = []
    observer = LoadObserver(on_total=totals.append)
    sources = [str(ORDER / "history.json"), str(FIXTURES / "timers" / "history.json")]
    Session(settings).check_runs(sources, RunFilter(), plan, observer, lambda key, _: replayed.append(key))
    assert totals == [len(replayed)] == [2]


def test_lists_fit_the_terminal_and_are_whole_in_a_pipe(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call("load", *(FIXTURES / "loyalty").glob("history*.json")).code == 0
    assert max(map(len, call("runs").out.splitlines())) > 120
    monkeypatch.setattr("replaytool.cli.runs.find_terminal_width", lambda: 100)
    monkeypatch.setattr("replaytool.render.reset.find_terminal_width", lambda: 100)
    for command in (("runs",), ("reset", "plan", "--build", "v2")):
        lines = call(*command).out.splitlines()
        rows = [line for line in lines if "  loyalty-" in line or line.startswith(("WORKFLOW", "RUN KEY", "loyalty-"))]
        assert len(rows) > 1
        assert max(map(len, rows)) <= 100
