"""Modules that could not be imported, and which workflows they would have had."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.text import escape_controls

_MOST_NAMED = 5


@dataclass(frozen=True)
class FailedModule:
    """A file with workflows that could not be imported."""

    file: str
    """Relative to the folder that the user works in."""
    path: str
    error: ReplaytoolError
    workflows: frozenset[tuple[str | None, str]] | None
    """The type and class of each workflow in it; None if they cannot be read without running it."""

    @property
    def reason(self) -> str:
        """Return what Python said, in one line."""
        return self.error.message.strip().splitlines()[-1].strip()

    @property
    def sentence(self) -> str:
        """Return the file and the reason."""
        return f"{self.file}: {self.reason}"


def is_import_failure(error: ReplaytoolError) -> bool:
    """Return whether the error is about the code of one module, and not about what was asked for."""
    return error.code in (ErrorCode.CODE_IMPORT_FAILED, ErrorCode.CODE_MODULE_MISSING)


def make_overview_error(failed: list[FailedModule]) -> ReplaytoolError:
    """Return the error for code of which no workflow could be imported: the first traceback, and all other files."""
    first, others = failed[0], failed[1:]
    named = "".join(f"\n{escape_controls(one.sentence)}" for one in others[:_MOST_NAMED])
    more = f"\n… and {len(others) - _MOST_NAMED} more" if len(others) > _MOST_NAMED else ""
    return ReplaytoolError(f"{first.error.message}{named}{more}", first.error.hint, code=first.error.code)


def name_file_shortly(file: Path, folder: Path) -> str:
    """Return a path relative to the folder that the user works in, if it lies there."""
    return str(file.relative_to(folder)) if file.is_relative_to(folder) else str(file)
