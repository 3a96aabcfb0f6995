"""Start the screens from the command line. This is the only place where the command line imports Textual."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from replaytool.errors import ErrorCode, ReplaytoolError

if TYPE_CHECKING:
    from replaytool.session import CodeMap, Session


def launch_tui(
    session: Session,
    run: str | None = None,
    event: int | None = None,
    code: CodeMap | None = None,
    breakpoints: Sequence[str] = (),
) -> None:
    """Show the store until the user leaves.

    `code` is the workflow code for the debugger's replay; `breakpoints` are added to the saved ones for this session.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ReplaytoolError(
            "the screens need a terminal",
            "`replaytool debug RUN --no-tui` prints instead",
            code=ErrorCode.TUI_NO_TERMINAL,
        )
    try:
        from replaytool.tui.app import ReplayApp
    except ModuleNotFoundError as error:
        raise ReplaytoolError(
            f"the screens need {error.name}", "pip install textual", code=ErrorCode.TUI_TEXTUAL
        ) from error
    ReplayApp(session, run, event, code, breakpoints).run()
