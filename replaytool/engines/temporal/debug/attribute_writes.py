"""Watch assignments to one attribute, also those that assign an equal value: the class reports them."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from replaytool.engines.temporal.sdk import recorder
from replaytool.model.verdict import CallSite
from replaytool.replay import call_site as callsite
from replaytool.replay.inspect_state.safe_copies import is_from_class_statement, read_attributes


def parse_attribute_chain(text: str) -> tuple[str, ...]:
    """Return the attributes from the workflow to a value; empty if the expression is more than attributes.

    >>> parse_attribute_chain("self.standing.points"), parse_attribute_chain("points")
    (('standing', 'points'), ('points',))
    >>> parse_attribute_chain("trips[0]")
    ()
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
class AttributeWatcher:
    """Reports assignments to one attribute of one object that the workflow leads to."""

    chain: tuple[str, ...]
    heard: Callable[[CallSite | None], None]
    _owner: object = None
    _patched: dict[type, object] = field(default_factory=dict)

    def find_owner(self, workflow: object) -> None:
        """Find the object that has the attribute now, and patch its class."""
        owner: object = workflow
        for name in self.chain[:-1]:
            owner = dict(read_attributes(owner)).get(name) if owner is not None else None
        self._owner = owner if self.chain else None
        kind = type(self._owner)
        # A class made in C refuses a new __setattr__.
        if self._owner is not None and kind not in self._patched and is_from_class_statement(kind):
            self._patch_class(kind)

    def _patch_class(self, kind: Any) -> None:
        given = kind.__setattr__

        def set_attribute(one: object, name: str, value: object) -> None:
            given(one, name, value)
            if one is self._owner and name == self.chain[-1]:
                self.heard(callsite.site_of_stack(sys._getframe(1), recorder.LOOP))

        # Only the class's own: an inherited __setattr__ must not stay on the class when the patch is undone.
        self._patched[kind] = vars(kind).get("__setattr__")
        kind.__setattr__ = set_attribute

    def restore_classes(self) -> None:
        """Undo all patches."""
        for kind, before in self._patched.items():
            changed: Any = kind
            if before is None:
                del changed.__setattr__
            else:
                changed.__setattr__ = before
        self._patched.clear()
