"""Align the recorded steps with those of the code, and say what an edit did: insert, remove, move, rename, replace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from replaytool.model.simulation import Decision
from replaytool.model.verdict import EditWord

ENDS = frozenset({"complete", "fail", "cancel", "continue_as_new"})
NAMED = frozenset({"activity", "local_activity", "child_workflow", "nexus_operation", "signal_workflow"})
"""The kinds whose name says what they do."""


@dataclass(frozen=True, slots=True)
class Edit:
    """What happened to the steps at the first place where they differ."""

    word: EditWord
    gone: tuple[Decision, ...] = ()
    """Recorded steps that the code no longer has here."""
    new: tuple[Decision, ...] = ()
    """Steps of the code that are not recorded here."""
    before: Decision | None = None
    """The step at which both go on together."""


@dataclass(frozen=True, slots=True)
class _Gap:
    gone: tuple[Decision, ...]
    new: tuple[Decision, ...]
    before: Decision | None


def find_edit(
    recorded: Sequence[Decision], produced: Sequence[Decision], is_still_known: Callable[[Decision], bool]
) -> Edit | None:
    """Return the first edit; None if both have the same steps.

    `is_still_known` tells whether the code still has a recorded step somewhere: then it was not renamed.

    >>> a, b = Decision("activity", "a"), Decision("activity", "b")
    >>> find_edit([a], [b, a], lambda step: True).word, find_edit([a, b], [b, a], lambda step: True).word
    ('inserted', 'moved')
    """
    gaps = _list_gaps(recorded, produced)
    if not gaps:
        return None
    here, *later = gaps
    moved = _find_move(here, later)
    if moved is not None:
        return moved
    if not here.gone or not here.new:
        return Edit("removed" if here.gone else "inserted", here.gone, here.new, here.before)
    first_gone, first_new = here.gone[0], here.new[0]
    if first_new.kind in ENDS or first_gone.kind in ENDS:
        return _judge_ending(here)
    if first_gone.kind != first_new.kind:
        return Edit("other", here.gone, here.new, here.before)
    was_renamed = first_gone.value == first_new.value and not is_still_known(first_gone)
    return Edit("renamed" if was_renamed else "replaced", here.gone, here.new, here.before)


def count_common_steps(recorded: Sequence[Decision], produced: Sequence[Decision]) -> int:
    """Return how many steps both have, in order."""
    return len(_list_pairs(recorded, produced))


def _find_move(here: _Gap, later: Sequence[_Gap]) -> Edit | None:
    """Return the move of a step that is missing on one side here, and on the other side later."""
    for step in here.new:
        if any(_is_same_step(step, one) for gap in later for one in gap.gone):
            return Edit("moved", (), (step,), here.gone[0] if here.gone else here.before)
    for step in here.gone:
        if any(_is_same_step(step, one) for gap in later for one in gap.new):
            return Edit("moved", (step,))
    return None


def _judge_ending(here: _Gap) -> Edit:
    """Judge a gap in which one side ends the workflow, perhaps behind other steps."""
    gone = tuple(one for one in here.gone if one.kind not in ENDS)
    new = tuple(one for one in here.new if one.kind not in ENDS)
    if gone and not new:
        return Edit("removed", gone, here.new)
    if new and not gone:
        return Edit("inserted", here.gone, new)
    return Edit("other", here.gone, here.new)


def _list_gaps(recorded: Sequence[Decision], produced: Sequence[Decision]) -> list[_Gap]:
    gaps, left, right = [], 0, 0
    for one, other in [*_list_pairs(recorded, produced), (len(recorded), len(produced))]:
        if one > left or other > right:
            before = recorded[one] if one < len(recorded) else None
            gaps.append(_Gap(tuple(recorded[left:one]), tuple(produced[right:other]), before))
        left, right = one + 1, other + 1
    return gaps


def _list_pairs(recorded: Sequence[Decision], produced: Sequence[Decision]) -> list[tuple[int, int]]:
    """Return the places of a longest common sequence of steps."""
    rows, columns = len(recorded), len(produced)
    longest = [[0] * (columns + 1) for _ in range(rows + 1)]
    for row in range(rows - 1, -1, -1):
        for column in range(columns - 1, -1, -1):
            is_same = _is_same_kind_and_name(recorded[row], produced[column])
            longest[row][column] = (
                longest[row + 1][column + 1] + 1 if is_same else max(longest[row + 1][column], longest[row][column + 1])
            )
    pairs, row, column = [], 0, 0
    while row < rows and column < columns:
        if _is_same_kind_and_name(recorded[row], produced[column]):
            pairs.append((row, column))
            row, column = row + 1, column + 1
        elif longest[row + 1][column] >= longest[row][column + 1]:
            row += 1
        else:
            column += 1
    return pairs


def _is_same_kind_and_name(one: Decision, other: Decision) -> bool:
    return one.kind == other.kind and one.name == other.name


def _is_same_step(one: Decision, other: Decision) -> bool:
    """Return whether both are one step that moved: steps without a name need the same value."""
    return _is_same_kind_and_name(one, other) and (one.kind in NAMED or one.value == other.value)
