"""Who assigns to an attribute, even if it is given the value that it had: seen by the class, not by comparing."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from replaytool.engines.temporal.sdk import recorder
from replaytool.model.verdict import CallSite
from replaytool.replay import call_site as callsite
from replaytool.replay.inspect_state.safe_copies import attributes, is_from_class_statement


def chain_of(text: str) -> tuple[str, ...]:
    """The attributes that lead to a value, from the workflow on; empty where it is not attributes alone.

    >>> chain_of("self.standing.points"), chain_of("points"), chain_of("trips[0]")
    (('standing', 'points'), ('points',), ())
    """
    node: ast.AST = ast.parse(text.strip(), "<path>", "eval").body
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ()
    return tuple(reversed(names if node.id == "self" else [*names, node.id]))


@dataclass
class Touching:
    """Listens to assignments to one attribute of one object, which a workflow leads to."""

    chain: tuple[str, ...]
    heard: Callable[[CallSite | None], None]
    _owner: Any = None
    _patched: dict[type, Any] = field(default_factory=dict)

    def look(self, workflow: Any) -> None:
        """Find the object that has the attribute by now."""
        owner: Any = workflow
        for name in self.chain[:-1]:
            owner = dict(attributes(owner)).get(name) if owner is not None else None
        self._owner = owner if self.chain else None
        kind = type(self._owner)
        if self._owner is not None and kind not in self._patched and is_from_class_statement(kind):
            self._patch(kind)

    def _patch(self, kind: Any) -> None:
        given = kind.__setattr__

        def set_attribute(one: Any, name: str, value: Any) -> None:
            given(one, name, value)
            if one is self._owner and name == self.chain[-1]:
                self.heard(callsite.of_stack(sys._getframe(1), recorder.LOOP))

        self._patched[kind] = vars(kind).get("__setattr__")
        kind.__setattr__ = set_attribute

    def stop(self) -> None:
        """Leave the classes as they were."""
        for kind, before in self._patched.items():
            changed: Any = kind
            if before is None:
                del changed.__setattr__
            else:
                changed.__setattr__ = before
        self._patched.clear()
