"""A result that does not decode: the user's await, the event, whose result it is and the field, with one cause."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from replaytool.check.causes import find_causes
from replaytool.engines import Code, CodeSpec, load_code
from replaytool.model.history import Run
from replaytool.model.verdict import CheckedRun, Failure, Subject, Verdict
from tests.support.histories import bent, events, replay
from tests.support.paths import FIXTURES

ORDER, SHOP, NOTIFY = "activities_in_sequence", "child_completed", "activities_gathered"
CHARGED, DELIVERED = 13, 10
DATACLASS = (
    "@dataclass\nclass Money:\n    cents: int\n\n\n@dataclass\nclass Receipt:\n    number: str\n    total: Money\n"
)
MODEL = "class Money(BaseModel):\n    cents: int\n\n\nclass Receipt(BaseModel):\n    number: str\n    total: Money\n"
TOPS = {
    "dataclass": f"from dataclasses import dataclass\n\n\n{DATACLASS}",
    "pydantic": f"with workflow.unsafe.imports_passed_through():\n    from pydantic import BaseModel\n\n\n{MODEL}",
}
SETTINGS = """

def settings():
    from temporalio.contrib.pydantic import pydantic_data_converter

    return {"data_converter": pydantic_data_converter}
"""
_counter = iter(range(1000))


@pytest.fixture(autouse=True)
def no_left_modules() -> Iterator[None]:
    yield
    for name in [one for one in sys.modules if one.startswith("receipts_")]:
        del sys.modules[name]


def code_of(folder: Path, case: str, converter: str, *changes: tuple[str, str]) -> Code:
    source = (FIXTURES / case / "workflow.py").read_text()
    for old, new in changes:
        assert old in source
        source = source.replace(old, new)
    at = source.index("\n@", source.index("temporalio import"))
    name = f"receipts_{next(_counter)}"
    file = folder / f"{name}.py"
    file.write_text(source[:at] + "\n" + TOPS[converter] + source[at:] + SETTINGS * (converter == "pydantic"))
    return load_code(
        CodeSpec((str(file),), f"{name}:settings" if converter == "pydantic" else None, folder=str(folder))
    )


def run_with(case: str, event_id: int, value: object, file: str = "history.json") -> Run:
    listed = events(case, file)
    attributes = next(one for key, one in listed[event_id - 1].items() if key.endswith("Attributes"))
    payload = (attributes.get("result") or attributes["input"])["payloads"][0]
    payload["data"] = base64.b64encode(json.dumps(value).encode()).decode()
    return bent(listed)


def failure_of(verdict: Verdict) -> tuple[Failure, str]:
    """The failure, and the source of the line that it names."""
    assert verdict.verdict == "failed", verdict.reason
    assert verdict.failure is not None
    site = verdict.failure.call_site
    assert site is not None
    return verdict.failure, Path(site.file).read_text().splitlines()[site.line - 1].strip()


CHARGE = ("charge_card(cents: int) -> str", "charge_card(cents: int) -> Receipt")


@pytest.mark.parametrize("engine", ["direct", "sdk"])
@pytest.mark.parametrize(
    ("converter", "value", "told"),
    [
        ("dataclass", {"number": "a1"}, "field total: missing"),
        (
            "dataclass",
            {"number": "a1", "total": {"cents": "secret"}},
            "field total.cents: Expected value to be int|float",
        ),
        ("pydantic", {"number": "a1"}, "field total: Field required"),
        (
            "pydantic",
            {"number": "a1", "total": {"cents": "secret"}},
            "field total.cents: Input should be a valid integer",
        ),
    ],
)
def test_the_await_the_event_the_activity_and_the_field_are_named(
    tmp_path: Path, converter: str, value: object, told: str, engine: str
) -> None:
    verdict = replay(run_with(ORDER, CHARGED, value), code_of(tmp_path, ORDER, converter, CHARGE), engine=engine)
    failure, line = failure_of(verdict)
    assert line.startswith("charged = await workflow.execute_activity(charge_card")
    assert failure.message.startswith(f"the result of activity 'charge_card' (event {CHARGED}) does not decode: {told}")
    assert "secret" not in failure.message
    assert "site-packages" not in verdict.reason


def test_other_values_and_events_have_one_cause(tmp_path: Path) -> None:
    code = code_of(tmp_path, ORDER, "pydantic", CHARGE)
    checked = []
    for number, value in enumerate(("a", "bc", "7up")):
        run = run_with(ORDER, CHARGED, {"number": value, "total": {"cents": value}})
        verdict = replay(run, code, engine="direct")
        checked.append(CheckedRun(Subject(str(number), workflow_type="Order"), verdict))
    (cause,) = find_causes(checked)
    assert cause.runs == 3


def test_a_childs_result(tmp_path: Path) -> None:
    old = "(self, street: str) -> str:\n        await"
    code = code_of(tmp_path, SHOP, "dataclass", (old, old.replace("-> str", "-> Receipt")))
    failure, line = failure_of(
        replay(run_with(SHOP, DELIVERED, {"number": "a1"}, "history-parent.json"), code, engine="direct")
    )
    assert line.startswith("return await workflow.execute_child_workflow")
    told = f"the result of child workflow 'Delivery' (event {DELIVERED}) does not decode: field total: missing"
    assert failure.message == told


def test_gathered_activities_name_their_own_line(tmp_path: Path) -> None:
    code = code_of(tmp_path, NOTIFY, "dataclass", ("result_type=str", "result_type=Receipt"))
    failure, line = failure_of(replay(run_with(NOTIFY, 9, {"number": "a1"}), code, engine="direct"))
    assert line.startswith("return await workflow.execute_activity(")
    assert failure.message.startswith("the result of activity 'send_push' (event 9) does not decode: field total")


def test_an_input_names_the_workflow(tmp_path: Path) -> None:
    old = "(self, street: str) -> str:\n        await"
    code = code_of(tmp_path, SHOP, "pydantic", (old, old.replace("street: str", "street: Receipt")))
    failure, line = failure_of(replay(run_with(SHOP, 1, {"number": "a1"}, "history-child.json"), code, engine="direct"))
    assert line in ("@workflow.run", "async def run(self, street: Receipt) -> str:")
    assert failure.message == "the workflow's input (event 1) does not decode: field total: Field required"
