"""The app: which screens there are, how one comes from one to another, and what is remembered of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import App
from textual.binding import BindingType
from textual.filter import Monochrome, NoColor

from replaytool.errors import ReplaytoolError
from replaytool.tui import base, keys, place
from replaytool.tui.breakpoints import Breakpoint, parse
from replaytool.tui.builds import Builds
from replaytool.tui.debugger import Debugger
from replaytool.tui.desk import Desk
from replaytool.tui.dialogs import Page
from replaytool.tui.runs import Runs
from replaytool.tui.sql import Sql

if TYPE_CHECKING:
    from replaytool.session import Session

SCREENS_BY_KEY: Mapping[str, type[base.Base]] = {"runs": Runs, "builds": Builds, "sql": Sql}


class ReplayApp(App[None]):
    """One store on the screen."""

    CSS_PATH = "app.tcss"
    TITLE = "replaytool"
    ENABLE_COMMAND_PALETTE = True
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012  (Textual declares it for instances)
        (0, "-narrow"),
        (110, "-wide"),
    ]
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("Everywhere")

    def __init__(self, session: Session, run: str | None = None, event: int | None = None) -> None:
        super().__init__()
        self.desk = Desk(session)
        self.file = place.file_for(session.settings.store)
        self.place = place.load(self.file)
        self.breakpoints: Sequence[Breakpoint] = _parsed(self.place.breakpoints)
        self._run, self._event = run, event
        if self.no_color:
            # The word is that no colour is wanted, and shades of grey are colours to a terminal.
            self._filters = [NoColor() if isinstance(one, Monochrome) else one for one in self._filters]

    def on_mount(self) -> None:
        """Where the person was, or where the command line says."""
        if self.place.theme in self.available_themes:
            self.theme = self.place.theme
        left_in_debugger = self.place.event is not None and self._run is None
        run, event = (self.place.run, self.place.event) if left_in_debugger else (self._run, self._event)
        self.push_screen(Runs())
        if run is not None:
            self.open_run(run, event)

    # Places

    def been(self, run: str, event: int | None) -> None:
        """The run under the cursor, and the event where it stands."""
        self.remember(run=run, event=event)

    def remember(self, **changed: Any) -> None:
        """What comes back the next time."""
        self.place = replace(self.place, **changed)

    def on_unmount(self) -> None:
        """Keep it for the next time."""
        written = tuple(str(one) for one in self.breakpoints)
        place.save(self.file, replace(self.place, theme=self.theme, breakpoints=written))

    # Ways

    def open_run(self, run: str, event: int | None = None) -> None:
        """The debugger at a run."""
        self.push_screen(Debugger(run, event))

    def show_runs(self, text: str) -> None:
        """The list of runs, filtered."""
        self.action_visit("runs")
        runs = self.screen
        if isinstance(runs, Runs):
            runs.set_filter(text)

    def action_visit(self, name: str) -> None:
        """Go back to a screen that lies below, or open it."""
        wanted = SCREENS_BY_KEY[name]
        if any(isinstance(screen, wanted) for screen in self.screen_stack):
            while not isinstance(self.screen, wanted):
                self.pop_screen()
        else:
            self.push_screen(wanted())

    def back(self) -> None:
        """To the screen below, or out."""
        below = self.screen_stack[:-1]
        if any(isinstance(screen, base.Base) for screen in below):
            self.pop_screen()
            if isinstance(self.screen, Runs):
                self.remember(event=None)
        else:
            self.exit()

    async def action_back(self) -> None:
        """As on every screen."""
        self.back()

    def action_help(self) -> None:
        """The keys of this screen."""
        if isinstance(self.screen, base.Base):
            self.push_screen(Page("Keys", base.help_lines(self.screen.help_groups())))


def _parsed(texts: Sequence[str]) -> tuple[Breakpoint, ...]:
    """What cannot be read any more is dropped."""
    found = []
    for text in texts:
        try:
            found.append(parse(text))
        except ReplaytoolError:
            continue
    return tuple(found)
