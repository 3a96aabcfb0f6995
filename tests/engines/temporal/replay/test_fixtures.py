"""Every fixture with every code that lies beside it, in the sandbox and without: the verdict that its folder states."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import temporalio

from replaytool.engines import Code, CodeSpec, Options, load_code
from replaytool.model.verdict import CallSite, Verdict
from tests.support.histories import expectations, recorded, replay
from tests.support.paths import FIXTURES

pytestmark = pytest.mark.oldest
# A key that opens nothing is no fault of the code's: the SDK fails the task, and nothing was compared.
_UNDECIDED = {("encrypted_payloads", "changed_wrong_key.py")}
# Where the code is while it loops is seen from outside, at any line of the loop.
_LOOPS = {("stuck_on_timeout", "builds/broken.py")}
# What a release of the SDK's before this one does otherwise: it refuses the code, or its instance acts otherwise.
_SINCE = {
    ("dynamic_workflow", "workflow.py"): (1, 21),  # dynamic activities with the Sequence of collections.abc
    ("timers", "workflow.py"): (1, 24),  # a sleep that is cancelled cancels its timer
    ("timers", "changed_duration.py"): (1, 24),
}
# Before this one the SDK's replayer passes it, and only our own matching tells.
_CONFIRMED_SINCE = {("nexus_sync_operation", "changed_operation_renamed.py"): (1, 35)}
_RELEASE = tuple(int(part) for part in temporalio.__version__.split(".")[:2])
_ANY = (0, 0)
_NEEDS = {"encrypted_payloads": "cryptography", "pydantic_payloads": "pydantic"}


def cases() -> Iterator[Any]:
    for folder in sorted(path.parent for path in FIXTURES.glob("*/verdict.json")):
        for code in expectations(folder.name)["expect"]:
            for sandbox in ("per-run", "off"):
                marks = [pytest.mark.sampled(3)] if sandbox == "per-run" else []
                yield pytest.param(folder.name, code, sandbox, id=f"{folder.name}-{code}-{sandbox}", marks=marks)


def expected_of(expect: dict[str, Any], history: str) -> dict[str, Any]:
    return dict(expect.get("histories", {}).get(history) or expect)


@cache
def code_of(case: str, file: str) -> Code:
    converter = expectations(case)["converter"]
    name = f"{file}:{converter.partition(':')[2]}" if converter else None
    return load_code(CodeSpec((file,), converter=name, folder=str(FIXTURES / case)))


@pytest.mark.parametrize(("case", "code", "sandbox"), list(cases()))
def test_the_verdict_is_the_stated_one(case: str, code: str, sandbox: str) -> None:
    needed = _NEEDS.get(case)
    if needed and importlib.util.find_spec(needed) is None:
        pytest.skip(f"{needed} is not installed")
    if _SINCE.get((case, code), _ANY) > _RELEASE:
        pytest.skip(f"temporalio {temporalio.__version__} does otherwise here")
    stated = expectations(case)
    loaded = code_of(case, code)
    for history in stated["recorded_by"]:
        verdict = replay(recorded(case, history), loaded, Options(sandbox=sandbox))
        told = f"{history}: {verdict.verdict}: {verdict.reason}"
        expected = expected_of(stated["expect"][code], history)
        if (case, code) in _UNDECIDED:
            expected = {"verdict": "unverified"}
        assert verdict.verdict == expected["verdict"], told
        if _CONFIRMED_SINCE.get((case, code), _ANY) > _RELEASE:
            expected |= {"sdk": "ok"}
        agrees(verdict, expected, told, exact=(case, code) not in _LOOPS)


def agrees(verdict: Verdict, expected: dict[str, Any], told: str, *, exact: bool) -> None:
    found = verdict.divergence or verdict.failure or (verdict.drift[0] if verdict.drift else None)
    event_id, line = expected.get("event_id"), expected.get("line")
    if event_id is not None:
        assert found is not None, told
        assert found.event_id == event_id, told
    if line is not None:
        assert isinstance(verdict.call_site, CallSite), told
        assert abs(verdict.call_site.line - line) <= (0 if exact else 1), told
    if differs := expected.get("differs"):
        assert {one.path.partition("[")[0].partition(".")[0] for one in verdict.drift} >= {differs}, told
    if expected["verdict"] == "diverged" and expected.get("sdk") == "nondeterminism":
        assert verdict.confirmed_by == "sdk", told


def test_there_is_something_to_check() -> None:
    assert len(list(cases())) > 200


def test_all_code_of_a_folder_at_once_decides_nothing() -> None:
    code = load_code(CodeSpec((str(FIXTURES / "activities_in_sequence"),)))
    verdict = replay(recorded("activities_in_sequence"), code)
    assert verdict.verdict == "unverified"
    assert "'Order' is defined more than once" in verdict.reason
