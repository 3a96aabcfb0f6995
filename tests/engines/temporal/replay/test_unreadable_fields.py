"""A value that cannot be read is named with its event and field; nothing is called a fault of replaytool."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import pytest

from replaytool.engines import CodeSpec, load_code, read_history
from replaytool.formats.temporal.json_files import read_json_runs
from replaytool.model.history import RunHints
from replaytool.model.verdict import Verdict
from tests.support.histories import replay
from tests.support.paths import FIXTURES

_FOLDER = FIXTURES / "activities_in_sequence"
_STARTED = "workflowExecutionStartedEventAttributes"


def _verdict_with(event_id: int, path: tuple[str, ...], value: object) -> Verdict:
    history = json.loads((_FOLDER / "history.json").read_text())
    holder: Any = history["events"][event_id - 1]
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    (run,) = read_json_runs(io.BytesIO(json.dumps(history).encode()), RunHints())
    # As in a worker process, which gets the events as JSON.
    whole = b'{"events":[' + b",".join(event.raw for event in run.events) + b"]}"
    code = load_code(CodeSpec((str(_FOLDER / "workflow.py"),)))
    return replay(read_history(replace(run, events=[]), whole), code, engine="auto")


@pytest.mark.parametrize(
    ("event_id", "path", "value", "field"),
    [
        (1, ("eventTime",), "x", "eventTime"),
        (1, ("eventTime",), "99999-01-01T00:00:00Z", "eventTime"),
        (2, ("eventTime",), True, "eventTime"),
        (1, (_STARTED, "workflowTaskTimeout"), "x", "workflowTaskTimeout"),
        (1, (_STARTED, "attempt"), 1.5, "attempt"),
        (1, (_STARTED, "identity"), True, "identity"),
        (5, ("activityTaskScheduledEventAttributes", "startToCloseTimeout"), "x", "startToCloseTimeout"),
        (4, ("workflowTaskCompletedEventAttributes",), [1], ""),
    ],
)
def test_event_and_field_are_named(event_id: int, path: tuple[str, ...], value: object, field: str) -> None:
    found = _verdict_with(event_id, path, value)
    assert found.verdict == "unverified", found.reason
    assert found.reason.startswith(f"the history is malformed: event {event_id}, "), found.reason
    assert (f"field {field}: " if field else "WorkflowTaskCompleted: ") in found.reason
