"""Another reason for a cancellation is drift, if the SDK that recorded it passed reasons on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from replaytool.engines import CodeSpec, Options, load_code
from replaytool.engines.temporal.sdk.versions import RELEASE, TELLS_CANCEL_REASONS
from replaytool.model.history import Run
from replaytool.model.verdict import Verdict
from tests.support.histories import bent, events, replay
from tests.support.paths import FIXTURES

pytestmark = pytest.mark.skipif(RELEASE < TELLS_CANCEL_REASONS, reason="this release passes no reasons on")
_counter = iter(range(1000))
_PREFIX = "Cancel requested by workflow with run id 01a1faf5-2527-7e35-8caf-0cbfe5c2cd62 with reason: "


@pytest.fixture(autouse=True)
def no_left_modules() -> Iterator[None]:
    yield
    for name in [one for one in sys.modules if one.startswith("reasons_")]:
        del sys.modules[name]


def judge(folder: Path, case: str, run: Run, old: str, new: str, engine: str) -> Verdict:
    source = (FIXTURES / case / "workflow.py").read_text()
    assert old in source
    file = folder / f"reasons_{next(_counter)}.py"
    file.write_text(source.replace(old, new))
    return replay(run, load_code(CodeSpec((str(file),), folder=str(folder))), Options(sandbox="off"), engine)


def recorded_with(case: str, file: str, reason: str, release: str = "1.35.0") -> Run:
    listed = events(case, file)
    for event in listed:
        for attributes in event.values():
            if isinstance(attributes, dict) and "sdkMetadata" in attributes:
                attributes["sdkMetadata"] |= {"sdkName": "temporal-python", "sdkVersion": release}
        if event["eventType"].endswith("REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED"):
            event["requestCancelExternalWorkflowExecutionInitiatedEventAttributes"]["reason"] = reason
    return bent(listed)


def drifts(verdict: Verdict) -> list[tuple[str, object, object]]:
    return [(one.path, one.recorded, one.produced) for one in verdict.drift]


@pytest.mark.parametrize("engine", ["direct", "sdk"])
@pytest.mark.parametrize(
    ("recorded", "code", "told"),
    [
        ("sold out", '"sold out"', []),
        ("sold out", '"closed"', [("reason", "sold out", "closed")]),
        ("sold out", "", [("reason", "sold out", None)]),
        ("", '"closed"', [("reason", None, "closed")]),
    ],
)
def test_a_childs_cancellation(
    tmp_path: Path, recorded: str, code: str, told: list[tuple[str, object, object]], engine: str
) -> None:
    run = recorded_with("child_cancelled", "history-try-cancel.json", recorded)
    verdict = judge(tmp_path, "child_cancelled", run, "child.cancel()", f"child.cancel({code})", engine)
    assert (verdict.verdict, drifts(verdict)) == ("drift" if told else "ok", told)
    assert not told or Path(str(verdict.call_site and verdict.call_site.file)).name.startswith("reasons_")


def test_an_older_sdk_passed_no_reason_on(tmp_path: Path) -> None:
    run = recorded_with("child_cancelled", "history-try-cancel.json", "", "1.27.2")
    assert judge(tmp_path, "child_cancelled", run, "child.cancel()", 'child.cancel("x")', "direct").verdict == "ok"


@pytest.mark.parametrize(("code", "word"), [("sold out", "ok"), ("closed", "drift")])
def test_the_cancellation_of_another_workflow(tmp_path: Path, code: str, word: str) -> None:
    run = recorded_with("external_cancel", "history-conductor.json", _PREFIX + "sold out")
    verdict = judge(tmp_path, "external_cancel", run, ".cancel()", f'.cancel(reason="{code}")', "direct")
    assert verdict.verdict == word, verdict.reason
