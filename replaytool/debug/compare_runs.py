"""Two runs side by side, aligned by what they did and not by event id."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from replaytool.engines.temporal.events.labels import EventLabel


@dataclass(frozen=True, slots=True)
class Change:
    """One value that differs inside a pair of deeds."""

    path: str
    left: Any
    right: Any


@dataclass(frozen=True, slots=True)
class Pair:
    """What stands on one line of a comparison; a side is missing where only the other run did it."""

    left: EventLabel | None
    right: EventLabel | None
    changes: tuple[Change, ...] = ()

    @property
    def mark(self) -> str:
        """= the same, ~ other values, - only left, + only right."""
        if self.left is None:
            return "+"
        if self.right is None:
            return "-"
        return "~" if self.changes else "="


def aligned(left: Sequence[EventLabel], right: Sequence[EventLabel]) -> Iterator[Pair]:
    """The two runs as one list of pairs."""
    matcher = difflib.SequenceMatcher(
        None, [one.kind_and_name for one in left], [one.kind_and_name for one in right], autojunk=False
    )
    for kind, left_from, left_to, right_from, right_to in matcher.get_opcodes():
        if kind == "equal":
            for one, other in zip(left[left_from:left_to], right[right_from:right_to], strict=True):
                yield Pair(one, other, tuple(changes(one.content, other.content)))
        else:
            yield from (Pair(one, None) for one in left[left_from:left_to])
            yield from (Pair(None, one) for one in right[right_from:right_to])


def changes(left: Any, right: Any) -> Iterator[Change]:
    """Where two recorded values differ; DeepDiff is asked only when they do."""
    if left == right:
        return
    from deepdiff import DeepDiff

    found = DeepDiff(left, right, view="tree", verbose_level=2)
    nodes = sorted((node for level in found.values() for node in level), key=lambda node: str(node.path()))
    for node in nodes:
        yield Change(_path(node), _side(node.t1), _side(node.t2))


def _path(node: Any) -> str:
    """As people write it: input[0].km."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in node.path(output_format="list"))
    return text.removeprefix(".")


def _side(value: Any) -> Any:
    return None if type(value).__name__ == "NotPresent" else value
