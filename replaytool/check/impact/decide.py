"""Decide which runs a code change can affect: all except those for which it provably changes nothing.

Replays are deterministic. A run that comes by none of the changed lines does the same with the new code, if its imports
run the same code too. Whatever cannot be proven is replayed: imports by name, changed files that are read, modules
with effects on others at import.
"""

from __future__ import annotations

import ast
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from replaytool.check.impact import ast_compare as unchanged
from replaytool.check.impact.ast_compare import Function, ModuleVersion
from replaytool.check.impact.module_graph import CodeVersion
from replaytool.model.verdict import CodeInfo
from replaytool.workers.replay_job import CoveredVerdict

# Calls at import time that change no other module.
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
class BaseReplays:
    """The code at the base, and what the runs did with it."""

    version: CodeVersion
    info: CodeInfo
    runs: Mapping[str, CoveredVerdict]
    """By run key; files are paths in the base tree."""
    types: Mapping[str, str]
    """The workflow type of each run."""


@dataclass
class _FileChange:
    """A file that differs between the two versions."""

    file: str
    before: ModuleVersion
    after: ModuleVersion
    is_outside: bool
    """Whether code that runs at import differs."""
    acts: bool
    """Whether importing the file may change other modules."""
    functions: list[tuple[Function, Function]] = field(default_factory=list)
    _known: dict[tuple[int, frozenset[int]], bool] = field(default_factory=dict)

    def find_touched_function(self, lines: Iterable[int]) -> str | None:
        """Return the name of a changed function that these lines come by, if any."""
        for at, (one, other) in enumerate(self.functions):
            within = range(one.lineno, (one.end_lineno or one.lineno) + 1)
            key = (at, frozenset(line for line in lines if line in within))
            if key not in self._known:
                self._known[key] = unchanged.is_same_for_lines(self.before, self.after, one, other, key[1])
            if not self._known[key]:
                return one.name
        return None


def find_affected_runs(before: BaseReplays, after: CodeVersion) -> dict[str, str]:
    """Return the runs to replay with the new code, each with the reason."""
    for_all = _reason_to_replay_all(before, after)
    if for_all is not None:
        return dict.fromkeys(before.runs, for_all)
    changes = list(_find_changes(before, after))
    shared = _collect_shared_lines(before)
    reasons = {key: _reason_to_replay(key, before, after, changes, shared) for key in before.runs}
    return {key: reason for key, reason in reasons.items() if reason is not None}


def _reason_to_replay_all(before: BaseReplays, after: CodeVersion) -> str | None:
    """Return a reason to replay every run, if there is one."""
    own = str(after.tree) + "/"
    if any(file.startswith(own) for file in before.version.texts):
        return "the code before the change was partly imported from this checkout"
    dynamic = before.version.dynamic_file or after.dynamic_file
    if dynamic is not None:
        return f"{dynamic} imports or creates code dynamically"
    changed = _find_changed_read(before.info.read, before.version, after)
    return f"{changed} has changed, and the code reads it at import" if changed else None


def _find_changed_read(read: Iterable[str], before: CodeVersion, after: CodeVersion) -> str | None:
    """Return a file of the tree that was read and has changed. Other files are the same for both."""
    places = (before.path_in_tree(str(before.tree / name)) for name in read)
    own = (one for one in places if not os.path.isabs(one))
    return next((one for one in own if _read_content(before.tree / one) != _read_content(after.tree / one)), None)


def _read_content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _find_changes(before: BaseReplays, after: CodeVersion) -> Iterator[_FileChange]:
    one, other = before.version, after
    settings = one.import_closure(one.settings) | other.import_closure(other.settings)
    own = set(one.types.values()) | set(other.types.values())
    loading = {one.path_in_tree(file): lines for file, lines in before.info.loading.items()}
    for file in sorted(one.texts.keys() | other.texts.keys()):
        left, right = one.texts.get(file, b""), other.texts.get(file, b"")
        if left == right:
            continue
        change = _compare_modules(file, unchanged.parse_module(left, file), unchanged.parse_module(right, file))
        if change is None:
            continue
        lines = loading.get(file, ())
        ran = change.find_touched_function(lines) is not None if lines else False
        is_setting = file in settings and file not in own
        change.is_outside |= ran or is_setting or not (file in one.texts and file in other.texts)
        change.acts |= ran or is_setting or one.outside.get(file) != other.outside.get(file)
        yield change


