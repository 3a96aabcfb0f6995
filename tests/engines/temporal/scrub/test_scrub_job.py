from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from replaytool.engines import CodeSpec, load_code
from replaytool.engines.temporal.events.payloads import is_payload, payload_from_json
from replaytool.model.verdict import Verdict
from tests.conftest import Call
from tests.corpus.sleeper_run import history
from tests.drills.mutants.changing_kinds import CHANGING, LATENT
from tests.drills.mutants.operators import mutants
from tests.support.histories import recorded, replay, run_of
from tests.support.paths import FIXTURES

pytestmark = pytest.mark.slow

CASES = ("agent_anthropic", "agent_openai", "saga_with_compensation")


def scrubbed(call: Call, case: str, *more: str, file: str = "history.json") -> Any:
    """What became of one fixture; the key is the same each time."""
    code = FIXTURES / case / "workflow.py"
    result = call("scrub", FIXTURES / case / file, "-w", code, "-o", "out", "--key", "k", "--json", *more)
    assert result.code == 0, result.out + result.err
    return result.json["histories"][0]


def leaves(value: Any, inside: bool = False) -> Iterator[str]:
    """Texts that users said: in payloads, also in JSON in JSON, and messages of failures."""
    if is_payload(value):
        payload = payload_from_json(value)
        if payload.encoding_name == "json/plain":
            yield from leaves(json.loads(payload.data), True)
    elif isinstance(value, dict):
        for key, one in value.items():
            if key == "message" and isinstance(one, str) and not inside:
                yield one
            yield from leaves(one, inside)
    elif isinstance(value, list):
        for one in value:
            yield from leaves(one, inside)
    elif isinstance(value, str) and inside:
        try:
            yield from leaves(json.loads(value), True)
        except ValueError:
            yield value


@pytest.mark.parametrize("case", CASES)
def test_no_original_text_is_left_but_what_is_named(call: Call, case: str) -> None:
    found = scrubbed(call, case)
    before = json.loads((FIXTURES / case / "history.json").read_text())
    after = json.loads(Path(found["file"]).read_text())
    left = {one for one in leaves(after) if len(one) > 4} & {one for one in leaves(before) if len(one) > 4}
    code = (FIXTURES / case / "workflow.py").read_text()
    sdk = {"Activity task failed"}
    assert all(f'"{one}"' in code or one in sdk for one in left), "only what the code itself says is left"
    assert bool(left) == bool(found["kept"])
    text = Path(found["file"]).read_text()
    assert "recorder@fixtures" not in text


@pytest.mark.parametrize("case", CASES)
def test_flags_ids_and_events_are_as_they_were(call: Call, case: str) -> None:
    found = scrubbed(call, case)
    before = json.loads((FIXTURES / case / "history.json").read_text())["events"]
    after = json.loads(Path(found["file"]).read_text())["events"]
    assert [one["eventType"] for one in after] == [one["eventType"] for one in before]
    for one, other in zip(before, after, strict=True):
        for key in ("eventId", "eventTime", "taskId"):
            assert one[key] == other[key]
        held = one.get("workflowTaskCompletedEventAttributes", {})
        assert held.get("sdkMetadata") == other.get("workflowTaskCompletedEventAttributes", {}).get("sdkMetadata")


