"""What is advised is what the pattern calls for, and nothing where there is no pattern."""

from __future__ import annotations

import pytest

from replaytool.check.causes import find_causes
from replaytool.model.verdict import CallSite, CheckedRun, Command, Divergence, ExpectedEvent, Failure, Subject, Verdict
from replaytool.replay.compare.advice import DivergenceScene, advise_on_divergence, has_loop_over_set, source_of_site


def event(name: str, kind: str = "activity", event_id: int = 11) -> ExpectedEvent:
    return ExpectedEvent(event_id, "E", kind, name)


def command(name: str, kind: str = "activity") -> Command:
    return Command(kind, name)


@pytest.mark.parametrize(
    ("scene", "told"),
    [
        (DivergenceScene(event("p", "patch"), command("a")), "deprecate_patch('p')"),
        (DivergenceScene(event("a"), command("b"), (event("b"),), (command("a"),)), "another order"),
        (DivergenceScene(event("a"), command("b"), (event("b"),)), "The new code skips"),
        (DivergenceScene(event("charge"), command("debit")), "renamed"),
        (DivergenceScene(event("charge"), command("audit"), is_expected_called=True), "adds activity 'audit' here"),
        (DivergenceScene(event("a"), command("5", "timer"), (), (command("a"),)), "The new code adds"),
        (DivergenceScene(event("a"), command("", "complete")), "ends before the history does"),
        (DivergenceScene(event("", "complete"), command("", "fail")), "ends in another way"),
        (DivergenceScene(event("", "complete"), command("a")), "but the code continues"),
        (DivergenceScene(event("a"), None), "no longer asks"),
        (DivergenceScene(event("a"), command("b"), source="for x in {1, 2}: pass"), "iterates over a set"),
    ],
)
def test_known_patterns(scene: DivergenceScene, told: str) -> None:
    assert told in advise_on_divergence(scene)


def test_silence_is_better_than_a_guess() -> None:
    assert (
        advise_on_divergence(DivergenceScene(event("1", "timer"), command("w", "signal_workflow"), (), (command("x"),)))
        == ""
    )


@pytest.mark.parametrize(
    ("source", "is_set"),
    [
        ("names = {'a', 'b'}\nfor name in names: pass", True),
        ("[f(x) for x in frozenset(y)]", True),
        ("for x in {1: 2}: pass", False),
        ("for x in sorted(set(y)): pass", False),
        ("def broken(:", False),
    ],
)
def test_sets_are_known_from_the_text(source: str, is_set: bool) -> None:
    assert has_loop_over_set(source) is is_set


def test_the_source_is_that_of_the_function_and_of_those_that_wait() -> None:
    here = CallSite(__file__, test_silence_is_better_than_a_guess.__code__.co_firstlineno + 1, "f")
    text = source_of_site(CallSite(__file__, event.__code__.co_firstlineno + 1, "event", (here,)))
    assert "return Expected" in text
    assert "assert advise_on_divergence(" in text
    assert source_of_site(CallSite("nowhere.py", 3, "f")) == source_of_site(None) == ""


def test_equal_findings_are_one_cause_and_the_order_is_fixed() -> None:
    site = CallSite("wf.py", 3, "run")

    def diverged(key: str, event_id: int) -> CheckedRun:
        found = Divergence(event_id, event("a", event_id=event_id), command("b"), call_site=site)
        return CheckedRun(Subject(key, workflow_type="W"), Verdict("diverged", f"event {event_id}", divergence=found))

    failed = CheckedRun(
        Subject("x", workflow_type="W"), Verdict("failed", failure=Failure(1, "KeyError", "'order-17'", site))
    )
    again = CheckedRun(
        Subject("y", workflow_type="W"), Verdict("failed", failure=Failure(1, "KeyError", "'order-18'", site))
    )
    fine = CheckedRun(Subject("z"), Verdict("ok"))
    listed = [failed, diverged("k2", 11), fine, diverged("k1", 400), again, diverged("k3", 5)]
    found = find_causes(listed)
    assert [(one.verdict, one.runs, one.example) for one in found] == [("diverged", 3, "k1"), ("failed", 2, "x")]
    assert found[0].message == "history: activity a; code: activity b"
    assert find_causes(reversed(listed))[0].id == found[0].id
    assert find_causes([fine]) == ()
