"""Which runs a change of the code can make a difference to: all but those for which it provably makes none.

Replays repeat themselves. A run that comes by none of the lines that have changed does with the new code what it did
with the old one, as long as what is there when its code is imported is the same. What cannot be told for certain is
replayed: code that imports by name, a changed file that is read, modules that act on others when they are imported.
"""

from __future__ import annotations

import ast
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from replaytool.check.impact import ast_compare as unchanged
from replaytool.check.impact.ast_compare import Function, Module
from replaytool.check.impact.module_graph import Version
from replaytool.model.verdict import CodeInfo
from replaytool.workers.coverage_job import Reached

# Calls that, made while a module is imported, leave every other module alone.
_HARMLESS = {
    "defn", "run", "signal", "query", "update", "init", "dataclass", "field", "timedelta", "datetime", "RetryPolicy",
    "TypeVar", "NewType", "namedtuple", "getLogger", "frozenset", "set", "dict", "list", "tuple", "Path", "property",
    "staticmethod", "classmethod", "imports_passed_through",
}  # fmt: skip
_BASES = {
    "Exception", "Enum", "StrEnum", "IntEnum", "NamedTuple", "TypedDict", "Protocol", "ABC", "Generic", "object", "str",
    "BaseModel",
}  # fmt: skip
_QUIET = (
    ast.Import,
    ast.ImportFrom,
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Assign,
    ast.AnnAssign,
    ast.Pass,
)
_SETTLED = ("ok", "drift", "diverged", "failed")


@dataclass(frozen=True, slots=True)
class Before:
    """The code before the change, and what the runs did with it."""

    version: Version
    info: CodeInfo
    runs: Mapping[str, Reached]
    """With the files by their places in the version."""
    types: Mapping[str, str]
    """The workflow type of each run."""


@dataclass
class _Change:
    """A file that is not as it was."""

    file: str
    before: Module
    after: Module
    is_outside: bool
    """Whether it differs in what runs when it is imported."""
    acts: bool
    """Whether importing it may do something to others."""
    functions: list[tuple[Function, Function]] = field(default_factory=list)
    _known: dict[tuple[int, frozenset[int]], bool] = field(default_factory=dict)

    def touched(self, lines: Iterable[int]) -> str | None:
        """A function that differs where these lines come by."""
        for at, (one, other) in enumerate(self.functions):
            within = range(one.lineno, (one.end_lineno or one.lineno) + 1)
            key = (at, frozenset(line for line in lines if line in within))
            if key not in self._known:
                self._known[key] = unchanged.is_same(self.before, self.after, one, other, key[1])
            if not self._known[key]:
                return one.name
        return None


def to_replay(before: Before, after: Version) -> dict[str, str]:
    """The runs that have to be replayed with the code after the change, each with the reason."""
    for_all = _for_all(before, after)
    if for_all is not None:
        return dict.fromkeys(before.runs, for_all)
    changes = list(_changes(before, after))
    shared = _shared(before)
    reasons = {key: _reason(key, before, after, changes, shared) for key in before.runs}
    return {key: reason for key, reason in reasons.items() if reason is not None}


def _for_all(before: Before, after: Version) -> str | None:
    """What makes every run suspect."""
    own = str(after.tree) + "/"
    if any(file.startswith(own) for file in before.version.texts):
        return "the code before the change was partly imported from this checkout"
    dynamic = before.version.dynamic or after.dynamic
    if dynamic is not None:
        return f"{dynamic} imports or makes code by name"
    changed = _read_and_changed(before.info.read, before.version, after)
    return f"{changed} has changed, which is read while the code is loaded" if changed else None


def _read_and_changed(read: Iterable[str], before: Version, after: Version) -> str | None:
    """A file of the tree; others are the same for both."""
    places = (before.place(str(before.tree / name)) for name in read)
    own = (one for one in places if not os.path.isabs(one))
    return next((one for one in own if _content(before.tree / one) != _content(after.tree / one)), None)


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _changes(before: Before, after: Version) -> Iterator[_Change]:
    one, other = before.version, after
    settings = one.closure(one.settings) | other.closure(other.settings)
    own = set(one.types.values()) | set(other.types.values())
    loading = {one.place(file): lines for file, lines in before.info.loading.items()}
    for file in sorted(one.texts.keys() | other.texts.keys()):
        left, right = one.texts.get(file, b""), other.texts.get(file, b"")
        if left == right:
            continue
        change = _change(file, unchanged.module_of(left, file), unchanged.module_of(right, file))
        if change is None:
            continue
        lines = loading.get(file, ())
        ran = change.touched(lines) is not None if lines else False
        is_setting = file in settings and file not in own
        change.is_outside |= ran or is_setting or not (file in one.texts and file in other.texts)
        change.acts |= ran or is_setting or one.outside.get(file) != other.outside.get(file)
        yield change


