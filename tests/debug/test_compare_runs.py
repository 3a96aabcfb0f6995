from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from replaytool.debug.compare_runs import align_runs, find_value_changes
from replaytool.model.event_label import EventLabel


def deed(event_id: int, name: str, content: Any = None) -> EventLabel:
    return EventLabel(event_id, "ActivityTaskScheduled", name, content)


def marks(left: str, right: str) -> str:
    sides = [[deed(index, name) for index, name in enumerate(side)] for side in (left, right)]
    return "".join(pair.difference_mark for pair in align_runs(*sides))


def test_runs_are_aligned_by_what_they_did() -> None:
    assert marks("abc", "abc") == "==="
    assert marks("abc", "abxc") == "==+="
    assert marks("abc", "ac") == "=-="
    assert marks("", "a") == "+"


def test_changed_values_have_paths() -> None:
    found = list(find_value_changes({"input": [{"km": 3}], "same": 1}, {"input": [{"km": 4}], "same": 1, "new": None}))
    assert [(change.path, change.left, change.right) for change in found] == [
        ("input[0].km", 3, 4),
        ("new", None, None),
    ]


@given(st.text("abc", max_size=12), st.text("abc", max_size=12))
def test_every_deed_of_both_runs_is_there_once_and_in_order(left: str, right: str) -> None:
    pairs = list(
        align_runs([deed(i, name) for i, name in enumerate(left)], [deed(i, name) for i, name in enumerate(right)])
    )
    assert "".join(pair.left.name for pair in pairs if pair.left) == left
    assert "".join(pair.right.name for pair in pairs if pair.right) == right


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", min_size=1, max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(JSON, JSON)
def test_a_change_is_found_exactly_where_values_differ(left: Any, right: Any) -> None:
    assert bool(list(find_value_changes(left, right))) == (left != right)
