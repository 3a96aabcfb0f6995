"""Small screens over the others: a line to write, a list to choose from, a page to read."""

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
from replaytool.tui.styled_lines import Line, cell, line, plain
from replaytool.tui.widgets.line_list import Listing, Pane

Result = TypeVar("Result")


class Dialog(ModalScreen[Result], Generic[Result]):
    """What all of them share: Escape closes."""

    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("Dialogs", show=False)

    def action_close(self) -> None:
        """Change nothing."""
        self.dismiss(None)

    def action_choose(self) -> None:
        """Those with something to choose do it by message."""

    def action_delete(self) -> None:
        """Only in lists that can shrink."""

    def action_add(self) -> None:
        """Only in lists that can grow."""


class Prompt(Dialog[str]):
    """One line to write; it stays open until what is written makes sense."""

    def __init__(self, title: str, example: str, value: str = "", check: Callable[[str], object] | None = None) -> None:
        super().__init__()
        self._title, self._example, self._value, self._check = title, example, value, check

    def compose(self) -> ComposeResult:
        """A title, the line, and what is wrong with it."""
        with Vertical(id="dialog") as box:
            box.border_title = self._title
            yield Input(self._value, placeholder=self._example)
            yield Label(Text(""), id="wrong", markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take it, or say why not."""
        try:
            if self._check is not None:
                self._check(event.value)
        except ReplaytoolError as error:
            self.query_one("#wrong", Label).update(Text(f"✗ {cell(error.message)}; {cell(error.hint)}"))
            return
        self.dismiss(event.value)


class Page(Dialog[None]):
    """Lines to read."""

    PANE = "page"
    FOOT = "Esc closes"

    def __init__(self, title: str, lines: Sequence[Line]) -> None:
        super().__init__()
        self._title, self._lines = title, lines

    def compose(self) -> ComposeResult:
        """One pane, as high as the lines need."""
        yield Pane(self._title, self.PANE)

    def on_mount(self) -> None:
        """The keys scroll it."""
        pane = self.query_one(Pane)
        pane.border_subtitle = self.FOOT
        pane.show(self._lines)
        pane.focus()


class Question(Page):
    """Lines to read, and a place that Enter leads to."""

    PANE = "answer"
    FOOT = "Enter goes there, Esc closes"

    def __init__(self, title: str, lines: Sequence[Line], act: Callable[[], object]) -> None:
        super().__init__(title, lines)
        self._act = act

    def action_choose(self) -> None:
        """Go."""
        self.dismiss(None)
        self._act()


class _Lines(Listing):
    """Lines with a cursor."""

    def __init__(self) -> None:
        super().__init__("choices")
        self.lines: Sequence[Line] = ()

    def row(self, index: int) -> Line:
        return self.lines[index]


class Choice(Dialog[int]):
    """Lines of which one is chosen by its number."""

    def __init__(
        self, title: str, lines: Sequence[Line], empty: str, subtitle: str = "Enter goes there, Esc closes"
    ) -> None:
        super().__init__()
        self._title, self._lines, self._empty, self._subtitle = title, lines, empty, subtitle

    def compose(self) -> ComposeResult:
        """One list, and the whole of its current line."""
        with Vertical(id="choice") as box:
            box.border_title, box.border_subtitle = self._title, self._subtitle
            yield _Lines()
            yield Label(Text(""), id="detail", markup=False)

    def on_mount(self) -> None:
        """The keys move in it."""
        self.show(self._lines)
        self.query_one(_Lines).focus()

    def on_listing_moved(self, event: Listing.Moved) -> None:
        """A long line is told in full below the list."""
        listing = self.query_one(_Lines)
        text = plain([listing.lines[listing.cursor]]) if listing.count else ""
        self.query_one("#detail", Label).update(Text(text))

    def show(self, lines: Sequence[Line], cursor: int = 0) -> None:
        """Other lines."""
        listing = self.query_one(_Lines)
        listing.lines = lines
        listing.fill(len(lines), [line((self._empty, "dim"))], cursor)

    def on_listing_chosen(self, event: Listing.Chosen) -> None:
        """This one."""
        self.dismiss(event.listing.cursor)


class Texts(Choice):
    """Texts that a person keeps, breakpoints or expressions; the caller is told of each change at once."""

    def __init__(
        self,
        title: str,
        found: Sequence[str],
        changed: Callable[[Sequence[str]], None],
        example: str,
        check: Callable[[str], object] | None = None,
    ) -> None:
        self._found, self._changed, self._example, self._checked = list(found), changed, example, check
        super().__init__(title, self._rows(), "none: a adds one", "a adds, d deletes, Esc closes")

    def _rows(self) -> list[Line]:
        return [line(("● ", "bad"), cell(one)) for one in self._found]

    def action_delete(self) -> None:
        """The one under the cursor."""
        listing = self.query_one(_Lines)
        if self._found:
            del self._found[listing.cursor]
            self._tell(listing.cursor)

    def action_add(self) -> None:
        """A new one, written."""
        self.app.push_screen(Prompt("A new one", self._example, check=self._checked), self._add)

    def on_listing_chosen(self, event: Listing.Chosen) -> None:
        """There is nothing to go to."""

    def _add(self, text: str | None) -> None:
        if text and text.strip() and text.strip() not in self._found:
            self._found.append(text.strip())
            self._tell(len(self._found) - 1)

    def _tell(self, cursor: int) -> None:
        self.show(self._rows(), cursor)
        self._changed(tuple(self._found))
