"""The Textual application: which screens exist, how one opens another, and what is saved between sessions."""

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
from replaytool.session.resets import ResetRequest
from replaytool.text import escape_controls
from replaytool.tui import keys
from replaytool.tui import saved_place as place
from replaytool.tui.debugger.breakpoints import Breakpoint, parse_breakpoint
from replaytool.tui.debugger.screen import DebuggerScreen
from replaytool.tui.dialogs import check as checking
from replaytool.tui.dialogs.code import CodeDialog
from replaytool.tui.dialogs.prompts import ChoiceDialog, PageDialog
from replaytool.tui.screens import base
from replaytool.tui.screens.builds import BuildsScreen
from replaytool.tui.screens.causes import CausesScreen
from replaytool.tui.screens.reset import ResetScreen
from replaytool.tui.screens.runs import RunsScreen
from replaytool.tui.screens.sql import SqlScreen
from replaytool.tui.session_worker import SessionWorker, run_in_thread
from replaytool.tui.text import reset_plan as reset_panes

if TYPE_CHECKING:
    from replaytool.model.verdict import CheckReport
    from replaytool.session import CodeMap, Session
    from replaytool.tui.screen_host import ScreenHost

SCREENS_BY_KEY: Mapping[str, type[base.BaseScreen]] = {
    "runs": RunsScreen,
    "builds": BuildsScreen,
    "sql": SqlScreen,
    "causes": CausesScreen,
}


