"""Name a guard after the edit that it guards."""

from __future__ import annotations

import re
from collections.abc import Collection

from replaytool.model.guilty import GuiltyEdits

_CONSTANT = re.compile(r"^([A-Z][A-Z0-9_]+)\s*(?::[^=]+)?=", re.MULTILINE)
_STEP = re.compile(r"(?:execute|start)_\w+\(\s*[\"']?([A-Za-z_][\w.-]*)")
_CALLED = re.compile(r"await\s+(?:[\w.]+\.)?(\w+)\(")


def choose_change_id(found: GuiltyEdits, taken: Collection[str]) -> str:
    r"""Return a name that says what changed and is not in use.

    >>> from replaytool.model.guilty import EditHunk
    >>> choose_change_id(GuiltyEdits((EditHunk("wf.py", 9, 1, 9, 1, ("LIMIT = 3\\n",), ("LIMIT = 2\\n",)),)), ())
    'new-limit'
    """
    added = "".join(line for hunk in found.hunks for line in hunk.added)
    removed = "".join(line for hunk in found.hunks for line in hunk.removed)
    name = _name_change(added, removed)
    number, chosen = 1, name
    while chosen in taken:
        number += 1
        chosen = f"{name}-{number}"
    return chosen


def _name_change(added: str, removed: str) -> str:
    for pattern in (_CONSTANT, _STEP, _CALLED):
        new, old = pattern.search(added), pattern.search(removed)
        if new is not None:
            return f"{'new-' if pattern is _CONSTANT or old is not None else 'with-'}{_to_words(new[1])}"
        if old is not None:
            return f"without-{_to_words(old[1])}"
    return "changed-step"


def _to_words(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.rpartition(".")[2].lower()).strip("-") or "step"
