"""Cut the difference between two versions of a file into the smallest edits that make sense by themselves."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from replaytool.check.guilty.statements import Span, StatementLines, pair_similar_parts

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class CodeEdit:
    """Lines of a file that others replace. The ranges count from 0 and exclude their end."""

    path: str
    old: Range
    new: Range
    removed: tuple[str, ...]
    added: tuple[str, ...]
    is_file: bool = False
    """Whether the edit adds or removes the file as a whole."""

    @property
    def text(self) -> str:
        """Return both sides."""
        return "".join((*self.removed, *self.added))


def cut_into_edits(path: str, before: str | None, after: str | None) -> list[CodeEdit]:
    """Return the edits of one file in their order; None stands for a file that is not there."""
    old, new = (before or "").splitlines(keepends=True), (after or "").splitlines(keepends=True)
    if before is None or after is None:
        return [CodeEdit(path, (0, len(old)), (0, len(new)), tuple(old), tuple(new), is_file=True)]
    sides = (StatementLines(before), StatementLines(after)) if path.endswith(".py") else None
    found = []
    for tag, *bounds in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            a, b, c, d = bounds
            parts = _split_hunk((a, b), (c, d), old, new, sides) if sides else [((a, b), (c, d))]
            found += [
                CodeEdit(path, one, other, tuple(old[slice(*one)]), tuple(new[slice(*other)])) for one, other in parts
            ]
    return found


def apply_edits(before: str | None, edits: Iterable[CodeEdit]) -> str | None:
    """Return the file with only these edits made; None if it is not there then."""
    chosen = sorted(edits, key=lambda one: (one.old, one.new))
    for one in chosen:
        if one.is_file:
            return "".join(one.added) if one.added or not one.removed else None
    if before is None:
        return None
    old, made, done = before.splitlines(keepends=True), [], 0
    for one in chosen:
        made += [*old[done : one.old[0]], *one.added]
        done = one.old[1]
    return "".join([*made, *old[done:]])


def is_same_code(path: str, before: str | None, after: str | None) -> bool:
    """Return whether two versions differ in comments, blank lines and docstrings alone."""
    if before is None or after is None or not path.endswith(".py"):
        return before == after
    try:
        return _dump_code(before) == _dump_code(after)
    except (SyntaxError, ValueError):
        return False


def _dump_code(text: str) -> str:
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(
            node, clean=False
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.dump(tree)


def _split_hunk(
    old_range: Range,
    new_range: Range,
    old: Sequence[str],
    new: Sequence[str],
    sides: tuple[StatementLines, StatementLines],
) -> Iterator[tuple[Range, Range]]:
    """Yield the parts of a hunk, statement by statement."""
    before, after = sides
    if old_range[0] == old_range[1]:
        moved = after.slide_to_statements(new, new_range)
        shift = moved[0] - new_range[0]
        old_range, new_range = (old_range[0] + shift, old_range[1] + shift), moved
    elif new_range[0] == new_range[1]:
        moved = before.slide_to_statements(old, old_range)
        shift = moved[0] - old_range[0]
        old_range, new_range = moved, (new_range[0] + shift, new_range[1] + shift)
    olds, news = before.split_range(old_range), after.split_range(new_range)
    for one, other in pair_similar_parts(olds, news, old, new):
        yield _join_spans(one, old_range, olds), _join_spans(other, new_range, news)


def _join_spans(indexes: range, whole: Range, spans: Sequence[Span]) -> Range:
    """Return the lines from the first to the last of these spans; an empty range keeps its place."""
    if len(indexes):
        return spans[indexes[0]].start, spans[indexes[-1]].end
    place = spans[indexes.start].start if indexes.start < len(spans) else whole[1]
    return place, place
