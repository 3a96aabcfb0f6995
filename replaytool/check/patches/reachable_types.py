"""Which workflow types can reach a call: those of the class around it, unless other code can use that class."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence

from replaytool.check.patches.call_edits import PatchFile
from replaytool.model.verdict import CodeInfo
from replaytool.replay.code.user_code import CodeFinder


class CodeTypes:
    """The workflow types that the loaded code defines, as far as its text tells."""

    def __init__(self, info: CodeInfo, files: Sequence[PatchFile], finders: Iterable[CodeFinder]) -> None:
        self._by_class: dict[str, set[str]] = {}
        self._mentioned: set[str] = set()
        self.takes_every_type = "" in info.types
        known = set(info.types)
        for file in files:
            self._mentioned |= _mentioned_names(file.source.new_tree)
            for finder in finders:
                if not finder.defines_workflows(file.source.new_tree):
                    continue
                names = finder.list_workflow_names(file.source.new_tree)
                self.takes_every_type |= names is None
                for type_name, class_name in names or ():
                    known.add(type_name or "")
                    self._by_class.setdefault(class_name, set()).add(type_name or "")
        self.takes_every_type |= "" in known
        self.names = frozenset(known - {""})

    def defines_type(self, workflow_type: str) -> bool:
        """Return whether runs of this type can be replayed with the code."""
        return self.takes_every_type or workflow_type in self.names

    def find_types_of_call(self, outer_class: str) -> frozenset[str] | None:
        """Return the types whose runs can reach a call in this class; None for all types."""
        types = self._by_class.get(outer_class, set())
        return None if not types or "" in types or outer_class in self._mentioned else frozenset(types)


def _mentioned_names(tree: ast.Module) -> set[str]:
    """Return the names that are used: a base class, the class of a child workflow, the classes of a worker."""
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return names | {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
