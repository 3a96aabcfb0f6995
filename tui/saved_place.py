"""What the screens restore in the next session, kept per store as JSON in the XDG state folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

_LARGEST = 1_000_000


@dataclass(frozen=True, slots=True)
class SavedPlace:
    """Everything that is restored when the same store is opened again."""

    theme: str = "textual-dark"
    filter: str = ""
    sort: str = "started_at"
    descending: bool = False
    run: str | None = None
    """The run under the cursor, or the one that is open."""
    event: int | None = None
    """Where in it; None: the debugger was not open."""
    breakpoints: tuple[str, ...] = ("failure",)
    watches: tuple[str, ...] = ()
    """Expressions whose value the debugger shows at each stop."""
    query: str = ""
    code: str = ""
    """The workflow code that runs were checked against the last time."""


def saved_place_path(store: Path | None) -> Path:
    """Return the state file of a store; its folder follows XDG_STATE_HOME."""
    base = os.environ.get("XDG_STATE_HOME") or ""
    folder = Path(base) if base.startswith("/") else Path.home() / ".local" / "state"
    name = hashlib.sha256(str(store.absolute() if store else "").encode()).hexdigest()[:16]
    return folder / "replaytool" / "tui" / f"{name}.json"


def load_saved_place(file: Path) -> SavedPlace:
    """Return the saved place; a file that cannot be read counts as absent, since nothing valuable is lost."""
    try:
        found = json.loads(file.read_text(encoding="utf-8")) if file.stat().st_size < _LARGEST else {}
    except (OSError, ValueError):
        return SavedPlace()
    default = SavedPlace()
    good: dict[str, Any] = {}
    for one in fields(SavedPlace):
        value = _list_to_tuple(found.get(one.name)) if isinstance(found, dict) else None
        expected = getattr(default, one.name)
        kinds = (str if one.name == "run" else int,) if expected is None else (type(expected),)
        if isinstance(value, kinds):
            good[one.name] = value
    return SavedPlace(**good)


def write_saved_place(file: Path, place: SavedPlace) -> None:
    """Write the saved place; a folder that cannot be written is ignored."""
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        beside = file.with_suffix(f".{os.getpid()}")
        beside.write_text(json.dumps(asdict(place)), encoding="utf-8")
        beside.replace(file)


def _list_to_tuple(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(item for item in value if isinstance(item, str))
    return value
