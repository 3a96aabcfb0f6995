"""From the command line onto the screen; Textual is imported no earlier than here."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from replaytool.errors import ReplaytoolError

if TYPE_CHECKING:
    from replaytool.session import CodeMap, Session


def tui(
    session: Session,
    run: str | None = None,
    event: int | None = None,
    code: CodeMap | None = None,
    breakpoints: Sequence[str] = (),
) -> None:
    """Show the store until the person leaves; `code` is for the replayed side, breakpoints for this time are added."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ReplaytoolError("the screens need a terminal", "`replaytool debug RUN --no-tui` prints instead")
    try:
        from replaytool.tui.app import ReplayApp
    except ModuleNotFoundError as error:
        raise ReplaytoolError(f"the screens need {error.name}", "pip install textual") from error
    ReplayApp(session, run, event, code, breakpoints).run()
