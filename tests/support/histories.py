"""Histories from the fixtures, whole or bent, for the tests of replaying."""

from __future__ import annotations

import io
import json
from typing import Any

import replaytool.engines
from replaytool.engines import Code, Options
from replaytool.formats import detect_format
from replaytool.model.history import Run, RunHints
from replaytool.model.verdict import Verdict
from tests.support.paths import FIXTURES


def expectations(case: str) -> dict[str, Any]:
    """What the case's own file says about it."""
    found: dict[str, Any] = json.loads((FIXTURES / case / "verdict.json").read_text())
    return found


def run_of(data: bytes, workflow_id: str = "w", run_id: str | None = None, name: str = "") -> Run:
    """The run in a file's content."""
    hints = RunHints(name=name, workflow_id=workflow_id, run_id=run_id)
    return next(iter(detect_format(data[:65536]).read_runs(io.BytesIO(data), hints)))


def recorded(case: str, file: str = "history.json") -> Run:
    """The run that a fixture recorded."""
    meta = expectations(case)["recorded_by"][file]
    return run_of((FIXTURES / case / file).read_bytes(), meta["workflow_id"], meta["run_id"], file)


def events(case: str, file: str = "history.json") -> list[dict[str, Any]]:
    """The events of a fixture, to bend."""
    found: list[dict[str, Any]] = json.loads((FIXTURES / case / file).read_text())["events"]
    return found


def bent(listed: list[dict[str, Any]], workflow_type: str | None = None) -> Run:
    """A run of these events, of another type if so wanted."""
    if workflow_type:
        listed[0]["workflowExecutionStartedEventAttributes"]["workflowType"]["name"] = workflow_type
    return run_of(json.dumps({"events": listed}).encode())


def replay(run: Run, code: Code, options: Options | None = None, engine: str = "sdk") -> Verdict:
    """By the SDK's replayer, unless another engine is asked for: these tests are about it."""
    return replaytool.engines.replay(run, code, options, engine)
