"""Widgets that paint line by line: what is not on the screen costs nothing, however long the list is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.actions import SkipAction
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from replaytool.tui import keys
from replaytool.tui.styled_lines import ROLES, Line, fitting, folded, line, plain

_REVERSE = Style(reverse=True)


class Painter(ScrollView, can_focus=True, inherit_bindings=False):
    """A scrolling surface made of lines of text with roles."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"painter--{role}" for role in ROLES}
    BINDINGS = keys.bindings("Lists", show=False)

    def __init__(self, id: str) -> None:  # noqa: A002
        self._looks: dict[str, Style] = {}
        super().__init__(id=id)

    def role(self, name: str) -> Style:
        """What a role looks like in this theme; working it out costs more than painting the line."""
        if name not in self._looks:
            style = self.get_component_rich_style(f"painter--{name}") if name else self.rich_style
            # Without colour, only what is turned round shows where the cursor is.
            self._looks[name] = style + _REVERSE if name == "cursor" and self.app.no_color else style
        return self._looks[name]

    def notify_style_update(self) -> None:
        """Another theme, or the focus came or went."""
        super().notify_style_update()
        self._looks.clear()

    def strip(self, pieces: Line, role: str = "") -> Strip:
        """One line as wide as the widget, `role` lying over all of it."""
        over = self.role(role) if role else None
        width = self.scrollable_content_region.width
        segments = [Segment(text, over if over else self.role(name)) for text, name in pieces]
        return Strip(segments).adjust_cell_length(width, over or self.role(""))

    def reach(self, lines: int) -> None:
        """So many lines there are; where they do not make the widget higher, no other one is laid out anew."""
        size = Size(0, lines)
        if self.styles.is_auto_height:
            self.virtual_size = size
        elif size != self.virtual_size:
            self.set_reactive(ScrollView.virtual_size, size)
            self._scroll_update(size)

    def action_move(self, by: int) -> None:
        """Scroll by lines; lists move their cursor instead."""
        self.scroll_relative(y=by, animate=False)

    def action_page(self, by: int) -> None:
        """Scroll by what is visible."""
        self.scroll_relative(y=by * max(self.scrollable_content_region.height - 1, 1), animate=False)

    def action_edge(self, to: int) -> None:
        """Scroll to the top or the bottom."""
        self.scroll_to(y=0 if to < 0 else self.virtual_size.height, animate=False)

    def action_choose(self) -> None:
        """Only lists have something to choose; elsewhere the key is the screen's."""
        raise SkipAction