def _change(file: str, before: Module, after: Module) -> _Change | None:
    if before.outside != after.outside:
        return _Change(file, before, after, is_outside=True, acts=_acts(before.tree) or _acts(after.tree))
    functions = list(unchanged.differing(before, after))
    return _Change(file, before, after, False, _acts(before.tree), functions) if functions else None


def _shared(before: Before) -> dict[str, frozenset[int]]:
    """Lines of modules that runs share: what one of them left behind there, another may have built on."""
    found: dict[str, set[int]] = defaultdict(set)
    for one in before.runs.values():
        for file in one.reach.shared:
            found[file] |= set(one.reach.lines[file])
    return {file: frozenset(lines) for file, lines in found.items()}


def _reason(
    key: str, before: Before, after: Version, changes: Iterable[_Change], shared: Mapping[str, frozenset[int]]
) -> str | None:
    run, kind = before.runs[key], before.types[key]
    verdict, reach = run.verdict, run.reach
    if verdict.verdict not in _SETTLED or (verdict.failure is not None and verdict.failure.type == "Deadlock"):
        return f"before the change it was {verdict.verdict}, which proves nothing"
    home = before.version.types.get(kind, before.version.types.get(""))
    if home is None or home != after.types.get(kind, after.types.get("")) or not reach.lines:
        return "its workflow is not where it was"
    if not reach.lines.keys() <= before.version.texts.keys():
        return "it comes by code that is imported in no way that can be seen"
    files = before.version.closure([home]) | after.closure([home])
    for change in changes:
        if change.is_outside and (change.file in files or change.acts):
            return f"{change.file} differs in what runs when it is imported"
        lines = shared.get(change.file, frozenset()).union(reach.lines.get(change.file, ()))
        touched = change.touched(lines)
        if touched is not None:
            return f"{change.file}: {touched} has changed where the run comes by"
    changed = _read_and_changed(reach.read, before.version, after)
    return f"{changed} has changed, which the run reads" if changed else None


def _acts(tree: ast.Module) -> bool:
    """Whether importing this may do something to other modules; only what surely does not is taken to be quiet."""
    return not all(_is_quiet(one) for one in tree.body)


def _is_quiet(node: ast.stmt) -> bool:
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.With):
        return all(map(_is_quiet, node.body)) and _calls_are_harmless([one.context_expr for one in node.items])
    if isinstance(node, ast.If):
        return _calls_are_harmless([node.test]) and all(map(_is_quiet, [*node.body, *node.orelse]))
    if not isinstance(node, _QUIET):
        return False
    if isinstance(node, ast.Assign) and not all(isinstance(one, ast.Name) for one in node.targets):
        return False
    if isinstance(node, ast.ClassDef):
        return not node.keywords and all(map(_is_known_base, node.bases)) and _class_is_quiet(node)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return _calls_are_harmless([*node.decorator_list, *node.args.defaults]) and all(
            _called(one) in _HARMLESS for one in node.decorator_list
        )
    return _calls_are_harmless([node])


def _class_is_quiet(node: ast.ClassDef) -> bool:
    known = all(_called(one) in _HARMLESS for one in node.decorator_list)
    return known and _calls_are_harmless(node.decorator_list) and all(map(_is_quiet, node.body))


def _is_known_base(node: ast.expr) -> bool:
    base = node.value if isinstance(node, ast.Subscript) else node
    return _called(base) in _BASES


def _calls_are_harmless(nodes: Iterable[ast.AST]) -> bool:
    return all(_called(one) in _HARMLESS for node in nodes for one in ast.walk(node) if isinstance(one, ast.Call))


def _called(node: ast.AST) -> str:
    """The last part of a name."""
    if isinstance(node, ast.Call):
        return _called(node.func)
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
