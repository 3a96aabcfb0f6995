"""Matching of tapes on bent histories: where it must agree with the SDK's replayer, and where it finds more."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
from temporalio.bridge.proto.workflow_commands import StartTimer, WorkflowCommand

from replaytool.engines import Code, CodeSpec, Options, load_code
from replaytool.engines.temporal.replay import sdk_replayer as sdk
from replaytool.engines.temporal.replay.findings import Findings, match_tape
from replaytool.engines.temporal.replay.recorded_commands import RecordedHistory
from replaytool.engines.temporal.replay.verdicts import ReplayCase, judge_replay
from replaytool.engines.temporal.sdk.recorder import RecordedActivation
from replaytool.model.verdict import Verdict
from tests.support.histories import bent, events, expectations, replay, run_of
from tests.support.paths import FIXTURES

QUICK = Options(sandbox="off", watch=False, guard=False)
Listed = list[dict[str, Any]]


@cache
def code_of(case: str, file: str = "workflow.py") -> Code:
    return load_code(CodeSpec((file,), folder=str(FIXTURES / case)))


def attributes(event: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = next(value for key, value in event.items() if key.endswith("EventAttributes"))
    return found


def of_type(listed: Listed, name: str) -> list[int]:
    return [index for index, event in enumerate(listed) if event["eventType"] == f"EVENT_TYPE_{name}"]


def without_flags(listed: Listed) -> Listed:
    for index in of_type(listed, "WORKFLOW_TASK_COMPLETED"):
        attributes(listed[index]).get("sdkMetadata", {}).pop("coreUsedFlags", None)
    return listed


def numbered(listed: Listed) -> Listed:
    for number, event in enumerate(listed, 1):
        event["eventId"] = str(number)
    return listed


def replayed(case: str, file: str, listed: Listed, workflow_id: str = "w") -> Verdict:
    run = run_of(json.dumps({"events": listed}).encode(), workflow_id)
    return replay(run, code_of(case, file), QUICK)


def test_a_blind_record_is_compared_all_the_same() -> None:
    verdict = replayed(
        "activities_in_sequence", "changed_activity_renamed.py", without_flags(events("activities_in_sequence"))
    )
    assert verdict.verdict == "diverged"
    assert "no SDK flags" in verdict.reason
    assert verdict.confirmed_by is None
    assert verdict.divergence is not None
    assert verdict.divergence.event_id == 11
    assert verdict.divergence.differing == ("activityType",)


def test_a_blind_record_says_so_though_nothing_differs() -> None:
    verdict = replayed("activities_in_sequence", "workflow.py", without_flags(events("activities_in_sequence")))
    assert verdict.verdict == "ok"
    assert any("no SDK flags" in note for note in verdict.notes)


def test_a_command_too_many_in_an_open_run_is_told() -> None:
    """A worker sends it with its next task and goes on: `tests/drills/takeover_drill.py` has tried it."""
    listed = events("activities_in_sequence")[:7]
    assert replayed("activities_in_sequence", "workflow.py", listed).verdict == "ok"
    gathered = events("activities_gathered")
    first = of_type(gathered, "ACTIVITY_TASK_SCHEDULED")
    shorter = numbered(gathered[: first[-1]])
    verdict = replayed("activities_gathered", "workflow.py", shorter)
    assert verdict.verdict == "drift"
    assert "passes it" in verdict.reason
    assert verdict.divergence is None
    assert {(one.path, one.recorded) for one in verdict.drift} == {("command", None)}
    assert verdict.call_site is not None


@pytest.mark.parametrize("engine", ["sdk", "direct"])
def test_a_cancelled_child_without_its_event_is_told(engine: str) -> None:
    """The request to cancel a child comes from sdk-core, but it is the code that asked for it."""
    file = "history-wait-cancellation-completed.json"
    listed = events("child_cancelled", file)
    requested = of_type(listed, "REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED")[0]
    run = run_of(json.dumps({"events": listed[:requested]}).encode(), "shop-wait-cancellation-completed")
    verdict = replay(run, code_of("child_cancelled"), QUICK, engine)
    assert verdict.verdict == "drift"
    assert [str(one.produced).startswith("cancel of workflow") for one in verdict.drift] == [True], verdict.drift


def test_commands_behind_the_end_come_in_the_order_of_issue() -> None:
    """A task may have several activations: what is cancelled before it is sent resolves in the next one."""
    timers = [WorkflowCommand(start_timer=StartTimer(seq=number)) for number in (1, 2, 3)]
    tape = [RecordedActivation(3, False, "", (), commands, [None] * len(commands), done=True)
            for commands in (timers[:2], timers[2:])]  # fmt: skip
    found = match_tape(RecordedHistory(bent(events("timers")[:3])), tape)
    assert [one.name for one in found.next] == ["1", "2", "3"]
    assert found.leftovers == []


def test_what_agreed_before_is_told() -> None:
    verdict = replayed("activities_in_sequence", "changed_early_return.py", events("activities_in_sequence"))
    divergence = verdict.divergence
    assert divergence is not None
    assert [pair.expected.event_id for pair in divergence.before] == [5, 11]
    assert divergence.last_matched_event_id == 11
    assert divergence.expected is not None
    assert (divergence.expected.kind, divergence.expected.name) == ("activity", "send_parcel")
    assert divergence.expected.fields["input"] == divergence.before[0].expected.fields["input"][:1]
    assert divergence.actual is not None
    assert divergence.actual.kind == "complete"


def test_at_most_five_pairs_are_kept() -> None:
    verdict = replayed("loop_of_activities", "changed_loop_bound_lower.py", events("loop_of_activities"))
    assert verdict.divergence is not None
    assert len(verdict.divergence.before) == 5


def test_a_timer_is_known_by_its_id_when_it_fires() -> None:
    listed = events("timers")
    fired = of_type(listed, "TIMER_FIRED")[0]
    attributes(listed[fired])["timerId"] = "77"
    verdict = replayed("timers", "workflow.py", listed)
    assert verdict.verdict == "diverged"
    assert verdict.divergence is not None
    assert verdict.divergence.event_id == fired + 1
    assert verdict.divergence.differing == ("timerId",)


def test_steps_come_on_request_with_their_matches() -> None:
    run = bent(events("activities_in_sequence"))
    verdict = replay(run, code_of("activities_in_sequence"), Options(sandbox="off", steps=True))
    assert [step.event_id for step in verdict.steps] == [3, 9, 15, 21]
    assert [job.kind for job in verdict.steps[1].jobs] == ["resolve_activity"]
    assert verdict.steps[1].jobs[0].name == "reserve_stock"
    assert [pair.expected.event_id for step in verdict.steps for pair in step.matched] == [5, 11, 17, 23]
    assert replay(run, code_of("activities_in_sequence"), QUICK).steps == ()


def test_state_comes_on_request() -> None:
    def snapshot(workflow: Any) -> dict[str, Any]:
        return copy.deepcopy(vars(workflow))

    options = Options(snapshot=snapshot)
    verdict = replay(
        bent(events("signals")), load_code(CodeSpec(("workflow.py",), folder=str(FIXTURES / "signals"))), options
    )
    states = [step.state for step in verdict.steps]
    assert states[0] != states[-1]
    assert states[-1] is not None
    assert states[-1]["closed"] is True


def test_an_event_that_only_the_sdk_can_read_is_matched_as_the_sdk_reads_it() -> None:
    listed = events("activities_in_sequence")
    attributes(listed[0])["identity"] = None
    verdict = replay(bent(listed), code_of("activities_in_sequence"), Options(sandbox="off", steps=True))
    assert [pair.expected.event_id for step in verdict.steps for pair in step.matched] == [5, 11, 17, 23]


Bend = Callable[[Listed, random.Random], Listed]
_COMMANDS = ("ACTIVITY_TASK_SCHEDULED", "TIMER_STARTED", "MARKER_RECORDED", "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES")


def _doubled(listed: Listed, rng: random.Random) -> Listed:
    index = rng.choice([one for name in _COMMANDS for one in of_type(listed, name)] or [0])
    return listed if not index else [*listed[:index], copy.deepcopy(listed[index]), *listed[index:]]


def _renamed(listed: Listed, rng: random.Random) -> Listed:
    for index in of_type(listed, "ACTIVITY_TASK_SCHEDULED")[:1]:
        attributes(listed[index])["activityType"]["name"] = "another"
    return listed


def _cut(listed: Listed, rng: random.Random) -> Listed:
    return listed[: rng.randrange(2, len(listed) + 1)]


BENDS: dict[str, Bend] = {
    "doubled": _doubled,
    "renamed": _renamed,
    "cut": _cut,
    "blind": lambda listed, rng: _renamed(without_flags(listed), rng),
}
CASES = (
    "activities_in_sequence", "activities_gathered", "timers", "patches", "local_activities", "updates", "signals",
    "child_completed", "activity_cancellation", "search_attributes_and_memo", "timer_races_signal", "first_completed",
)  # fmt: skip


@pytest.mark.sampled(3)
@pytest.mark.parametrize("bend", BENDS)
@pytest.mark.parametrize("case", CASES)
def test_it_agrees_with_the_sdk_on_bent_histories(case: str, bend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not strictly, it finds what the SDK finds, at the same event."""
    seen: list[tuple[ReplayCase, Findings]] = []

    def watched(known: ReplayCase) -> Verdict:
        seen.append((known, match_tape(known.record, known.tape.activations, strict=False)))
        return judge_replay(known)

    monkeypatch.setattr(sdk, "judge_replay", watched)
    stated = expectations(case)
    for file, meta in stated["recorded_by"].items():
        for code in stated["expect"]:
            listed = numbered(BENDS[bend](events(case, file), random.Random(f"{case} {code} {file}")))
            replayed(case, code, listed, meta["workflow_id"])
    assert seen
    for known, found in seen:
        if known.outcome.word == "nondeterminism" and "could not find a matching" not in known.outcome.message:
            assert found.mismatch is not None, known.outcome
            assert found.mismatch.expected.event_id == known.outcome.event_id, known.outcome
        elif known.outcome.word == "ok" and known.tape.broken_activation is None:
            assert found.mismatch is None, found.mismatch
