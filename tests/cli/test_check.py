from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from benchmarks.replayable_histories import WORKFLOWS, history
from tests.conftest import Call
from tests.support.paths import FIXTURES, ROOT

pytestmark = pytest.mark.slow

ORDER = FIXTURES / "activities_in_sequence"
SCHEMA = json.loads((ROOT / "docs" / "check-report.schema.json").read_bytes())


def report(call: Call, case: Path, code: Path, *more: str | Path) -> Any:
    result = call("check", *sorted(case.glob("history*.json")), "-w", code, "--format", "json", *more)
    assert "Traceback" not in result.err
    jsonschema.validate(result.json, SCHEMA)
    return result.json


def test_the_code_that_recorded_a_history_follows_it(call: Call, tmp_path: Path) -> None:
    result = call("check", ORDER / "history.json", "--workflows", ORDER / "workflow.py")
    assert result.code == 0
    assert "1 ok" in result.out
    assert list(tmp_path.iterdir()) == [], "a check of files leaves nothing behind"


def test_a_divergence_names_event_line_and_both_sides(call: Call) -> None:
    code = ORDER / "changed_activity_renamed.py"
    result = call("check", ORDER / "history.json", "-w", code)
    assert result.code == 1
    line = next(n for n, text in enumerate(code.read_text().splitlines(), 1) if "# differs" in text)
    assert f"{code.name}:{line} in Order.run" in result.out
    assert "event 11: ActivityTaskScheduled charge_card" in result.out
    assert "activity take_payment" in result.out
    assert "--at 11" in result.out
    (run,) = report(call, ORDER, code)["runs"]
    assert run["divergence"]["event_id"] == 11
    assert run["divergence"]["expected"]["name"] == "charge_card"
    assert run["divergence"]["actual"]["name"] == "take_payment"
    assert run["divergence"]["call_site"]["line"] == line
    assert run["divergence"]["last_matched_event_id"] == 5


def test_drift_passes_unless_it_is_strict(call: Call) -> None:
    arguments = ("check", ORDER / "history.json", "-w", ORDER / "changed_timeout.py")
    assert call(*arguments).code == 0
    assert call(*arguments, "--strict").code == 1
    assert call(*arguments, "--fail-on", "drift").code == 1
    (run,) = report(call, ORDER, ORDER / "changed_timeout.py")["runs"]
    assert [(drift["path"], drift["recorded"], drift["produced"]) for drift in run["drift"]] == [
        ("startToCloseTimeout", "10s", "20s")
    ]


@pytest.mark.parametrize(
    ("level", "code", "verdict"), [("error", 1, "drift"), ("warn", 0, "drift"), ("ignore", 0, "ok")]
)
def test_the_configuration_decides_what_a_difference_means(
    call: Call, tmp_path: Path, level: str, code: int, verdict: str
) -> None:
    (tmp_path / "pyproject.toml").write_text(f'[tool.replaytool.drift]\nstartToCloseTimeout = "{level}"\n')
    result = call("check", ORDER / "history.json", "-w", ORDER / "changed_timeout.py", "--format", "json")
    assert (result.code, result.json["runs"][0]["verdict"]) == (code, verdict)


def test_what_cannot_be_verified_says_why(call: Call) -> None:
    arguments = ("check", FIXTURES / "timers" / "history.json", "-w", ORDER / "workflow.py")
    result = call(*arguments)
    assert result.code == 1
    assert "no code for workflow type" in result.out
    assert call(*arguments, "--allow-unverified").code == 0


def test_a_stuck_run_fails_with_the_broken_code_and_proceeds_with_the_mended(call: Call) -> None:
    case = FIXTURES / "stuck_on_exception"
    broken = next(path for path in (*case.glob("builds/*.py"), *case.glob("changed_*.py")))
    stated = json.loads((case / "verdict.json").read_bytes())["expect"]
    assert stated[str(broken.relative_to(case))]["verdict"] == "failed"
    (still,) = report(call, case, broken)["runs"]
    assert (still["verdict"], still["stuck"]) == ("failed", "still fails")
    (mended,) = report(call, case, case / "workflow.py")["runs"]
    assert (mended["verdict"], mended["stuck"]) == ("ok", "would proceed")
    assert mended["next"]


