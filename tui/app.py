"""The app: which screens there are, how one comes from one to another, and what is remembered of it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from textual import work
from textual.app import App
from textual.binding import Binding, BindingType
from textual.filter import Monochrome, NoColor

from replaytool.errors import ReplaytoolError
from replaytool.session.resets import Wanted
from replaytool.text import visible
from replaytool.tui import keys
from replaytool.tui import saved_place as place
from replaytool.tui.debugger.breakpoints import Breakpoint, parse
from replaytool.tui.debugger.screen import Debugger
from replaytool.tui.dialogs import check as checking
from replaytool.tui.dialogs.prompts import Choice, Page
from replaytool.tui.screens import base
from replaytool.tui.screens.builds import Builds
from replaytool.tui.screens.causes import Causes
from replaytool.tui.screens.reset import Reset
from replaytool.tui.screens.runs import Runs
from replaytool.tui.screens.sql import Sql
from replaytool.tui.session_worker import Desk, away
from replaytool.tui.text import reset_plan as reset_panes

if TYPE_CHECKING:
    from replaytool.model.verdict import CheckReport
    from replaytool.session import CodeMap, Session

SCREENS_BY_KEY: Mapping[str, type[base.Base]] = {"runs": Runs, "builds": Builds, "sql": Sql, "causes": Causes}


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

    def __init__(
        self,
        session: Session,
        run: str | None = None,
        event: int | None = None,
        code: CodeMap | None = None,
        breakpoints: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self._given = code or session.code_map()
        self.desk = Desk(session)
        self.keymap = keys.keymap(session.settings.keys)
        self.file = place.file_for(session.settings.store)
        self.place = place.load(self.file)
        given = [parse(one) for one in breakpoints]
        self.breakpoints: Sequence[Breakpoint] = tuple(dict.fromkeys([*_parsed(self.place.breakpoints), *given]))
        self.checks_made = 0
        """Screens that show verdicts and were covered meanwhile read them again."""
        self._run, self._event = run, event
        if self.no_color:
            # The word is that no colour is wanted, and shades of grey are colours to a terminal.
            self._filters = [NoColor() if isinstance(one, Monochrome) else one for one in self._filters]

    def on_mount(self) -> None:
        """Where the person was, or where the command line says."""
        self.set_keymap(self.keymap)
        if self.place.theme in self.available_themes:
            self.theme = self.place.theme
        left_in_debugger = self.place.event is not None and self._run is None
        run, event = (self.place.run, self.place.event) if left_in_debugger else (self._run, self._event)
        self.push_screen(Runs())
        if run is not None:
            self.open_run(run, event)

    def get_key_display(self, binding: Binding) -> str:
        """As it is printed on a keyboard, here as in the help."""
        return keys.one(binding.key)

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

    @property
    def code(self) -> CodeMap | str:
        """What runs are replayed with: what was given or configured, else what was named here the last time."""
        return self._given or self.place.code

    def use_code(self, text: str) -> None:
        """Another code, named by a person."""
        self._given = None
        self.remember(code=text)

    # Ways

    def open_run(self, run: str, event: int | None = None, pane: str = "payload") -> None:
        """The debugger at a run, with one of its panes to begin with."""
        self.push_screen(Debugger(run, event, pane))

    def check(self, run_keys: Sequence[str]) -> None:
        """Replay these runs; the screens read what came of it when they come up again."""

        def told(report: CheckReport | None) -> None:
            if report is not None:
                self.checks_made += 1
                self.notify(checking.summary(report), title="Checked", markup=False, timeout=6)

        self.push_screen(checking.Checking(run_keys, self.known_code), told)

    @property
    def known_code(self) -> str:
        """One code for all runs: what was named here the last time, else what the settings name."""
        named = self.place.code
        several = "=" in named or "--git" in named
        return " ".join(map(shlex.quote, self.desk.session.checks.code)) if several or not named else named

    @work(exclusive=True, group="reset")
    async def reset(self, run_keys: Sequence[str], event: int | None = None) -> None:
        """Ask where these runs go back to, and show what that does."""
        try:
            builds = await away(self.desk.reset_builds, run_keys)
        except ReplaytoolError as error:
            self.notify(visible(error.message), severity="warning", markup=False)
            return
        found = [Wanted(tuple(run_keys), build=row["build_id"]) for row in builds]
        if event is not None:
            found.append(Wanted(tuple(run_keys), event=event))

        def chosen(index: int | None) -> None:
            if index is not None:
                self.push_screen(Reset(found[index]))

        title = f"Reset {len(run_keys):,} runs to before" if len(run_keys) > 1 else "Reset this run to before"
        self.push_screen(
            Choice(title, reset_panes.choices(builds, event), "no build is recorded", "Enter shows the plan"), chosen
        )

    def plan_reset(self, wanted: Wanted) -> None:
        """What such a reset would do."""
        self.push_screen(Reset(wanted))

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
            self.push_screen(Page("Keys", base.help_lines(self.screen.help_groups(), self.keymap)))


def _parsed(texts: Sequence[str]) -> tuple[Breakpoint, ...]:
    """What cannot be read any more is dropped."""
    found = []
    for text in texts:
        try:
            found.append(parse(text))
        except ReplaytoolError:
            continue
    return tuple(found)
