"""From the command line onto the screen; Textual is imported no earlier than here."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from replaytool.errors import ReplaytoolError

if TYPE_CHECKING:
    from replaytool.session import Session


def tui(session: Session, run: str | None = None, event: int | None = None) -> None:
    """Show the store until the person leaves."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ReplaytoolError("the screens need a terminal", "`replaytool debug RUN --no-tui` prints instead")
    try:
        from replaytool.tui.app import ReplayApp
    except ModuleNotFoundError as error:
        raise ReplaytoolError(f"the screens need {error.name}", "pip install textual") from error
    ReplayApp(session, run, event).run()
