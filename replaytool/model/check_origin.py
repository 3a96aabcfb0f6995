"""How a check was started, and how it ends."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CheckOrigin:
    """What the check was given, so that the commands of its report work as they stand."""

    from_files: bool = False
    """Whether the runs came from files, and not from a store."""
    options: tuple[str, ...] = ()
    """Options of the command line that `debug` needs too: the code, the store, the converter."""


@dataclass(frozen=True, slots=True)
class ExitStatus:
    """The exit code of a command, and why."""

    code: int
    reason: str
