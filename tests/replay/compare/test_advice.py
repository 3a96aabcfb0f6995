"""What is advised is what the pattern calls for, and nothing where there is no pattern."""

from __future__ import annotations

import pytest

from replaytool.check.causes import find_causes
from replaytool.model.simulation import Decision
from replaytool.model.verdict import CallSite, CheckedRun, Command, Divergence, ExpectedEvent, Failure, Subject, Verdict
from replaytool.replay.compare.advice import (
    DivergenceScene,
    MissingHandler,
    advise_on_divergence,
    has_loop_over_set,
    source_of_site,
)
from replaytool.replay.compare.edits import Edit, find_edit


def event(name: str, kind: str = "activity", event_id: int = 11) -> ExpectedEvent:
    return ExpectedEvent(event_id, "E", kind, name)


def command(name: str, kind: str = "activity") -> Command:
    return Command(kind, name)


def step(name: str, kind: str = "activity", value: object = None) -> Decision:
    return Decision(kind, name, value)


A, B, C, END = step("a"), step("b"), step("c"), step("", "complete")


@pytest.mark.parametrize(
    ("recorded", "produced", "known", "word", "told"),
    [
        ([A, B, END], [C, A, B, END], True, "inserted", "Activity 'c' was inserted before activity 'a'"),
        ([A, B, END], [B, END], True, "removed", "Activity 'a' was removed; activity 'b' follows"),
        ([A, B, END], [B, A, END], True, "moved", "`if workflow.patched('move-"),
        ([A, B, END], [C, B, END], False, "renamed", "was renamed to 'c'. Keep the recorded name: @activity.defn"),
        ([A, B, END], [C, B, END], True, "replaced", "Activity 'a' was replaced by activity 'c'"),
        ([A, END], [step("", "timer", "7s"), END], True, "other", "became a timer of 7s, another kind of step"),
        ([END], [A, END], True, "inserted", "was inserted before completion of the workflow"),
        ([A, END], [END], True, "removed", "`if not workflow.patched('remove-a'):`"),
        ([END], [step("", "fail")], True, "other", "The workflow ends in another way"),
    ],
)
def test_the_alignment_says_what_happened(
    recorded: list[Decision], produced: list[Decision], known: bool, word: str, told: str
) -> None:
    edit = find_edit(recorded, produced, lambda one: known)
    advice = advise_on_divergence(DivergenceScene(event("a"), command("b"), edit))
    assert (advice.edit, told in advice.text) == (word, True), advice.text


@pytest.mark.parametrize(
    ("scene", "word", "told"),
    [
        (
            DivergenceScene(event("p", "patch"), command("a"), recorded_patches=frozenset({"p"})),
            "removed", "deprecate_patch('p')",
        ),
        (
            DivergenceScene(
                event("p", "patch"), None, recorded_patches=frozenset({"p"}), code_patches=frozenset({"q"})
            ),
            "renamed", "Ask for workflow.patched('p') again",
        ),
        (
            DivergenceScene(event("", "complete"), None, missing_handler=MissingHandler("signal", "go")),
            "removed", "has the signal 'go', and the code has no handler for it",
        ),
        (DivergenceScene(event("a"), command("b"), source="for x in {1, 2}: pass"), "moved", "iterates over a set"),
        (
            DivergenceScene(event("a"), command("c"), Edit("inserted", (), (C,), A), code_patches=frozenset({"add-c"})),
            "inserted", "workflow.patched('add-c-2')",
        ),
        (DivergenceScene(event("a"), command("b")), "other", ""),
    ],
)  # fmt: skip
def test_known_patterns(scene: DivergenceScene, word: str, told: str) -> None:
    found = advise_on_divergence(scene)
    assert (found.edit, told in found.text) == (word, True), found.text


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
    here = CallSite(__file__, test_sets_are_known_from_the_text.__code__.co_firstlineno + 11, "f")
    text = source_of_site(CallSite(__file__, event.__code__.co_firstlineno + 1, "event", (here,)))
    assert "return Expected" in text
    assert "has_loop_over_set(source) is is_set" in text
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
