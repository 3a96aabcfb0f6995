"""What every screen has: a line about where one is, the foot with the keys, and a way to ask without waiting."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from rich.text import Text
from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Footer, Static

from replaytool.errors import ReplaytoolError
from replaytool.tui import editor, keys
from replaytool.tui.session_worker import away
from replaytool.tui.styled_lines import Line, cell
from replaytool.tui.text import recorded as recorded_panes

if TYPE_CHECKING:
    from replaytool.tui.app import ReplayApp

Answer = TypeVar("Answer")
_MOST_COPIED = 1_000_000


class Base(Screen[None]):
    """One screen of the app."""

    GROUP = "Everywhere"
    AUTO_FOCUS = "Listing"
    _checks_seen: int | None = None

    @property
    def home(self) -> ReplayApp:
        """The app, as what it is."""
        return cast("ReplayApp", self.app)

    def compose(self) -> ComposeResult:
        """Head, body, foot."""
        yield Static(id="head", markup=False)
        yield from self.body()
        yield Footer(compact=True)

    def body(self) -> ComposeResult:
        """What is particular to the screen."""
        raise NotImplementedError

    def title_is(self, *parts: str, right: str = "") -> None:
        """The line at the top; what others wrote in it is made harmless here."""
        text = Text(" ")
        for number, part in enumerate(filter(None, parts)):
            text.append(" · " if number else "", "dim")
            text.append(cell(part, 60), "bold" if number == 0 else "")
        if right:
            text.append(f"   {right}", "dim")
        text.no_wrap, text.overflow = True, "ellipsis"
        self.query_one("#head", Static).update(text, layout=False)

    async def ask(
        self, question: Callable[..., Answer], *arguments: Any, wrong: Callable[[Line], None] | Callable[..., None]
    ) -> Answer | None:
        """The answer, or None after the complaint was shown where the answer would have been."""
        try:
            return await away(question, *arguments)
        except ReplaytoolError as error:
            wrong(*recorded_panes.complaint(error))
            return None

    def copy(self, value: Any, what: str) -> None:
        """Put it on the terminal's clipboard."""
        text = value if isinstance(value, str) else json.dumps(value, indent=2, default=str)
        if len(text) > _MOST_COPIED:
            self.app.notify(f"{what} is too long to copy: {len(text):,} characters", severity="warning", markup=False)
            return
        self.app.copy_to_clipboard(text)
        self.app.notify(f"copied {what}, {len(text):,} characters", markup=False, timeout=2)

    def say(self, text: str, *, wrong: bool = False) -> None:
        """A word in the corner."""
        self.app.notify(cell(text, 300), markup=False, severity="warning" if wrong else "information", timeout=4)

    def edit(self, file: str | None, number: int) -> None:
        """A line of code in $EDITOR."""
        try:
            if file is None:
                raise ReplaytoolError("no line of code is known here", "")
            editor.edit(self.app, file, number)
        except ReplaytoolError as error:
            self.say(f"{error.message}{'; ' if error.hint else ''}{error.hint}", wrong=True)

    def help_groups(self) -> tuple[str, ...]:
        """Whose keys the help lists."""
        return (
            (self.GROUP, "Lists", "Tables", "Everywhere") if self.query("Grid") else (self.GROUP, "Lists", "Everywhere")
        )

    def on_screen_resume(self) -> None:
        """Read again what a check has changed while another screen lay over this one."""
        seen, self._checks_seen = self._checks_seen, self.home.checks_made
        if seen is not None and seen != self._checks_seen:
            self.verdicts_changed()

    def verdicts_changed(self) -> None:
        """Only some screens show verdicts."""

    def action_back(self) -> None:
        """To the screen below, or out."""
        self.home.back()


def help_lines(groups: tuple[str, ...], keymap: Mapping[str, str]) -> list[Line]:
    """The keys of some groups, as the help shows them."""
    found: list[Line] = []
    for group in groups:
        found.append(((group, "strong"),))
        for row in keys.KEYS[group]:
            bound = keymap.get(keys.full_name(group, row), row.keys)
            found.append(((f"  {keys.shown(bound):<14}", "key"), (row.meaning, "")))
        found.append(())
    return found[:-1]
