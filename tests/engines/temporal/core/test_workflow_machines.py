"""Activation by activation: what we send is what the SDK's Replayer sends, for every prefix of every fixture."""

from __future__ import annotations

import importlib.util
import json
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from temporalio.converter import DataConverter

from replaytool.engines.temporal.core.history_batches import find_malformation
from tests.engines.temporal.oracle import Bench, cut, difference, quiet_process, run_of
from tests.support.paths import FIXTURES

pytestmark = pytest.mark.slow

CASES = sorted(path.parent for path in FIXTURES.glob("*/verdict.json"))
LONGEST = 400
EACH = 80
"""Every prefix up to this length is tried, and of the longer ones each seventh and the last."""
STEP = 7


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> None:
    quiet_process()


@cache
def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def bench_of(path: Path, converter: str | None) -> Bench:
    module = loaded(path)
    types = [one for one in vars(module).values() if isinstance(one, type) and _DEFINITION in vars(one)]
    return Bench(types, getattr(module, converter.split(":")[1]) if converter else DataConverter.default)


_DEFINITION = "__temporal_workflow_definition"


def said_of(folder: Path) -> Any:
    return json.loads((folder / "verdict.json").read_text())


def check(bench: Bench, cases: list[tuple[str, str, str]]) -> list[str]:
    """Compare named (workflow id, JSON) pairs; the malformed ones, on which the Replayer hangs, are left out."""
    runs = [(name, workflow_id, text, run_of(text)) for name, workflow_id, text in cases]
    able = [one for one in runs if find_malformation(one[3].events) is None]
    worker = bench.worker()
    ours = [bench.by_direct(worker, run.events, workflow_id) for _, workflow_id, _, run in able]
    theirs = bench.by_sdk([(workflow_id, text) for _, workflow_id, text, _ in able])
    found = [(one[0], difference(*pair)) for one, pair in zip(able, zip(theirs, ours, strict=True), strict=True)]
    return [f"{name}: {text}" for name, text in found if text is not None]


@pytest.mark.sampled(4)
@pytest.mark.parametrize("folder", CASES, ids=lambda path: path.name)
def test_every_prefix_is_replayed_alike(folder: Path) -> None:
    pytest.importorskip("cryptography") if folder.name == "encrypted_payloads" else None
    said = said_of(folder)
    cases = []
    for name, run in said["recorded_by"].items():
        text = (folder / name).read_text()
        size = len(json.loads(text)["events"])
        last = min(size, LONGEST)
        for end in sorted({*range(2, min(last, EACH) + 1), *range(EACH, last + 1, STEP), last}):
            cases.append((f"{name} up to {end}", run["workflow_id"], cut(text, end)))
    assert check(bench_of(folder / "workflow.py", said["converter"]), cases) == []


@pytest.mark.parametrize("folder", CASES, ids=lambda path: path.name)
def test_changed_code_is_judged_alike(folder: Path) -> None:
    pytest.importorskip("cryptography") if folder.name == "encrypted_payloads" else None
    said = said_of(folder)
    histories = [(name, run["workflow_id"], (folder / name).read_text()) for name, run in said["recorded_by"].items()]
    found = []
    for code in said["expect"]:
        if "stuck_on_timeout" not in str(folder):  # what the SDK breaks off after two seconds it does not record
            found += check(bench_of(folder / code, said["converter"]), histories)
    assert found == []
