"""Which edits need which others: what uses a name needs the edit that defines it."""

from __future__ import annotations

import ast
import re
import textwrap
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from replaytool.check.guilty.edits import CodeEdit, apply_edits

_NAME = re.compile(r"[A-Za-z_]\w*")
_COMMENT = re.compile(r"#[^\n'\"]*$", re.MULTILINE)
_IMPORTED = re.compile(r"(?:\bimport\b|[,(])\s*(\w+)")
_ASSIGNED = re.compile(r"^\s*(?:async\s+def|def|class)?\s*(\w+)\s*(?:\(|:|=[^=])", re.MULTILINE)


@dataclass
class EditNeeds:
    """The edits of a change, and which need which others to make sense."""

    edits: Sequence[CodeEdit]
    needs: dict[int, set[int]] = field(default_factory=dict)

    def add_needed(self, chosen: Iterable[int]) -> frozenset[int]:
        """Return the edits with all that they need."""
        return self._reach(chosen, self.needs)

    def add_dependent(self, chosen: Iterable[int]) -> frozenset[int]:
        """Return the edits with all that need one of them."""
        needed_by: dict[int, set[int]] = {}
        for one, others in self.needs.items():
            for other in others:
                needed_by.setdefault(other, set()).add(one)
        return self._reach(chosen, needed_by)

    def learn_name(self, name: str, made: Collection[int]) -> bool:
        """Note that edits which were made and use this name need those that were left out; return what is new."""
        pattern = re.compile(rf"\b{re.escape(name)}\b")
        speaking = [index for index, one in enumerate(self.edits) if pattern.search(one.text)]
        left_out = {index for index in speaking if index not in made}
        users = [index for index in speaking if index in made]
        is_new = False
        for one in users:
            missing = left_out - self.needs.setdefault(one, set())
            self.needs[one] |= missing
            is_new |= bool(missing)
        return is_new

    def _reach(self, chosen: Iterable[int], steps: Mapping[int, set[int]]) -> frozenset[int]:
        found, waiting = set(chosen), list(chosen)
        while waiting:
            for one in steps.get(waiting.pop(), ()):
                if one not in found:
                    found.add(one)
                    waiting.append(one)
        return frozenset(found)


def find_needs(edits: Sequence[CodeEdit], before: Mapping[str, str | None]) -> EditNeeds:
    """Return the needs that names and syntax show; replays can add to them."""
    found = EditNeeds(edits, {index: set() for index in range(len(edits))})
    sides = [(_SideNames(one.removed), _SideNames(one.added)) for one in edits]
    at_base = Counter(name for text in before.values() for name in defined_names(text or ""))
    for i, (old, new) in enumerate(sides):
        for name in new.used - new.defined:
            if not at_base[name]:
                found.needs[i] |= {j for j, (_, other) in enumerate(sides) if j != i and name in other.defined}
        for name in new.imported:
            if not at_base[name]:
                found.needs[i] |= {j for j, (_, other) in enumerate(sides) if j != i and name in other.made}
        for name in old.defined - new.defined:
            if at_base[name] == 1:
                found.needs[i] |= {j for j, (was, now) in enumerate(sides) if j != i and _gives_up(name, was, now)}
    _join_moved_statements(found)
    for i in range(len(edits)):
        _need_what_parses(found, i, before)
    return found


def _join_moved_statements(found: EditNeeds) -> None:
    """What is removed at one place and added at another is one edit."""
    for i, one in enumerate(found.edits):
        for j, other in enumerate(found.edits):
            removed, added = "".join("".join(one.removed).split()), "".join("".join(other.added).split())
            if i != j and removed and removed == added and not one.added and not other.removed:
                found.needs[i].add(j)
                found.needs[j].add(i)


def _gives_up(name: str, was: _SideNames, now: _SideNames) -> bool:
    """Return whether an edit no longer uses a name, or defines it at another place."""
    return (name in was.used and name not in now.used) or name in now.defined


def _need_what_parses(found: EditNeeds, index: int, before: Mapping[str, str | None]) -> None:
    """Add the nearest edits of the file without which it does not parse."""
    path = found.edits[index].path
    same = [other for other, one in enumerate(found.edits) if one.path == path]
    near = sorted((other for other in same if other != index), key=lambda other: (abs(other - index), other))
    for other in near:
        made = [found.edits[one] for one in found.add_needed({index}) if one in same]
        if can_parse(path, apply_edits(before.get(path), made)):
            return
        found.needs[index].add(other)
        found.needs[other].add(index)


def can_parse(path: str, text: str | None) -> bool:
    """Return whether a version of a file is Python, if it is meant to be."""
    if text is None or not path.endswith(".py"):
        return True
    try:
        ast.parse(text)
    except (SyntaxError, ValueError):
        return False
    return True


class _SideNames:
    """The names that one side of an edit defines and uses."""

    def __init__(self, lines: Sequence[str]) -> None:
        text = textwrap.dedent("".join(lines))
        self.used = frozenset(_NAME.findall(_COMMENT.sub("", text)))
        self.defined = frozenset(defined_names(text))
        self.imported = frozenset(_IMPORTED.findall(text)) if "import" in self.used else frozenset()
        self.made = self.defined - self.imported


def defined_names(text: str) -> list[str]:
    """Return the names that a piece of code defines."""
    for whole in (text, f"{text.rstrip()}\n    pass\n", f"class _:\n{textwrap.indent(text, ' ')}"):
        try:
            tree = ast.parse(whole)
        except (SyntaxError, ValueError):
            continue
        return [name for node in ast.walk(tree) for name in _names_of(node)]
    return _ASSIGNED.findall(text)


def _names_of(node: ast.AST) -> list[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()) | ast.arg(arg=name):
            return [name]
        case ast.alias(name=name, asname=given):
            return [given or name.partition(".")[0]]
    return []