class ReplayApp(App[None]):
    """The application for one store."""

    CSS_PATH = "app.tcss"
    TITLE = "replaytool"
    ENABLE_COMMAND_PALETTE = True
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012  (Textual declares it for instances)
        (0, "-narrow"),
        (110, "-wide"),
    ]
    BINDINGS: ClassVar[list[BindingType]] = keys.build_bindings("Everywhere")

    def __init__(
        self,
        session: Session,
        run: str | None = None,
        event: int | None = None,
        code: CodeMap | None = None,
        breakpoints: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self._given = code or session.find_code_map()
        self.desk = SessionWorker(session)
        self.keymap = keys.build_keymap(session.settings.keys)
        self.file = place.saved_place_path(session.settings.store)
        self.place = place.load_saved_place(self.file)
        given = [parse_breakpoint(one) for one in breakpoints]
        self.breakpoints: Sequence[Breakpoint] = tuple(
            dict.fromkeys([*_parse_saved_breakpoints(self.place.breakpoints), *given])
        )
        self.checks_made = 0
        """Screens that show verdicts and were covered meanwhile read them again."""
        self._run, self._event = run, event
        if self.no_color:
            # The word is that no colour is wanted, and shades of grey are colours to a terminal.
            self._filters = [NoColor() if isinstance(one, Monochrome) else one for one in self._filters]

    def on_mount(self) -> None:
        """Open the run list, and the debugger if the last session or the command line names a run."""
        self.set_keymap(self.keymap)
        if self.place.theme in self.available_themes:
            self.theme = self.place.theme
        left_in_debugger = self.place.event is not None and self._run is None
        run, event = (self.place.run, self.place.event) if left_in_debugger else (self._run, self._event)
        self.push_screen(RunsScreen())
        if run is not None:
            self.open_run(run, event)

    def get_key_display(self, binding: Binding) -> str:
        """Return the key as it is printed on a keyboard."""
        return keys.format_single_key(binding.key)

    # Places

    def remember_position(self, run: str, event: int | None) -> None:
        """Save the run under the cursor and the event where it stopped."""
        self.update_saved_place(run=run, event=event)

    def update_saved_place(self, **changed: Any) -> None:
        """Change what the next session starts with."""
        self.place = replace(self.place, **changed)

    def on_unmount(self) -> None:
        """Write the saved place to disk."""
        written = tuple(str(one) for one in self.breakpoints)
        place.write_saved_place(self.file, replace(self.place, theme=self.theme, breakpoints=written))

    @property
    def workflow_code(self) -> CodeMap | str:
        """Return the code to replay runs with: given or configured, else what the user named last."""
        return self._given or self.place.code

    def use_code(self, text: str) -> None:
        """Use the code that the user named."""
        self._given = None
        self.update_saved_place(code=text)

    # Ways

    def open_run(self, run: str, event: int | None = None, pane: str = "payload") -> None:
        """Open the debugger at a run, with one of its panes shown first."""
        self.push_screen(DebuggerScreen(run, event, pane))

    def check_runs(self, run_keys: Sequence[str]) -> None:
        """Replay these runs; the screens reload their verdicts when they are shown again."""

        def show_check_summary(report: CheckReport | None) -> None:
            if report is not None:
                self.checks_made += 1
                self.notify(checking.summarize_report(report), title="Checked", markup=False, timeout=6)

        self.push_screen(CodeDialog(checking.CheckWork(run_keys), self.default_check_code), show_check_summary)

    @property
    def default_check_code(self) -> str:
        """Return one code for all runs: what the user named last, else what the settings name."""
        named = self.place.code
        several = "=" in named or "--git" in named
        return " ".join(map(shlex.quote, self.desk.session.checks.configured_code)) if several or not named else named

    @work(exclusive=True, group="reset")
    async def choose_reset_point(self, run_keys: Sequence[str], event: int | None = None) -> None:
        """Ask for the point to which these runs are reset, then show the plan."""
        try:
            builds = await run_in_thread(self.desk.list_reset_builds, run_keys)
        except ReplaytoolError as error:
            self.notify(escape_controls(error.message), severity="warning", markup=False)
            return
        found = [ResetRequest(tuple(run_keys), build=row["build_id"]) for row in builds]
        if event is not None:
            found.append(ResetRequest(tuple(run_keys), event=event))

        def open_reset_screen(index: int | None) -> None:
            if index is not None:
                self.push_screen(ResetScreen(found[index]))

        title = f"Reset {len(run_keys):,} runs to before" if len(run_keys) > 1 else "Reset this run to before"
        self.push_screen(
            ChoiceDialog(
                title, reset_panes.format_reset_choices(builds, event), "no build is recorded", "Enter shows the plan"
            ),
            open_reset_screen,
        )

    def open_reset_plan(self, wanted: ResetRequest) -> None:
        """Show what such a reset would do."""
        self.push_screen(ResetScreen(wanted))

    def show_filtered_runs(self, text: str) -> None:
        """Show the run list with a filter."""
        self.action_visit("runs")
        runs = self.screen
        if isinstance(runs, RunsScreen):
            runs.set_filter(text)

    def action_visit(self, name: str) -> None:
        """Go back to a screen that is open below, or open it."""
        wanted = SCREENS_BY_KEY[name]
        if any(isinstance(screen, wanted) for screen in self.screen_stack):
            while not isinstance(self.screen, wanted):
                self.pop_screen()
        else:
            self.push_screen(wanted())

    def go_back(self) -> None:
        """Go to the screen below; from the first screen, exit."""
        below = self.screen_stack[:-1]
        if any(isinstance(screen, base.BaseScreen) for screen in below):
            self.pop_screen()
            if isinstance(self.screen, RunsScreen):
                self.update_saved_place(event=None)
        else:
            self.exit()

    async def action_back(self) -> None:
        """Go back."""
        self.go_back()

    def action_help(self) -> None:
        """Show the keys of this screen."""
        if isinstance(self.screen, base.BaseScreen):
            self.push_screen(PageDialog("Keys", base.format_help_lines(self.screen.help_groups(), self.keymap)))


def _parse_saved_breakpoints(texts: Sequence[str]) -> tuple[Breakpoint, ...]:
    """Return the breakpoints that still parse."""
    found = []
    for text in texts:
        try:
            found.append(parse_breakpoint(text))
        except ReplaytoolError:
            continue
    return tuple(found)


if TYPE_CHECKING:
    # Textual's metaclass forbids to inherit the protocol, so this line has the type checker compare the two.
    _HOST: type[ScreenHost] = ReplayApp
