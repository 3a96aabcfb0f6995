"""Where a person was in a store, kept between sessions as JSON in the folder for such state."""

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
class Place:
    """All that comes back when the same store is opened again."""

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


def file_for(store: Path | None) -> Path:
    """One file for each store; the folder follows XDG_STATE_HOME."""
    base = os.environ.get("XDG_STATE_HOME") or ""
    folder = Path(base) if base.startswith("/") else Path.home() / ".local" / "state"
    name = hashlib.sha256(str(store.absolute() if store else "").encode()).hexdigest()[:16]
    return folder / "replaytool" / "tui" / f"{name}.json"


def load(file: Path) -> Place:
    """The place as it was left; what cannot be read is as good as none, for nothing is lost with it."""
    try:
        found = json.loads(file.read_text(encoding="utf-8")) if file.stat().st_size < _LARGEST else {}
    except (OSError, ValueError):
        return Place()
    default = Place()
    good: dict[str, Any] = {}
    for one in fields(Place):
        value = _tuple(found.get(one.name)) if isinstance(found, dict) else None
        expected = getattr(default, one.name)
        kinds = (str if one.name == "run" else int,) if expected is None else (type(expected),)
        if isinstance(value, kinds):
            good[one.name] = value
    return Place(**good)


def save(file: Path, place: Place) -> None:
    """Keep it; a folder that cannot be written is no reason to disturb anybody."""
    with contextlib.suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        beside = file.with_suffix(f".{os.getpid()}")
        beside.write_text(json.dumps(asdict(place)), encoding="utf-8")
        beside.replace(file)


def _tuple(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(item for item in value if isinstance(item, str))
    return value