def test_known_verdicts_are_not_computed_again(call: Call) -> None:
    call("load", ORDER / "history.json")
    first = call("check", "-w", ORDER / "workflow.py", "--format", "json").json
    again = call("check", "-w", ORDER / "workflow.py", "--format", "json").json
    assert [run["seconds"] for run in again["runs"]] == [run["seconds"] for run in first["runs"]]
    anew = call("check", "-w", ORDER / "workflow.py", "--format", "json", "--no-cache").json
    assert [run["seconds"] for run in anew["runs"]] != [run["seconds"] for run in first["runs"]]
    (row,) = call("sql", "SELECT verdict, code_fingerprint FROM verdicts", "--format", "json").json
    assert row["verdict"] == "ok"
    other = call("check", "-w", ORDER / "changed_activity_renamed.py", "--format", "json").json
    assert other["runs"][0]["verdict"] == "diverged"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["check", str(ORDER / "history.json")], "no workflow code given"),
        (["check", str(ORDER / "history.json"), "-w", "no_such_module"], "no_such_module"),
        (["check", str(ORDER / "history.json"), "-w", "json"], "no workflow found"),
        (["check", str(ORDER / "history.json"), "-w", str(ORDER), "--format", "nope"], "no report format 'nope'"),
        (["check", str(ORDER / "history.json"), "-w", str(ORDER), "--fail-on", "nope"], "unknown verdict 'nope'"),
        (["check", "-w", str(ORDER / "workflow.py")], "there is no store"),
    ],
)
def test_a_check_that_cannot_start_is_one_error(call: Call, arguments: list[str], says: str) -> None:
    result = call(*arguments)
    assert result.code == 2
    assert says in result.err
    assert "Traceback" not in result.err
    assert result.out == ""


def test_a_type_that_several_files_define_costs_only_its_own_runs(call: Call) -> None:
    history = FIXTURES / "timers" / "history.json"
    code = ("-w", ORDER, "-w", FIXTURES / "timers" / "workflow.py")
    result = call("check", ORDER / "history.json", history, *code, "--format", "json")
    assert result.code == 1
    reasons = {run["workflow_type"]: (run["verdict"], run["reason"]) for run in result.json["runs"]}
    assert reasons.pop("Order")[0] == "unverified"
    assert [verdict for verdict, _ in reasons.values()] == ["ok"]


