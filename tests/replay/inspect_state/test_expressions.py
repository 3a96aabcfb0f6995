"""Expressions about a workflow: what they see, what they cannot do, and how long they have."""

from __future__ import annotations

import pytest

from replaytool.errors import ReplaytoolError
from replaytool.replay.inspect_state.expressions import EventFacts, ExpressionScope, TaskFacts, parse_expression


class Order:
    level = "gold"

    def __init__(self) -> None:
        self.points = 0
        self.trips = [3, 4]
        self.asked = 0

    def ask(self) -> int:
        self.asked += 1
        self.trips.append(self.asked)
        return self.asked

    @property
    def total(self) -> int:
        return sum(self.trips)

    @property
    def endless(self) -> int:
        while True:
            pass


class NotABool:
    def __bool__(self) -> bool:
        raise ValueError("neither")


def scope(order: Order) -> ExpressionScope:
    return ExpressionScope(
        order, {"km": 5, "points": 99, "odd": NotABool()}, EventFacts(28), TaskFacts.from_task(6, 28, "v2")
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("points", 0),
        ("self.points", 0),
        ("km", 5),
        ("len(trips)", 2),
        ("sum(one for one in trips if one > km - 2)", 4),
        ("total + self.total", 14),
        ("level", "gold"),
        ("event > 20 and event.id", 28),
        ("task.build_id", "v2"),
        ("task == 6", True),
        ("getattr(self, 'nothing', 'no')", "no"),
    ],
)
def test_what_they_see(text: str, value: object) -> None:
    outcome = parse_expression(text).evaluate(scope(Order()))
    assert outcome.error == ""
    assert outcome.value is not None
    assert outcome.value.scalar == value
    assert outcome.holds is bool(value)


def test_a_method_that_changes_the_workflow_changes_a_copy() -> None:
    order = Order()
    before = dict(vars(order)), list(order.trips)
    for text in ("ask()", "self.ask()", "[self.ask(), self.ask()]", "list(map(lambda one: self.ask(), (1, 2)))"):
        assert parse_expression(text).evaluate(scope(order)).error == ""
    assert (dict(vars(order)), order.trips) == before


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("points = 1", "is not an expression"),
        ("(points", "is not an expression"),
        ("", "is not an expression"),
        ("import os", "is not an expression"),
        ("(points := 1)", ":="),
        ("await self.run()", "is not an expression"),
        ("[await one for one in trips]", "is not an expression"),
        ("(yield points)", "is not an expression"),
        ("trips.append(1)", "append"),
        ("self.__class__", "__class__"),
        ("__import__('os')", "__import__"),
        ("points " + "+ 1" * 900, "too long"),
    ],
)
def test_what_they_must_not_be_is_said_before_anything_runs(text: str, says: str) -> None:
    with pytest.raises(ReplaytoolError, match=r".") as wrong:
        parse_expression(text)
    assert says in wrong.value.message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("pionts", "did you mean points?"),
        ("open('x')", "no name 'open'"),
        ("eval('1')", "no name 'eval'"),
        ("getattr(self, '__class__')", "cannot use"),
        ("km + level", "TypeError"),
        ("trips[9]", "IndexError"),
        ("odd", "neither"),
        ("endless", "longer than 1 second"),
        ("[one for one in range(10**9)]", "longer than 1 second"),
    ],
)
def test_what_goes_wrong_in_them_is_an_outcome(text: str, says: str) -> None:
    outcome = parse_expression(text).evaluate(scope(Order()))
    assert says in outcome.error
    assert outcome.value is None
    assert outcome.holds is False
