"""What every screen has: a title line, a footer with the keys, and a way to ask the session without blocking."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar, cast

from rich.text import Text
from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Footer, Static

from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.tui import editor, keys
from replaytool.tui.session_worker import run_in_thread
from replaytool.tui.styled_lines import Line, cell_text
from replaytool.tui.text import recorded as recorded_panes

if TYPE_CHECKING:
    from replaytool.tui.screen_host import ScreenHost

Answer = TypeVar("Answer")
_MOST_COPIED = 1_000_000


class BaseScreen(Screen[None]):
    """One screen of the application."""

    GROUP = "Everywhere"
    AUTO_FOCUS = "LineList"
    _checks_seen: int | None = None

    @property
    def replay_app(self) -> ScreenHost:
        """Return the application as screens see it."""
        return cast("ScreenHost", self.app)

    def compose(self) -> ComposeResult:
        """Yield the title line, the body and the footer."""
        yield Static(id="head", markup=False)
        yield from self.compose_body()
        yield Footer(compact=True)

    def compose_body(self) -> ComposeResult:
        """Yield the widgets of this screen; none by default."""
        yield from ()

    def show_title(self, *parts: str, right: str = "") -> None:
        """Show the title line; control characters in recorded names are made visible."""
        text = Text(" ")
        for number, part in enumerate(filter(None, parts)):
            text.append(" · " if number else "", "dim")
            text.append(cell_text(part, 60), "bold" if number == 0 else "")
        if right:
            text.append(f"   {right}", "dim")
        text.no_wrap, text.overflow = True, "ellipsis"
        self.query_one("#head", Static).update(text, layout=False)

    async def ask_session(
        self, question: Callable[..., Answer], *arguments: object, wrong: Callable[[Line], None] | Callable[..., None]
    ) -> Answer | None:
        """Return the answer, or None after passing the error's lines to `wrong`."""
        try:
            return await run_in_thread(question, *arguments)
        except ReplaytoolError as error:
            wrong(*recorded_panes.format_error(error))
            return None

    def copy_value(self, value: object, what: str) -> None:
        """Copy a text, or a value as JSON, to the terminal's clipboard."""
        text = value if isinstance(value, str) else json.dumps(value, indent=2, default=str)
        if len(text) > _MOST_COPIED:
            self.app.notify(f"{what} is too long to copy: {len(text):,} characters", severity="warning", markup=False)
            return
        self.app.copy_to_clipboard(text)
        self.app.notify(f"copied {what}, {len(text):,} characters", markup=False, timeout=2)

    def show_message(self, text: str, *, wrong: bool = False) -> None:
        """Show a short message in the corner."""
        self.app.notify(cell_text(text, 300), markup=False, severity="warning" if wrong else "information", timeout=4)

    def edit_code_line(self, file: str | None, number: int) -> None:
        """Open a line of code in $EDITOR."""
        try:
            if file is None:
                raise ReplaytoolError("no line of code is known here", "", code=ErrorCode.TUI_EDITOR_FILE)
            editor.open_in_editor(self.app, file, number)
        except ReplaytoolError as error:
            self.show_message(error.format_line(), wrong=True)

    def help_groups(self) -> tuple[str, ...]:
        """Return the groups of keys that the help lists."""
        return (
            (self.GROUP, "Lists", "Tables", "Everywhere")
            if self.query("DataGrid")
            else (self.GROUP, "Lists", "Everywhere")
        )

    def on_screen_resume(self) -> None:
        """Reload verdicts if a check ran while another screen covered this one."""
        seen, self._checks_seen = self._checks_seen, self.replay_app.checks_made
        if seen is not None and seen != self._checks_seen:
            self.reload_verdicts()

    def reload_verdicts(self) -> None:
        """Reload verdicts; most screens show none."""

    def action_back(self) -> None:
        """Go to the screen below, or exit."""
        self.replay_app.go_back()


def format_help_lines(groups: tuple[str, ...], keymap: Mapping[str, str]) -> list[Line]:
    """Return the help text for some groups of keys."""
    found: list[Line] = []
    for group in groups:
        found.append(((group, "strong"),))
        for row in keys.KEYS[group]:
            bound = keymap.get(keys.qualified_name(group, row), row.keys)
            found.append(((f"  {keys.format_keys(bound):<14}", "key"), (row.meaning, "")))
        found.append(())
    return found[:-1]