@pytest.mark.parametrize("case", [CASES[2], *(pytest.param(one, marks=pytest.mark.drill) for one in CASES[:2])])
def test_verdicts_of_edited_code_are_the_same(call: Call, tmp_path: Path, case: str) -> None:
    """Of the good code and of twenty edits of it, from all that there are."""
    runs = [recorded(case), run_of(Path(scrubbed(call, case)["file"]).read_bytes())]
    source = (FIXTURES / case / "workflow.py").read_text()
    edits = [one for one in mutants(case, source, CHANGING) if one.kind not in LATENT]
    chosen = edits[:: len(edits) // 20][:20]
    assert len(chosen) == 20
    told = set()
    for number, text in enumerate([source, *(one.text for one in chosen)]):
        file = tmp_path / f"edit_{case}_{number}.py"
        file.write_text(text)
        code = load_code(CodeSpec((str(file),)))
        before, after = (replay(run, code, engine="auto") for run in runs)
        assert _said(before) == _said(after), text
        told.add(before.verdict)
    assert {"ok", "diverged"} <= told


def _said(verdict: Verdict) -> tuple[object, ...]:
    place = verdict.divergence or verdict.failure
    return verdict.verdict, verdict.stuck, place and place.event_id, verdict.failure and verdict.failure.type


def test_what_the_code_decides_by_stays_and_is_named(call: Call) -> None:
    kept = {(one["field"], one["why"]) for one in scrubbed(call, "agent_anthropic")["kept"]}
    assert ("ActivityTaskCompleted.create_message.result.0.stop_reason", "the verdict depends on it") in kept
    (file,) = Path("out").iterdir()
    said = set(leaves(json.loads(file.read_text())))
    assert "tool_use" in said
    assert "end_turn" not in said, "the other value of that field decides nothing"


def test_one_key_gives_one_stand_in_in_all_files_and_another_key_another(call: Call) -> None:
    code = FIXTURES / "saga_with_compensation" / "workflow.py"
    given = ("scrub", FIXTURES / "saga_with_compensation" / "history.json", "-w", code, "--json", "-o")
    texts = []
    for folder, key in (("a", "one"), ("b", "one"), ("c", "two")):
        (found,) = call(*given, folder, "--key", key).json["histories"]
        texts.append(Path(found["file"]).read_text())
    assert texts[0] == texts[1] != texts[2]


def test_rules_choose_what_is_replaced(call: Call) -> None:
    found = scrubbed(call, "agent_anthropic", "--only", "key:city", "--only", "match:coat", "--keep", "path:*Failed*")
    said = set(leaves(json.loads(Path(found["file"]).read_text())))
    assert "Ghent" not in said
    assert "I look at the weather." in said
    assert any(one.startswith("Do I need a ") and one.endswith(" in Ghent?") and "coat" not in one for one in said)
    assert found["kept"] == []


@pytest.mark.parametrize("rule", ["city", "key:", "colour:red", "match:("])
def test_a_rule_that_is_none_is_refused(call: Call, rule: str) -> None:
    code = FIXTURES / "timers" / "workflow.py"
    assert call("scrub", FIXTURES / "timers" / "history.json", "-w", code, "--only", rule).code == 2


def test_ids_that_the_code_makes_of_values_follow_them(call: Call) -> None:
    (found,) = call(
        "scrub", FIXTURES / "loyalty" / "history-rider-05.json", "-w", FIXTURES / "loyalty" / "workflow.py",
        "-o", "out", "--key", "k", "--json",
    ).json["histories"]  # fmt: skip
    assert found["accepted"], found
    text = Path(found["file"]).read_text()
    assert "rider-05" not in text
    assert "rider-05" not in found["file"]
    result = call(
        "check", found["file"], "-w", FIXTURES / "loyalty" / "workflow.py", "--format", "json", "--engine", "sdk"
    )
    assert result.json["runs"][0]["verdict"] == found["verdict"]


def test_what_cannot_be_compared_is_not_written(call: Call, tmp_path: Path) -> None:
    case = FIXTURES / "encrypted_payloads"
    result = call("scrub", case / "history.json", "-w", case / "workflow.py", "-o", "out", "--key", "k")
    assert result.code == 1
    assert "not accepted" in result.out
    assert not (tmp_path / "out").exists()


def test_a_history_with_nothing_to_hide(call: Call, tmp_path: Path) -> None:
    (tmp_path / "sleeper.py").write_text(
        "from datetime import timedelta\nfrom temporalio import workflow\n\n@workflow.defn\nclass Sleeper:\n"
        "    @workflow.run\n    async def run(self, _: int) -> int:\n"
        "        await workflow.sleep(timedelta(seconds=1))\n        return 7\n"
    )
    (tmp_path / "history.json").write_bytes(history(3))
    (found,) = call("scrub", "history.json", "-w", "sleeper.py", "--key", "k", "--json").json["histories"]
    assert found["accepted"]
    assert [one["why"] for one in found["kept"]] == ["the code produces it"]
