"""General dialogs: a line to write, a list to choose from, a page to read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Generic, TypeVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label

from replaytool.errors import ReplaytoolError
from replaytool.tui import keys
from replaytool.tui.styled_lines import Line, cell_text, line, plain_text
from replaytool.tui.widgets.line_list import LineList, TextPane

Result = TypeVar("Result")


class Dialog(ModalScreen[Result], Generic[Result]):
    """The base of all dialogs: Escape closes it."""

    BINDINGS: ClassVar[list[BindingType]] = keys.build_bindings("Dialogs", show=False)

    def action_close(self) -> None:
        """Close, and change nothing."""
        self.dismiss(None)

    def action_choose(self) -> None:
        """Do nothing; lists report their choice by message."""

    def action_delete(self) -> None:
        """Do nothing; only some lists can delete."""

    def action_add(self) -> None:
        """Do nothing; only some lists can add."""


class PromptDialog(Dialog[str]):
    """One line to write; it stays open until the text is valid."""

    def __init__(self, title: str, example: str, value: str = "", check: Callable[[str], object] | None = None) -> None:
        super().__init__()
        self._title, self._example, self._value, self._check = title, example, value, check

    def compose(self) -> ComposeResult:
        """Yield the line and the error below it."""
        with Vertical(id="dialog") as box:
            box.border_title = self._title
            yield Input(self._value, placeholder=self._example)
            yield Label(Text(""), id="wrong", markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Return the text, or show what is wrong with it."""
        try:
            if self._check is not None:
                self._check(event.value)
        except ReplaytoolError as error:
            self.query_one("#wrong", Label).update(Text(f"✗ {cell_text(error.format_line())}"))
            return
        self.dismiss(event.value)


class PageDialog(Dialog[None]):
    """Lines to read."""

    PANE = "page"
    FOOT = "Esc closes"

    def __init__(self, title: str, lines: Sequence[Line]) -> None:
        super().__init__()
        self._title, self._lines = title, lines

    def compose(self) -> ComposeResult:
        """Yield one pane."""
        yield TextPane(self._title, self.PANE)

    def on_mount(self) -> None:
        """Show the lines; the keys scroll them."""
        pane = self.query_one(TextPane)
        pane.border_subtitle = self.FOOT
        pane.show_lines(self._lines)
        pane.focus()


class GoToDialog(PageDialog):
    """Lines to read, and an action for Enter."""

    PANE = "answer"
    FOOT = "Enter goes there, Esc closes"

    def __init__(self, title: str, lines: Sequence[Line], act: Callable[[], object]) -> None:
        super().__init__(title, lines)
        self._act = act

    def action_choose(self) -> None:
        """Close, then go there."""
        self.dismiss(None)
        self._act()


class ChoiceDialog(Dialog[int]):
    """A list; returns the index of the chosen line."""

    def __init__(
        self, title: str, lines: Sequence[Line], empty: str, subtitle: str = "Enter goes there, Esc closes"
    ) -> None:
        super().__init__()
        self._title, self._lines, self._empty, self._subtitle = title, lines, empty, subtitle

    def compose(self) -> ComposeResult:
        """Yield the list and the full text of its selected line."""
        with Vertical(id="choice") as box:
            box.border_title, box.border_subtitle = self._title, self._subtitle
            yield LineList("choices")
            yield Label(Text(""), id="detail", markup=False)

    def on_mount(self) -> None:
        """Show the lines."""
        self.show_lines(self._lines)
        self.query_one(LineList).focus()

    def on_line_list_moved(self, event: LineList.Moved) -> None:
        """Show the selected line in full below the list."""
        listing = self.query_one(LineList)
        text = plain_text([listing.lines[listing.cursor]]) if listing.count else ""
        self.query_one("#detail", Label).update(Text(text))

    def show_lines(self, lines: Sequence[Line], cursor: int = 0) -> None:
        """Show other lines."""
        listing = self.query_one(LineList)
        listing.lines = lines
        listing.set_rows(len(lines), [line((self._empty, "dim"))], cursor)

    def on_line_list_chosen(self, event: LineList.Chosen) -> None:
        """Return the index."""
        self.dismiss(event.listing.cursor)


class TextListDialog(ChoiceDialog):
    """A list of breakpoints or expressions; `changed` is called at each change."""

    def __init__(
        self,
        title: str,
        found: Sequence[str],
        changed: Callable[[Sequence[str]], None],
        example: str,
        check: Callable[[str], object] | None = None,
    ) -> None:
        self._found, self._changed, self._example, self._checked = list(found), changed, example, check
        super().__init__(title, self._format_texts(), "none; press a to add one", "a adds, d deletes, Esc closes")

    def _format_texts(self) -> list[Line]:
        return [line(("● ", "bad"), cell_text(one)) for one in self._found]

    def action_delete(self) -> None:
        """Delete the selected text."""
        listing = self.query_one(LineList)
        if self._found:
            del self._found[listing.cursor]
            self._report_change(listing.cursor)

    def action_add(self) -> None:
        """Ask for a new text."""
        self.app.push_screen(PromptDialog("New entry", self._example, check=self._checked), self._add_text)

    def on_line_list_chosen(self, event: LineList.Chosen) -> None:
        """Do nothing: Enter has no meaning here."""

    def _add_text(self, text: str | None) -> None:
        if text and text.strip() and text.strip() not in self._found:
            self._found.append(text.strip())
            self._report_change(len(self._found) - 1)

    def _report_change(self, cursor: int) -> None:
        self.show_lines(self._format_texts(), cursor)
        self._changed(tuple(self._found))
