"""Where an edit stands in the syntax of both versions of its file."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Range = tuple[int, int]
Function = ast.FunctionDef | ast.AsyncFunctionDef
_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")


@dataclass(frozen=True)
class StatementSlice:
    """Statements of one block that an edit covers, and the functions around them, the innermost last."""

    block: Sequence[ast.stmt]
    first: int
    last: int
    """The index behind the last one; equal to `first` where nothing is covered."""
    functions: tuple[Function, ...]
    parents: tuple[ast.AST, ...]

    @property
    def statements(self) -> Sequence[ast.stmt]:
        """The covered statements."""
        return self.block[self.first : self.last]

    @property
    def indent(self) -> int:
        """Columns in front of each statement of the block."""
        return self.block[0].col_offset


def locate_lines(tree: ast.Module, lines: Range) -> StatementSlice:
    """Return the innermost statements that hold these lines; for an empty range, the place between two statements."""
    return _locate(tree.body, lines, (), ())


def _locate(
    block: Sequence[ast.stmt], lines: Range, functions: tuple[Function, ...], parents: tuple[ast.AST, ...]
) -> StatementSlice:
    first = next((index for index, one in enumerate(block) if _end(one) > lines[0]), len(block))
    last = next((index for index, one in enumerate(block) if _start(one) >= max(lines[1], lines[0])), len(block))
    last = max(first, last)
    if last - first == 1:
        only = block[first]
        inside = (*functions, only) if isinstance(only, Function) else functions
        for inner in _blocks_of(only):
            if _start(inner[0]) <= lines[0] and lines[1] <= _end(inner[-1]) + (lines[0] == lines[1]):
                return _locate(inner, lines, inside, (*parents, only))
    return StatementSlice(block, first, last, functions, parents)


def _blocks_of(statement: ast.AST) -> Iterator[Sequence[ast.stmt]]:
    for name in _BLOCKS:
        inner = getattr(statement, name, None) or []
        if inner and isinstance(inner[0], ast.stmt):
            yield inner
        else:
            for one in inner:
                yield from _blocks_of(one)


def _start(node: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(one.lineno for one in decorators)]) - 1


def _end(node: ast.stmt) -> int:
    return node.end_lineno or node.lineno


def lines_of_statements(statements: Sequence[ast.stmt]) -> Range:
    """Return the lines of statements that follow each other."""
    return _start(statements[0]), _end(statements[-1])


def is_header_only(statement: ast.stmt, lines: Range) -> bool:
    """Return whether the lines are the head of a compound statement, and not its body."""
    inner = next(_blocks_of(statement), None)
    return inner is not None and lines[1] <= _start(inner[0])