def _compare_modules(file: str, before: ModuleVersion, after: ModuleVersion) -> _FileChange | None:
    if before.outside != after.outside:
        return _FileChange(
            file,
            before,
            after,
            is_outside=True,
            acts=_has_import_effects(before.tree) or _has_import_effects(after.tree),
        )
    functions = list(unchanged.changed_functions(before, after))
    return _FileChange(file, before, after, False, _has_import_effects(before.tree), functions) if functions else None


def _collect_shared_lines(before: BaseReplays) -> dict[str, frozenset[int]]:
    """Return the lines in modules that runs share: one run may build on what another left there."""
    found: dict[str, set[int]] = defaultdict(set)
    for one in before.runs.values():
        for file in one.reach.shared:
            found[file] |= set(one.reach.lines[file])
    return {file: frozenset(lines) for file, lines in found.items()}


def _reason_to_replay(
    key: str,
    before: BaseReplays,
    after: CodeVersion,
    changes: Iterable[_FileChange],
    shared: Mapping[str, frozenset[int]],
) -> str | None:
    run, kind = before.runs[key], before.types[key]
    verdict, reach = run.verdict, run.reach
    if verdict.verdict not in _SETTLED or (verdict.failure is not None and verdict.failure.type == "Deadlock"):
        return f"its verdict at the base is {verdict.verdict}, which proves nothing"
    home = before.version.types.get(kind, before.version.types.get(""))
    if home is None or home != after.types.get(kind, after.types.get("")) or not reach.lines:
        return "its workflow is defined in another file"
    if not reach.lines.keys() <= before.version.texts.keys():
        return "it runs code whose import cannot be traced"
    files = before.version.import_closure([home]) | after.import_closure([home])
    for change in changes:
        if change.is_outside and (change.file in files or change.acts):
            return f"{change.file} differs in code that runs at import"
        lines = shared.get(change.file, frozenset()).union(reach.lines.get(change.file, ()))
        touched = change.find_touched_function(lines)
        if touched is not None:
            return f"{change.file}: {touched} has changed in lines that the run reaches"
    changed = _find_changed_read(reach.read, before.version, after)
    return f"{changed} has changed, and the run reads it" if changed else None


def _has_import_effects(tree: ast.Module) -> bool:
    """Return whether importing this module may change other modules; only what provably does not is quiet."""
    return not all(_is_quiet(one) for one in tree.body)


def _is_quiet(node: ast.stmt) -> bool:
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.With):
        return all(map(_is_quiet, node.body)) and _has_only_harmless_calls([one.context_expr for one in node.items])
    if isinstance(node, ast.If):
        return _has_only_harmless_calls([node.test]) and all(map(_is_quiet, [*node.body, *node.orelse]))
    if not isinstance(node, _QUIET):
        return False
    if isinstance(node, ast.Assign) and not all(isinstance(one, ast.Name) for one in node.targets):
        return False
    if isinstance(node, ast.ClassDef):
        return not node.keywords and all(map(_is_known_base, node.bases)) and _is_quiet_class(node)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return _has_only_harmless_calls([*node.decorator_list, *node.args.defaults]) and all(
            _last_name(one) in _HARMLESS for one in node.decorator_list
        )
    return _has_only_harmless_calls([node])


def _is_quiet_class(node: ast.ClassDef) -> bool:
    known = all(_last_name(one) in _HARMLESS for one in node.decorator_list)
    return known and _has_only_harmless_calls(node.decorator_list) and all(map(_is_quiet, node.body))


def _is_known_base(node: ast.expr) -> bool:
    base = node.value if isinstance(node, ast.Subscript) else node
    return _last_name(base) in _BASES


def _has_only_harmless_calls(nodes: Iterable[ast.AST]) -> bool:
    return all(_last_name(one) in _HARMLESS for node in nodes for one in ast.walk(node) if isinstance(one, ast.Call))


def _last_name(node: ast.AST) -> str:
    """Return the last part of a dotted name."""
    if isinstance(node, ast.Call):
        return _last_name(node.func)
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
