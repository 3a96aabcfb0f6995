"""Where the statements of a file begin and end, and which of two versions belong together."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

_SIMILAR = 0.5


@dataclass(frozen=True, slots=True)
class Span:
    """Lines from `start` to before `end`, counted from 0."""

    start: int
    end: int


class StatementLines:
    """The statements of one version of a file; none if it does not parse."""

    def __init__(self, text: str) -> None:
        self._ends: dict[int, list[int]] = {}
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError):
            return
        for node in ast.walk(tree):
            if isinstance(node, ast.stmt | ast.ExceptHandler | ast.match_case) and (lines := _lines_of(node)):
                self._ends.setdefault(lines.start, []).append(lines.end)

    def split_range(self, lines: tuple[int, int]) -> list[Span]:
        """Return the outermost whole statements within the lines, and what lies between them."""
        found: list[Span] = []
        start = position = lines[0]
        while position < lines[1]:
            end = max((one for one in self._ends.get(position, ()) if one <= lines[1]), default=None)
            if end is None:
                position += 1
                continue
            # What stands before a statement and belongs to none, such as a comment, goes with it.
            is_part = any(begin < position for begin in self._ends if start <= begin and self._is_cut(begin, lines[1]))
            if start < position and is_part:
                found.append(Span(start, position))
                start = position
            found.append(Span(start, end))
            start = position = end
        if start < lines[1]:
            found.append(Span(start, lines[1]))
        return found

    def _is_cut(self, begin: int, end: int) -> bool:
        """Return whether a statement that begins here goes on behind the end."""
        return any(one > end for one in self._ends[begin])

    def slide_to_statements(self, lines: Sequence[str], hunk: tuple[int, int]) -> tuple[int, int]:
        """Return equal lines that are whole statements: `)` of the step before may have been matched instead."""
        places = [hunk]
        start, end = hunk
        while start > 0 and lines[start - 1] == lines[end - 1]:
            start, end = start - 1, end - 1
            places.append((start, end))
        start, end = hunk
        while end < len(lines) and lines[start] == lines[end]:
            start, end = start + 1, end + 1
            places.append((start, end))
        return next((one for one in places if self._is_whole(lines, one)), hunk)

    def _is_whole(self, lines: Sequence[str], hunk: tuple[int, int]) -> bool:
        position = hunk[0]
        while position < hunk[1]:
            ends = [one for one in self._ends.get(position, ()) if one <= hunk[1]]
            if ends:
                position = max(ends)
            elif not lines[position].strip() or lines[position].lstrip().startswith("#"):
                position += 1
            else:
                return False
        return True


def _lines_of(node: ast.stmt | ast.ExceptHandler | ast.match_case) -> Span | None:
    if isinstance(node, ast.match_case):
        return Span(node.pattern.lineno - 1, node.body[-1].end_lineno or 0)
    decorators = getattr(node, "decorator_list", [])
    start = min([node.lineno, *(one.lineno for one in decorators)])
    return Span(start - 1, node.end_lineno or node.lineno)


def pair_similar_parts(
    olds: Sequence[Span], news: Sequence[Span], old: Sequence[str], new: Sequence[str]
) -> Iterator[tuple[range, range]]:
    """Yield which parts of both sides are one edit, in their order."""
    before = [_squeeze(old[one.start : one.end]) for one in olds]
    after = [_squeeze(new[one.start : one.end]) for one in news]
    done_old = done_new = 0
    for first, second in _widen_pairs(_align_texts(before, after), before, after):
        yield from _split_unpaired(range(done_old, first.start), range(done_new, second.start))
        yield first, second
        done_old, done_new = first.stop, second.stop
    yield from _split_unpaired(range(done_old, len(olds)), range(done_new, len(news)))


def _squeeze(lines: Sequence[str]) -> str:
    return "".join("".join(lines).split())


def _widen_pairs(
    pairs: Sequence[tuple[int, int]], before: Sequence[str], after: Sequence[str]
) -> Iterator[tuple[range, range]]:
    """Yield the pairs with the neighbours that stand inside of the other side: statements that a block now holds."""
    done_old = done_new = 0
    for index, (i, j) in enumerate(pairs):
        next_old, next_new = pairs[index + 1] if index + 1 < len(pairs) else (len(before), len(after))
        olds = _widen(i, done_old, next_old, before, after[j])
        news = _widen(j, done_new, next_new, after, before[i])
        yield olds, news
        done_old, done_new = olds.stop, news.stop


def _widen(index: int, first: int, last: int, texts: Sequence[str], other: str) -> range:
    start, stop = index, index + 1
    while start > first and texts[start - 1] in other:
        start -= 1
    while stop < last and texts[stop] in other:
        stop += 1
    return range(start, stop)


def _split_unpaired(olds: range, news: range) -> Iterator[tuple[range, range]]:
    """A block that was written anew is one edit; what was only removed or only added is cut into its statements."""
    if len(olds) and len(news):
        yield olds, news
        return
    for one in olds:
        yield range(one, one + 1), range(news.start, news.start)
    for one in news:
        yield range(olds.start, olds.start), range(one, one + 1)


def _align_texts(before: Sequence[str], after: Sequence[str]) -> list[tuple[int, int]]:
    """Return the pairs in order whose likeness is the greatest in sum."""
    if not before or not after:
        return []
    alike = [[_likeness(one, other) for other in after] for one in before]
    best = [[0.0] * (len(after) + 1) for _ in range(len(before) + 1)]
    for i in reversed(range(len(before))):
        for j in reversed(range(len(after))):
            taken = alike[i][j] + best[i + 1][j + 1] if alike[i][j] else 0.0
            best[i][j] = max(taken, best[i + 1][j], best[i][j + 1])
    pairs, i, j = [], 0, 0
    while i < len(before) and j < len(after):
        if alike[i][j] and best[i][j] == alike[i][j] + best[i + 1][j + 1]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs


def _likeness(one: str, other: str) -> float:
    """Return how alike two statements without blanks are; 0 if they have little in common."""
    if not one or not other:
        return 0.0
    if one in other or other in one:
        return 1.0
    found = SequenceMatcher(None, one, other, autojunk=False).ratio()
    return found if found >= _SIMILAR else 0.0
