"""Change the files of the repository as a proven fix says."""

from __future__ import annotations

import tempfile
from pathlib import Path

from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.model.code_fix import CodeFix
from replaytool.replay.code.git_worktrees import apply_diff
from replaytool.text import escape_controls


def apply_fix(fix: CodeFix, inside: Path) -> list[str]:
    """Apply the diff with git, wholly or not at all; return the changed files, relative to the repository."""
    with tempfile.NamedTemporaryFile(suffix=".diff") as file:
        file.write(fix.diff.encode("utf-8", "surrogateescape"))
        file.flush()
        hindrance = apply_diff(inside, file.name)
    if hindrance:
        raise ReplaytoolError(
            f"the fix does not apply: {escape_controls(hindrance)}",
            "the files were changed meanwhile: run the command again",
            code=ErrorCode.OUTPUT_UNWRITABLE,
        )
    return [line.removeprefix("+++ b/").rstrip() for line in fix.diff.splitlines() if line.startswith("+++ b/")]
