"""Print how a checkout names its functions and classes, how long its parts are and how much of it is typed.

    python -m tests.house.name_figures [--list] [--folder FOLDER]... [CHECKOUT]...

Each checkout is a column, so that two states can be compared:

    git worktree add /tmp/before OLD_COMMIT && python -m tests.house.name_figures /tmp/before .

Names are counted without dunder methods and without their leading underscores.
"""

from __future__ import annotations

import argparse
import ast
import io
import re
import statistics
import tokenize
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.house.source_tree import PRODUCT_FOLDERS, SourceFile, count_lines, read_sources

# A CLI command and a report renderer are found by these names in every module of their folder.
SHARED_FUNCTION_NAMES = frozenset(("command", "render"))

# Words that name nothing when they stand alone: prepositions, and participles that do not end in -ed.
_BARE_WORDS = """
about after against alike as astray at before behind beside between beyond by down for from further in less like more
near of off on one other out over past same than to under up with within without
begun bent called done drawn ended filled found given gone grown held kept known left lost made meant named put read
said seen set shown spelled taken told wanted written
"""
_TOOL_COMMENTS = re.compile(r"#\s*(type:|noqa|fmt:|pragma|!/)")


@dataclass(frozen=True)
class NameFigures:
    """The figures of one checkout, and the names behind them."""

    functions: tuple[str, ...]
    one_word: tuple[str, ...]
    bare: tuple[str, ...]
    shared_functions: Mapping[str, Sequence[str]]
    """Top-level function names that three or more modules define, with those modules."""
    shared_classes: Mapping[str, Sequence[str]]
    """Class names that two or more modules define, with those modules."""
    lines: int
    any_count: int
    comment_lines: int
    asserts: int
    file_lengths: tuple[int, ...]
    function_lengths: tuple[int, ...]

    def rows(self) -> list[tuple[str, str]]:
        """Return what the table shows: title and value."""
        count = max(1, len(self.functions))
        return [
            ("files", f"{len(self.file_lengths)}"),
            ("lines", f"{self.lines}"),
            ("functions", f"{len(self.functions)}"),
            ("one-word function names", f"{len(self.one_word) / count:.1%}"),
            ("bare participles and prepositions", f"{len(self.bare) / count:.1%}"),
            ("mean length of a function name", f"{sum(map(len, self.functions)) / count:.1f}"),
            ("top functions named alike in 3+ modules", f"{len(self.shared_functions)}"),
            ("class names in 2+ modules", f"{len(self.shared_classes)}"),
            ("Any per 1,000 lines", f"{1000 * self.any_count / max(1, self.lines):.1f}"),
            ("lines with a comment", f"{self.comment_lines / max(1, self.lines):.1%}"),
            ("asserts", f"{self.asserts}"),
            ("lines of a file, median / longest", _median_and_maximum(self.file_lengths)),
            ("lines of a function, median / longest", _median_and_maximum(self.function_lengths)),
        ]

    def list_offenders(self) -> list[str]:
        """Return one line for each kind of name that the figures count."""
        return [
            *(f"in {len(homes)} modules: {name} ({', '.join(homes)})" for name, homes in self.shared_functions.items()),
            *(
                f"class in {len(homes)} modules: {name} ({', '.join(homes)})"
                for name, homes in self.shared_classes.items()
            ),
            f"bare: {', '.join(sorted(set(self.bare)))}",
            f"one word: {', '.join(sorted(set(self.one_word)))}",
        ]


def measure_names(sources: Iterable[SourceFile]) -> NameFigures:
    """Measure the names, lengths and annotations of these files."""
    sources = list(sources)
    functions = [node for source in sources for node in source.find_functions()]
    names = [node.name.strip("_") for node in functions if not node.name.startswith("__")]
    tops = _modules_by_name(sources, (ast.FunctionDef, ast.AsyncFunctionDef))
    return NameFigures(
        functions=tuple(names),
        one_word=tuple(name for name in names if "_" not in name),
        bare=tuple(name for name in names if is_bare(name)),
        shared_functions={
            name: homes for name, homes in tops.items() if len(homes) >= 3 and name not in SHARED_FUNCTION_NAMES
        },
        shared_classes={
            name: homes for name, homes in _modules_by_name(sources, (ast.ClassDef,)).items() if len(homes) >= 2
        },
        lines=sum(source.line_count for source in sources),
        any_count=sum(len(re.findall(r"\bAny\b", source.text)) for source in sources),
        comment_lines=sum(_count_comment_lines(source.text) for source in sources),
        asserts=sum(source.count_asserts() for source in sources),
        file_lengths=tuple(source.line_count for source in sources),
        function_lengths=tuple(count_lines(function) for function in functions),
    )


def is_bare(name: str) -> bool:
    """Return whether a function's name is one participle or preposition, with no noun.

    >>> [is_bare(name) for name in ("told", "within", "checked", "reading", "read_events", "seed", "string")]
    [True, True, True, True, False, False, True]
    """
    if "_" in name:
        return False
    if name in _BARE_WORDS.split():
        return True
    return (name.endswith("ed") and len(name) > 4) or (name.endswith("ing") and len(name) > 5)


def _modules_by_name(sources: Iterable[SourceFile], kinds: tuple[type[ast.stmt], ...]) -> dict[str, list[str]]:
    """Map each top-level name of these kinds to the files that define it."""
    homes: dict[str, set[str]] = defaultdict(set)
    for source in sources:
        for node in source.tree.body:
            if isinstance(node, kinds):
                homes[str(getattr(node, "name", ""))].add(source.path)
    return {name: sorted(paths) for name, paths in sorted(homes.items())}


def _count_comment_lines(text: str) -> int:
    """Count the lines with a comment for people; what tools are told does not count."""
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return sum(token.type == tokenize.COMMENT and not _TOOL_COMMENTS.match(token.string) for token in tokens)


def _median_and_maximum(lengths: Sequence[int]) -> str:
    return f"{statistics.median_high(lengths)} / {max(lengths)}" if lengths else "-"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkouts", metavar="CHECKOUT", nargs="*", type=Path, help="a checkout; this one if none")
    parser.add_argument("--folder", action="append", help=f"measure this folder only; {', '.join(PRODUCT_FOLDERS)}")
    parser.add_argument("--list", action="store_true", help="list the names, too")
    options = parser.parse_args(arguments)
    checkouts = options.checkouts or [Path()]
    folders = tuple(options.folder or PRODUCT_FOLDERS)
    figures = [measure_names(read_sources(checkout.resolve(), folders)) for checkout in checkouts]
    width = max(len(str(checkout)) for checkout in checkouts)
    print(" " * 40, *(f"{checkout!s:>{max(12, width)}}" for checkout in checkouts))
    for cells in zip(*(one.rows() for one in figures), strict=True):
        print(f"{cells[0][0]:40}", *(f"{value:>{max(12, width)}}" for _, value in cells))
    if options.list:
        for checkout, one in zip(checkouts, figures, strict=True):
            print(f"\n{checkout}", *one.list_offenders(), sep="\n")


if __name__ == "__main__":
    main()
