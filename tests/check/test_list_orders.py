"""The order of a list that the code makes from a set of strings hangs on PYTHONHASHSEED, and is no drift."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from replaytool.check.list_orders import find_other_orders, settle_list_orders
from replaytool.model.verdict import Drift, Verdict
from replaytool.workers.pool import WorkItem
from tests.conftest import Call
from tests.support.histories import events, recorded
from tests.support.paths import FIXTURES

CASE = "activities_in_sequence"
SENDS = "workflow.execute_activity(send_parcel, item, start_to_close_timeout=SHORT)"
NAMES = ("find_order", "cancel_order", "refund_order", "ask_a_person")


def check_input(call: Call, tmp_path: Path, made: str, members: Sequence[str]) -> tuple[str, list[str], list[str]]:
    """The verdict, the places of drift and the notes of code that sends `made` where the history has `members`."""
    source = (FIXTURES / CASE / "workflow.py").read_text()
    assert SENDS in source
    (tmp_path / "order.py").write_text(source.replace(SENDS, SENDS.replace("item", made)))
    listed = events(CASE)
    payload = listed[16]["activityTaskScheduledEventAttributes"]["input"]["payloads"][0]
    payload["data"] = base64.b64encode(json.dumps(list(members)).encode()).decode()
    (tmp_path / "history.json").write_text(json.dumps({"events": listed}))
    told = call("check", "history.json", "-w", "order.py", "-j", "1", "--format", "json")
    (run,) = told.json["runs"]
    return run["verdict"], [one["path"] for one in run["drift"]], run["notes"]


@pytest.mark.parametrize("recorded", [NAMES, NAMES[::-1], (*NAMES[1:], NAMES[0])])
def test_the_order_of_a_set_is_not_compared(call: Call, tmp_path: Path, recorded: Sequence[str]) -> None:
    assert check_input(call, tmp_path, f"list(set({NAMES}))", recorded)[:2] == ("ok", [])


def test_a_note_names_the_list(call: Call, tmp_path: Path) -> None:
    notes = [check_input(call, tmp_path, f"list(set({NAMES}))", one)[2] for one in (NAMES, NAMES[::-1])]
    (note,) = notes[0] or notes[1]
    assert note == "1 list has another order under another PYTHONHASHSEED, first input[0] at event 17: not compared"


def test_an_order_that_the_code_fixes_is_compared(call: Call, tmp_path: Path) -> None:
    verdict, paths, notes = check_input(call, tmp_path, f"sorted({NAMES})", sorted(NAMES, reverse=True))
    assert (verdict, notes) == ("drift", [])
    assert paths


def test_another_member_of_a_set_is_drift(call: Call, tmp_path: Path) -> None:
    assert check_input(call, tmp_path, f"list(set({NAMES[:3]}))", NAMES)[0] == "drift"
    assert check_input(call, tmp_path, f"list({{*{NAMES}, 'buy'}})", NAMES)[0] == "drift"


SWAPPED = (Drift(5, "input[0][0]", "a", "b"), Drift(5, "input[0][1]", "b", "a"))
OTHER = Drift(5, "startToCloseTimeout", "1s", "2s")


def settle(first: Verdict, *others: Verdict) -> Verdict:
    """The verdict after replays with other hash seeds, which end so; the last one is how all further ones end."""
    left, verdicts = list(others), {"r": first}

    def again(works: Sequence[WorkItem], seed: str) -> dict[str, Verdict]:
        return {"r": left.pop(0) if len(left) > 1 else left[0]}

    settle_list_orders([WorkItem("r", recorded(CASE), 1, lambda: b"")], verdicts, again)
    return verdicts["r"]


def test_drift_beside_the_order_stays() -> None:
    first = Verdict("drift", "stuck: x; same commands, different input, startToCloseTimeout", drift=(*SWAPPED, OTHER))
    found = settle(first, first, Verdict("drift", drift=(OTHER,)))
    assert (found.verdict, found.drift) == ("drift", (OTHER,))
    assert found.reason == "stuck: x; same commands, different startToCloseTimeout"


def test_an_order_that_no_seed_changes_is_drift() -> None:
    first = Verdict("drift", "same commands, different input", drift=SWAPPED)
    assert settle(first, first) == first
    assert settle(first, Verdict("crashed")) == first


def test_an_order_that_decides_the_commands_is_diverged() -> None:
    found = settle(Verdict("drift", "same commands, different input", drift=SWAPPED), Verdict("diverged", "event 5"))
    assert found.verdict == "diverged"
    assert found.reason.startswith("unstable")


def test_only_strings_in_another_order_count() -> None:
    assert find_other_orders(Verdict("drift", drift=SWAPPED))
    assert not find_other_orders(Verdict("drift", drift=SWAPPED[:1]))
    assert not find_other_orders(Verdict("drift", drift=(Drift(5, "input[0]", 1, 2), Drift(5, "input[1]", 2, 1))))
    assert not find_other_orders(Verdict("drift", drift=SWAPPED * 50))  # cut: there may be more
