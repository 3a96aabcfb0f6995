"""What screens and dialogs ask of the application, so that they need not know it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from replaytool.session import CodeMap
    from replaytool.session.resets import ResetRequest
    from replaytool.tui.debugger.breakpoints import Breakpoint
    from replaytool.tui.saved_place import SavedPlace
    from replaytool.tui.session_worker import SessionWorker


class ScreenHost(Protocol):
    """The application as its screens see it; `tui.app.ReplayApp` is one."""

    desk: SessionWorker
    place: SavedPlace
    breakpoints: Sequence[Breakpoint]
    checks_made: int

    @property
    def workflow_code(self) -> CodeMap | str:
        """The code that replays runs."""
        ...

    @property
    def default_check_code(self) -> str:
        """One code for all runs."""
        ...

    def use_code(self, text: str) -> None:
        """Use the code that the user named."""
        ...

    def remember_position(self, run: str, event: int | None) -> None:
        """Save the run under the cursor and the event where it stopped."""
        ...

    def update_saved_place(self, **changed: object) -> None:
        """Change what the next session starts with."""
        ...

    def open_run(self, run: str, event: int | None = None, pane: str = "payload") -> None:
        """Open the debugger at a run."""
        ...

    def check_runs(self, run_keys: Sequence[str]) -> None:
        """Replay these runs."""
        ...

    def choose_reset_point(self, run_keys: Sequence[str], event: int | None = None) -> object:
        """Ask for the point to which these runs are reset."""
        ...

    def open_reset_plan(self, wanted: ResetRequest) -> None:
        """Show what such a reset would do."""
        ...

    def show_filtered_runs(self, text: str) -> None:
        """Show the run list with a filter."""
        ...

    def go_back(self) -> None:
        """Go to the screen below, or exit."""
        ...
