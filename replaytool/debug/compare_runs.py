"""Compare two runs side by side, aligned by what they did and not by event id."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from replaytool.model.event_label import EventLabel


@dataclass(frozen=True, slots=True)
class ValueChange:
    """One value that differs inside a pair."""

    path: str
    left: object
    right: object


@dataclass(frozen=True, slots=True)
class AlignedPair:
    """One line of a comparison; a side is None if only the other run did it."""

    left: EventLabel | None
    right: EventLabel | None
    changes: tuple[ValueChange, ...] = ()

    @property
    def difference_mark(self) -> str:
        """Return = for the same, ~ for other values, - for only left, + for only right."""
        if self.left is None:
            return "+"
        if self.right is None:
            return "-"
        return "~" if self.changes else "="


def align_runs(left: Sequence[EventLabel], right: Sequence[EventLabel]) -> Iterator[AlignedPair]:
    """Yield the two runs as one list of pairs."""
    matcher = difflib.SequenceMatcher(
        None, [one.kind_and_name for one in left], [one.kind_and_name for one in right], autojunk=False
    )
    for kind, left_from, left_to, right_from, right_to in matcher.get_opcodes():
        if kind == "equal":
            for one, other in zip(left[left_from:left_to], right[right_from:right_to], strict=True):
                yield AlignedPair(one, other, tuple(find_value_changes(one.content, other.content)))
        else:
            yield from (AlignedPair(one, None) for one in left[left_from:left_to])
            yield from (AlignedPair(None, one) for one in right[right_from:right_to])


def find_value_changes(left: object, right: object) -> Iterator[ValueChange]:
    """Yield where two recorded values differ."""
    if left == right:
        return
    from deepdiff import DeepDiff

    found = DeepDiff(left, right, view="tree", verbose_level=2)
    nodes = sorted((node for level in found.values() for node in level), key=lambda node: str(node.path()))
    for node in nodes:
        yield ValueChange(_readable_path(node), _present_value(node.t1), _present_value(node.t2))


def _readable_path(node: Any) -> str:
    """Return the path as people write it: input[0].km."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in node.path(output_format="list"))
    return text.removeprefix(".")


def _present_value(value: object) -> object:
    return None if type(value).__name__ == "NotPresent" else value
