"""The recorded histories: they show what they say, and nothing of the machine that recorded them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import FIXTURES

CASES = sorted(path.parent for path in FIXTURES.glob("*/verdict.json"))
HISTORIES = sorted(FIXTURES.glob("*/history*.json"))
# What a replay tool meets sooner or later; each was written by a real server.
NEEDED = [
    "ACTIVITY_TASK_CANCELED",
    "ACTIVITY_TASK_CANCEL_REQUESTED",
    "ACTIVITY_TASK_COMPLETED",
    "ACTIVITY_TASK_FAILED",
    "ACTIVITY_TASK_SCHEDULED",
    "ACTIVITY_TASK_STARTED",
    "ACTIVITY_TASK_TIMED_OUT",
    "CHILD_WORKFLOW_EXECUTION_CANCELED",
    "CHILD_WORKFLOW_EXECUTION_COMPLETED",
    "CHILD_WORKFLOW_EXECUTION_FAILED",
    "CHILD_WORKFLOW_EXECUTION_STARTED",
    "CHILD_WORKFLOW_EXECUTION_TERMINATED",
    "CHILD_WORKFLOW_EXECUTION_TIMED_OUT",
    "EXTERNAL_WORKFLOW_EXECUTION_CANCEL_REQUESTED",
    "EXTERNAL_WORKFLOW_EXECUTION_SIGNALED",
    "MARKER_RECORDED",
    "NEXUS_OPERATION_CANCELED",
    "NEXUS_OPERATION_COMPLETED",
    "NEXUS_OPERATION_FAILED",
    "NEXUS_OPERATION_SCHEDULED",
    "NEXUS_OPERATION_STARTED",
    "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_FAILED",
    "SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED",
    "START_CHILD_WORKFLOW_EXECUTION_FAILED",
    "TIMER_CANCELED",
    "TIMER_FIRED",
    "TIMER_STARTED",
    "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES",
    "WORKFLOW_EXECUTION_CANCELED",
    "WORKFLOW_EXECUTION_CANCEL_REQUESTED",
    "WORKFLOW_EXECUTION_COMPLETED",
    "WORKFLOW_EXECUTION_CONTINUED_AS_NEW",
    "WORKFLOW_EXECUTION_FAILED",
    "WORKFLOW_EXECUTION_OPTIONS_UPDATED",
    "WORKFLOW_EXECUTION_SIGNALED",
    "WORKFLOW_EXECUTION_TERMINATED",
    "WORKFLOW_EXECUTION_TIMED_OUT",
    "WORKFLOW_EXECUTION_UPDATE_ACCEPTED",
    "WORKFLOW_EXECUTION_UPDATE_ADMITTED",
    "WORKFLOW_EXECUTION_UPDATE_COMPLETED",
    "WORKFLOW_PROPERTIES_MODIFIED",
    "WORKFLOW_TASK_FAILED",
    "WORKFLOW_TASK_TIMED_OUT",
]


def test_every_kind_of_event_was_recorded() -> None:
    text = "".join(path.read_text() for path in HISTORIES)
    assert [name for name in NEEDED if f'"EVENT_TYPE_{name}"' not in text] == []


def test_nothing_of_the_recording_machine_is_in_them() -> None:
    suspicious = re.compile(r"/(?:home|root|tmp|usr|var|opt|work)/|site-packages|\d+@(?!fixtures)\w")
    found = {path.name: match[0] for path in HISTORIES if (match := suspicious.search(path.read_text()))}
    assert found == {}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_names_its_files(case: Path) -> None:
    stated = json.loads((case / "verdict.json").read_bytes())
    assert set(stated["recorded_by"]) == {path.name for path in case.glob("history*.json")}
    assert all((case / name).is_file() for name in stated["expect"])
    assert f"`{case.name}`" in (FIXTURES.parent / "README.md").read_text()


@pytest.mark.drill
@pytest.mark.server
def test_recording_again_gives_the_same_shapes() -> None:
    done = subprocess.run(
        [sys.executable, str(FIXTURES.parent / "record.py"), "--verify"], capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
