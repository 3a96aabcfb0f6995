"""Whole verdicts: what a person is told by this engine is, word by word, what the SDK's replayer would have led to."""

from __future__ import annotations

import dataclasses
import importlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType

from benchmarks.replayable_histories import WORKFLOWS, history
from replaytool.engines.temporal.events.decoding import RECORDS
from replaytool.engines.temporal.replay import direct
from replaytool.engines.temporal.replay import sdk_replayer as sdk
from replaytool.engines.temporal.replay.verdicts import refuse_missing_code
from replaytool.model.history import Event
from replaytool.replay.code.code_spec import CodeSpec
from replaytool.replay.code.user_code import Code
from replaytool.replay.options import Options
from tests.engines.temporal.oracle import quiet_process, run_of
from tests.support.paths import FIXTURES

CASES = sorted(path.parent for path in FIXTURES.glob("*/verdict.json"))


@pytest.fixture(autouse=True, scope="module")
def _quiet() -> None:
    quiet_process()


def code_of(place: Path, name: str, source: Path, converter: str | None) -> Code:
    shutil.copy(source, place / f"{name}.py")
    importlib.invalidate_caches()
    module = importlib.import_module(name)
    types = [one for one in vars(module).values() if isinstance(one, type) and _DEFINITION in vars(one)]
    named = {vars(one)[_DEFINITION].name: one for one in types}
    dynamic = named.pop(None, None)
    settings: dict[str, Any] = {"data_converter": getattr(module, converter.split(":")[1])} if converter else {}
    return Code(CodeSpec((name,)), named, dynamic, settings, roots=(str(place),))


_DEFINITION = "__temporal_workflow_definition"


@pytest.mark.sampled(3)
@pytest.mark.parametrize("sandbox", ["off", "shared"])
@pytest.mark.parametrize("folder", CASES, ids=lambda path: path.name)
def test_verdicts_are_equal(folder: Path, sandbox: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cryptography") if folder.name == "encrypted_payloads" else None
    monkeypatch.syspath_prepend(str(tmp_path))
    said = json.loads((folder / "verdict.json").read_text())
    for number, name in enumerate(said["expect"]):
        code = code_of(tmp_path, f"{folder.name}_{sandbox}_{number}", folder / name, said["converter"])
        for file, one in said["recorded_by"].items():
            run = dataclasses.replace(run_of((folder / file).read_text()), workflow_id=one["workflow_id"])
            ours = direct.replay_directly(run, code, Options(sandbox=sandbox))
            theirs = sdk.run_sdk_replayer(run, code, Options(sandbox="off" if sandbox == "off" else "per-run"))
            assert not isinstance(ours, direct.HandOver)
            hazards = () if ours.verdict == "ok" else theirs.hazards
            assert ours == dataclasses.replace(theirs, engine="direct", seconds=ours.seconds, hazards=hazards), name


# The reader of targets takes an event without any for a command; until it does not, these two are left out.
_UNREAD = {f"EVENT_TYPE_{one}_EXTERNAL_WORKFLOW_EXECUTION_INITIATED" for one in ("SIGNAL", "REQUEST_CANCEL")}
_TYPES = sorted(set(EventType.keys()) - {"EVENT_TYPE_UNSPECIFIED"} - _UNREAD)


def _pascal(name: str) -> str:
    return "".join(word.title() for word in name.removeprefix("EVENT_TYPE_").split("_"))


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", _TYPES)
def test_no_event_type_makes_it_raise(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    source = tmp_path / "source.py"
    source.write_text(WORKFLOWS)
    code = code_of(tmp_path, f"any_{name.lower()}", source, None)
    run = run_of(history("Steps", 2))
    kind = _pascal(name)
    key = kind[0].lower() + kind[1:] + "EventAttributes"
    contents: tuple[dict[str, Any], ...] = ({}, {key: {}})
    for content in contents:
        odd = Event(5, kind, None, None, json.dumps({"eventId": "5", "eventType": name, **content}).encode())
        later = [moved(one) for one in run.events[4:]]
        found = direct.replay_directly(
            dataclasses.replace(run, events=[*run.events[:4], odd, *later], workflow_id="any"),
            code,
            Options(sandbox="off"),
        )
        assert isinstance(found, direct.HandOver) == (kind not in RECORDS)


def moved(event: Event) -> Event:
    """The same event one place later."""
    return Event(event.event_id + 1, event.event_type, event.event_time, event.build_id, event.raw)


_RUN = run_of(history("Steps", 1))


def test_a_workflow_under_another_name_fails_and_its_class_is_named() -> None:
    class OrderFlow:
        pass

    code = Code(CodeSpec(("shop",)), {"OrderFlow2": OrderFlow, "Other": type("Other", (), {})})
    for workflow_type in ("OrderFlow", "order_flow"):
        found = refuse_missing_code(dataclasses.replace(_RUN, workflow_type=workflow_type), code, "direct")
        assert found is not None
        assert found.verdict == "failed"
        assert "class OrderFlow is registered as 'OrderFlow2'" in found.reason
        assert found.call_site is not None
        assert found.call_site.file.endswith("test_verdicts.py")
    unknown = refuse_missing_code(dataclasses.replace(_RUN, workflow_type="Nobody"), code, "direct")
    assert unknown is not None
    assert unknown.verdict == "unverified"
    assert refuse_missing_code(dataclasses.replace(_RUN, workflow_type="Other"), code, "direct") is None