class Pane(Painter):
    """Lines to read, broken to the width of the pane."""

    def __init__(self, title: str, id: str) -> None:  # noqa: A002
        super().__init__(id)
        self.border_title = title
        self._lines: Sequence[Line] = ()
        self._folded: list[Line] = []

    @property
    def text(self) -> str:
        """What it says."""
        return plain(self._lines)

    def show(self, lines: Iterable[Line], *, stay: bool = False) -> None:
        """Other lines, from the top unless `stay`."""
        self._lines = tuple(lines)
        if not stay:
            self.scroll_to(y=0, animate=False)
        if not self.display:
            return  # it is given a size when it is shown, and folds then
        self._fold()
        self.refresh()

    def add(self, lines: Iterable[Line]) -> None:
        """More lines below those that are there."""
        self.show((*self._lines, *lines), stay=True)

    def on_resize(self) -> None:
        """The lines break elsewhere now; as many of them as before would not be painted anew."""
        self._fold()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line of what is visible."""
        index = y + self.scroll_offset.y
        return self.strip(self._folded[index] if index < len(self._folded) else ())

    def _fold(self) -> None:
        width = max(self.scrollable_content_region.width, 1)
        self._folded = folded(self._lines, width)
        self.reach(len(self._folded))


class Listing(Painter):
    """A list of any length with a cursor; how a line looks is said by those who inherit."""

    class Moved(Message):
        """The cursor stands elsewhere."""

        def __init__(self, listing: Listing) -> None:
            super().__init__()
            self.listing = listing

        @property
        def control(self) -> Listing:
            """Whose cursor it is."""
            return self.listing

    class Chosen(Moved):
        """Somebody pressed Enter."""

    def __init__(self, id: str, heads: int = 0) -> None:  # noqa: A002
        super().__init__(id)
        self.count = 0
        self.cursor = 0
        self._heads = heads
        self._placed_at = 0.0
        """How far down it was put when the cursor last jumped, or lines or a size came: elsewhere, it was scrolled."""
        self._notice: Sequence[Line] = (line(("loading…", "dim")),)

    def fill(self, count: int, notice: Iterable[Line] = (), cursor: int = 0) -> None:
        """So many lines; the notice says why there are none."""
        self.count, self._notice = count, tuple(notice)
        self.reach(count + self._heads)
        self._place(cursor)
        self.refresh()

    def tell(self, *notice: Line) -> None:
        """No lines, but a word about it: that it loads, that it is empty, that it went wrong."""
        self.fill(0, notice)

    def go(self, index: int) -> None:
        """Put the cursor on a line, and the line on the screen."""
        index = max(0, min(index, self.count - 1))
        if index == self.cursor:
            return
        before, self.cursor = self.cursor, index
        height = max(self.scrollable_content_region.height - self._heads, 1)
        top = self.scroll_offset.y
        if not top <= index < top + height:
            near = index == top - 1 or index == top + height
            to = (index if index < top else index - height + 1) if near else index - height // 3
            self.scroll_to(y=max(to, 0), animate=False, force=True)
            self._placed_at = self._placed_at if near else self.scroll_y
            self.refresh()
        else:
            self.refresh_row(before)
            self.refresh_row(index)
        self.post_message(self.Moved(self))

    def action_move(self, by: int) -> None:
        """The cursor, by lines."""
        self.go(self.cursor + by)

    def action_page(self, by: int) -> None:
        """The cursor, by what is visible."""
        self.go(self.cursor + by * max(self.scrollable_content_region.height - self._heads - 1, 1))

    def action_edge(self, to: int) -> None:
        """The cursor, to an end."""
        self.go(0 if to < 0 else self.count - 1)

    def action_choose(self) -> None:
        """Tell the screen."""
        if self.count:
            self.post_message(self.Chosen(self))

    def on_click(self, event: events.Click) -> None:
        """One click moves the cursor, two choose."""
        index = event.get_content_offset_capture(self).y - self._heads + self.scroll_offset.y
        if event.get_content_offset_capture(self).y >= self._heads and index < self.count:
            self.go(index)
            if event.chain == 2:
                self.action_choose()

    def on_resize(self) -> None:
        """What was on the screen stays there; where nobody has scrolled, it looks as if it always had this size."""
        if self.scroll_y == self._placed_at:
            self._place(self.cursor)
        else:
            cursor, self.cursor = self.cursor, -1
            self.go(cursor)

    def _place(self, cursor: int) -> None:
        """From the top if that leaves room behind the cursor, else with a third of the lines before it."""
        height = max(self.scrollable_content_region.height - self._heads, 1)
        self.scroll_to(y=0 if cursor < height * 2 // 3 else cursor - height // 3, animate=False, force=True)
        self.cursor = -1
        self.go(cursor)
        self._placed_at = self.scroll_y

    def render_line(self, y: int) -> Strip:
        """A heading, a line of the list, or the notice in place of both."""
        if not self.count:
            return self.strip(self._noticed(y))
        if y < self._heads:
            return self.strip(self.head(y), "head")
        index = y - self._heads + self.scroll_offset.y
        if index >= self.count:
            return self.strip(())
        return self.strip(self.row(index), "cursor" if index == self.cursor else "")

    def _noticed(self, y: int) -> Line:
        region = self.scrollable_content_region
        index = y - max((region.height - len(self._notice)) // 2, 0)
        if not 0 <= index < len(self._notice):
            return ()
        # As one block, for an error may point at a place in the line above.
        longest = max(sum(cell_len(text) for text, _ in pieces) for pieces in self._notice)
        return line(" " * max((region.width - longest) // 2, 0), *self._notice[index])

    def head(self, index: int) -> Line:
        """A line that does not scroll."""
        return ()

    def row(self, index: int) -> Line:
        """A line of the list."""
        raise NotImplementedError

    def on_focus(self) -> None:
        """The cursor looks different in the focused list."""
        self.refresh()

    def shown(self) -> range:
        """The lines that are on the screen."""
        top = self.scroll_offset.y
        return range(top, min(top + self.scrollable_content_region.height, self.count))

    def refresh_row(self, index: int) -> None:
        """Paint one line anew."""
        y = index - self.scroll_offset.y + self._heads
        self.refresh(Region(0, y, self.scrollable_content_region.width, 1))


def padded(text: str, width: int, *, right: bool = False) -> str:
    """The text in exactly so many cells, cut with an ellipsis where it is longer."""
    length = cell_len(text)
    if length > width:
        text = fitting(text, width - 1) + "…" if width > 0 else ""
        length = cell_len(text)
    return " " * (width - length) + text if right else text + " " * (width - length)
