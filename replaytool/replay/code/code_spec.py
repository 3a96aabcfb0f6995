"""Where the user's code is: everything that a worker process needs to load the same code."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from replaytool.config import Settings

_CLASS = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


@dataclass(frozen=True, slots=True)
class CodeSpec:
    """What to import, and how it is configured."""

    workflows: tuple[str, ...]
    """Dotted modules, packages, files and folders; a module or file may name one class: `app.flows:Order`."""
    replayer: str | None = None
    """`module:function` that returns keyword arguments for the SDK's Replayer."""
    converter: str | None = None
    """`module:attribute` of a data converter, if no replayer function gives one."""
    folder: str = ""
    """Base of relative paths and names; "" is the current folder."""
    instead_of: tuple[str, str] | None = None
    """A tree and another checkout of it: imports from the first are redirected to the second."""
    exclude: tuple[str, ...] = ()
    """Files, folders, modules and patterns that a search of folders and packages leaves out."""
    pythonpath: tuple[str, ...] = ()
    """Folders that modules are imported from, before all others."""
    types: tuple[tuple[str, str], ...] = ()
    """Workflow types and the `module:Class` that replays their runs."""
    plugins: tuple[str, ...] = ()
    """`module:attribute` of plugins, of a list of them, or of what makes them."""
    interceptors: tuple[str, ...] = ()
    """The same of interceptors."""
    edited: tuple[tuple[str, str], ...] = ()
    """Files, and the text that is imported in place of what they hold: a trial of an edit that nobody has made."""
    is_found: bool = False
    """Nobody named the code: it was found in the project, so a file that cannot be imported is only listed."""


def make_code_spec(
    settings: Settings, workflows: Sequence[str] = (), folder: str = "", exclude: Sequence[str] = ()
) -> CodeSpec:
    """Return the spec of these settings. Named workflows start from `folder`, configured ones from their file."""
    return CodeSpec(
        tuple(workflows) or settings.workflows,
        settings.replayer,
        settings.converter,
        folder if workflows else str(settings.folder),
        exclude=(*settings.exclude, *exclude),
        pythonpath=tuple(str(settings.folder.absolute() / one) for one in settings.pythonpath),
        types=tuple(sorted(settings.types.items())),
        plugins=settings.plugins,
        interceptors=settings.interceptors,
    )


def split_class_name(item: str) -> tuple[str, str]:
    """Split a workflow's place from the class that it may name.

    >>> split_class_name("app.flows:Order"), split_class_name("app/flows.py"), split_class_name("C:/app")
    (('app.flows', 'Order'), ('app/flows.py', ''), ('C:/app', ''))
    """
    place, _, name = item.rpartition(":")
    return (place, name) if place and _CLASS.fullmatch(name) else (item, "")


def names_file(item: str) -> bool:
    """Return whether a value of `--workflows` is written as a path of a file or a folder."""
    place = split_class_name(item)[0]
    return "/" in place or "\\" in place or place.endswith(".py") or Path(place).is_absolute()