def test_code_that_does_not_import_shows_its_own_traceback(call: Call, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import os\n\nvalue = os.no_such_thing\n")
    result = call("check", ORDER / "history.json", "-w", "broken.py")
    assert result.code == 2
    assert "broken.py" in result.err
    assert "line 3" in result.err
    assert "no_such_thing" in result.err
    assert "replaytool/replay" not in result.err


def hostile_code(text: str) -> str:
    return (
        "import asyncio, os\nfrom temporalio import workflow\n\n\n"
        "@workflow.defn(name='Order', sandboxed=False)\nclass Order:\n    @workflow.run\n"
        f"    async def run(self, item: str, cents: int) -> list[str]:\n        {text}\n        return []\n"
    )


@pytest.mark.parametrize(
    ("text", "verdict", "says"),
    [
        ("while True: pass", "failed", "eadlock"),
        ("os._exit(1)", "crashed", "exit code 1"),
        ("os.kill(os.getpid(), 9)", "failed", "refused"),
        ("import signal; signal.raise_signal(9)", "crashed", "SIGKILL"),
        ("x = []\n        while True: x.append(' ' * 10_000_000)", "crashed", "the code ran out of memory"),
        ("os.system('touch /nonexistent/x')", "failed", "os.system"),
    ],
)
def test_code_that_takes_its_process_along_costs_only_its_own_verdict(
    call: Call, tmp_path: Path, text: str, verdict: str, says: str
) -> None:
    (tmp_path / "bad.py").write_text(hostile_code(text))
    history = json.loads((FIXTURES / "timers" / "history.json").read_bytes())
    (tmp_path / "other.json").write_text(json.dumps(history))
    result = call(
        "check", ORDER / "history.json", FIXTURES / "timers" / "history.json", "-w", "bad.py",
        "--timeout", "20", "--memory", "300", "--format", "json",
    )  # fmt: skip
    assert result.code == 1
    runs = {run["workflow_type"]: run for run in result.json["runs"]}
    assert len(runs) == 2
    order = runs.pop("Order")
    assert order["verdict"] == verdict, order
    assert re.search(says, json.dumps(order)), order["reason"]
    assert {run["verdict"] for run in runs.values()} == {"unverified"}


def test_ctrl_c_ends_with_what_is_known(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(hostile_code("import time; time.sleep(1000)"))
    command = [
        sys.executable,
        "-m",
        "replaytool",
        "check",
        str(ORDER / "history.json"),
        "-w",
        "slow.py",
        "--timeout",
        "90",
    ]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(4)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert "Traceback" not in err
    if process.returncode == 130:
        assert "interrupted" in out + err
    else:  # the deadlock was told before the signal came
        assert "eadlock" in out


def test_repeating_finds_what_one_replay_passes_by_luck(call: Call, tmp_path: Path) -> None:
    names = "{'reserve_stock', 'charge_card', 'send_parcel'}"
    call_one = "await workflow.execute_activity(name, item, start_to_close_timeout=SHORT)"
    body = f"for name in {names}:\n            {call_one}"
    code = hostile_code(body).replace("\n\n\n@", "\nfrom datetime import timedelta\n\nSHORT = timedelta(1)\n\n\n@", 1)
    (tmp_path / "sets.py").write_text(code)
    result = call("check", ORDER / "history.json", "-w", "sets.py", "--repeat", "5", "--format", "json")
    (run,) = result.json["runs"]
    assert run["verdict"] == "diverged"
    assert run["reason"].startswith("unstable: in 5 replays")
    stable = call("check", ORDER / "history.json", "-w", ORDER / "workflow.py", "--repeat", "2", "--format", "json")
    assert [run["verdict"] for run in stable.json["runs"]] == ["ok"]


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ("--format=json:nowhere/report.json", "there is no folder nowhere"),
        ("--format=html:.", "is a folder"),
        ("--baseline=none.json", "cannot read the baseline none.json"),
    ],
)
def test_where_reports_go_is_looked_at_before_the_work(call: Call, tmp_path: Path, option: str, says: str) -> None:
    result = call("check", "no-such-folder", "-w", "no_such_module", option)
    assert (result.code, result.out) == (2, "")
    assert says in result.err
    assert list(tmp_path.iterdir()) == []


def test_every_mismatch_is_told_in_every_form_and_asks_anew(call: Call, tmp_path: Path) -> None:
    (tmp_path / "wf.py").write_text(
        WORKFLOWS.replace('activity("score_trip"', 'activity("score_trip" if step % 2 else "other"', 1)
    )
    (tmp_path / "run.json").write_text(history("Steps", 6))
    assert call("load", "run.json", "--store", "runs.duckdb").code == 0
    plain = ("check", "--store", "runs.duckdb", "-w", "wf.py")
    assert "after this one" not in call(*plain).out
    text = call(*plain, "--every-mismatch").out
    assert "2 more mismatches after this one:" in text
    assert "history: event 29: ActivityTaskScheduled score_trip" in text
    assert "(wf.py:16 in Steps.run)" in text
    report = call(*plain, "--every-mismatch", "--format", "json").json
    jsonschema.validate(report, SCHEMA)
    assert [one["event_id"] for one in report["runs"][0]["further"]] == [17, 29]
    assert "event 29" in call(*plain, "--every-mismatch", "--format", "markdown").out
