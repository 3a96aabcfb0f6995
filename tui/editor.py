"""Open a line of code in the user's editor."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

from textual.app import App, SuspendNotSupported

from replaytool.errors import ErrorCode, ReplaytoolError

_BY_COLON = ("code", "codium", "subl", "hx", "zed")
"""Editors that take FILE:LINE; all others take +LINE FILE, as vi, nano and emacs do."""


def build_editor_command(editor: str, file: str, line: int) -> list[str]:
    """Return the command line that opens a file at a line in this editor."""
    words = shlex.split(editor)
    if Path(words[0]).stem in _BY_COLON:
        goto = ["-g"] if Path(words[0]).stem in ("code", "codium") else []
        return [*words, *goto, f"{file}:{line}"]
    return [*words, f"+{line}", file]


def open_in_editor(app: App[None], file: str, line: int) -> None:
    """Give the terminal to the editor until it ends."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or ""
    if not editor.strip():
        raise ReplaytoolError(
            "there is no editor: $EDITOR is not set", "export EDITOR=vi, for example", code=ErrorCode.TUI_EDITOR_UNSET
        )
    if not Path(file).is_file():
        raise ReplaytoolError(
            f"there is no file {file} here",
            "start replaytool in the folder of the code",
            code=ErrorCode.TUI_EDITOR_FILE,
        )
    try:
        with app.suspend():
            code = subprocess.call(build_editor_command(editor, file, line))
    except SuspendNotSupported:
        raise ReplaytoolError(
            "the editor cannot use this terminal", "open the file in another terminal", code=ErrorCode.TUI_EDITOR_FAILED
        ) from None
    except OSError as error:
        raise ReplaytoolError(
            f"the editor did not start: {error}", "check $EDITOR", code=ErrorCode.TUI_EDITOR_FAILED
        ) from error
    if code:
        raise ReplaytoolError(f"the editor ended with {code}", "", code=ErrorCode.TUI_EDITOR_FAILED)
