"""Widgets that draw line by line. Only visible lines cost time, however long the list is."""

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
from replaytool.tui.styled_lines import ROLES, Line, fit_text, fold_lines, line, plain_text

_REVERSE = Style(reverse=True)


class LineView(ScrollView, can_focus=True, inherit_bindings=False):
    """A scrolling view of lines with roles."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"line-view--{role}" for role in ROLES}
    BINDINGS = keys.build_bindings("Lists", show=False)

    def __init__(self, id: str) -> None:  # noqa: A002
        self._looks: dict[str, Style] = {}
        super().__init__(id=id)

    def role_style(self, name: str) -> Style:
        """Return the style of a role in this theme; cached, since computing it costs more than drawing a line."""
        if name not in self._looks:
            style = self.get_component_rich_style(f"line-view--{name}") if name else self.rich_style
            # Without colour, only what is turned round shows where the cursor is.
            self._looks[name] = style + _REVERSE if name == "cursor" and self.app.no_color else style
        return self._looks[name]

    def notify_style_update(self) -> None:
        """Drop the cached styles when the theme or the focus changes."""
        super().notify_style_update()
        self._looks.clear()

    def styled_strip(self, pieces: Line, role: str = "") -> Strip:
        """Return one line as wide as the widget; `role` overrides the roles of all pieces."""
        over = self.role_style(role) if role else None
        width = self.scrollable_content_region.width
        segments = [Segment(text, over if over else self.role_style(name)) for text, name in pieces]
        return Strip(segments).adjust_cell_length(width, over or self.role_style(""))

    def set_line_count(self, lines: int) -> None:
        """Set the number of lines; other widgets are laid out again only if the height depends on it."""
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
        """Scroll by pages."""
        self.scroll_relative(y=by * max(self.scrollable_content_region.height - 1, 1), animate=False)

    def action_edge(self, to: int) -> None:
        """Scroll to the top or the bottom."""
        self.scroll_to(y=0 if to < 0 else self.virtual_size.height, animate=False)

    def action_choose(self) -> None:
        """Leave the key to the screen; only lists have something to choose."""
        raise SkipAction


class TextPane(LineView):
    """Lines to read, broken to the width of the pane."""

    def __init__(self, title: str, id: str) -> None:  # noqa: A002
        super().__init__(id)
        self.border_title = title
        self._lines: Sequence[Line] = ()
        self._folded: list[Line] = []

    @property
    def plain_text(self) -> str:
        """Return the lines without roles."""
        return plain_text(self._lines)

    def show_lines(self, lines: Iterable[Line], *, stay: bool = False) -> None:
        """Show other lines, from the top unless `stay`."""
        self._lines = tuple(lines)
        if not stay:
            self.scroll_to(y=0, animate=False)
        if not self.display:
            return  # it is given a size when it is shown, and folds then
        self._refold_lines()
        self.refresh()

    def add_lines(self, lines: Iterable[Line]) -> None:
        """Add lines at the end."""
        self.show_lines((*self._lines, *lines), stay=True)

    def on_resize(self) -> None:
        """Break the lines to the new width."""
        self._refold_lines()
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Draw one visible line."""
        index = y + self.scroll_offset.y
        return self.styled_strip(self._folded[index] if index < len(self._folded) else ())

    def _refold_lines(self) -> None:
        width = max(self.scrollable_content_region.width, 1)
        self._folded = fold_lines(self._lines, width)
        self.set_line_count(len(self._folded))


class LineList(LineView):
    """A list of any length with a cursor. It shows `lines`; a subclass may make each row when it is drawn instead."""

    class Moved(Message):
        """The cursor moved."""

        def __init__(self, listing: LineList) -> None:
            super().__init__()
            self.listing = listing

        @property
        def control(self) -> LineList:
            """Return the list."""
            return self.listing

    class Chosen(Moved):
        """The user pressed Enter, or clicked twice."""

    def __init__(self, id: str, heads: int = 0) -> None:  # noqa: A002
        super().__init__(id)
        self.count = 0
        self.cursor = 0
        self.lines: Sequence[Line] = ()
        self._heads = heads
        self._placed_at = 0.0
        """How far down it was put when the cursor last jumped, or lines or a size came: elsewhere, it was scrolled."""
        self._notice: Sequence[Line] = (line(("loading…", "dim")),)

    def set_rows(self, count: int, notice: Iterable[Line] = (), cursor: int = 0) -> None:
        """Set the number of rows; the notice says why there are none."""
        self.count, self._notice = count, tuple(notice)
        self.set_line_count(count + self._heads)
        self._place_cursor(cursor)
        self.refresh()

    def show_notice(self, *notice: Line) -> None:
        """Show a notice in place of rows: that it loads, that it is empty, or an error."""
        self.set_rows(0, notice)

    def move_cursor(self, index: int) -> None:
        """Put the cursor on a row, and scroll to it."""
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
        """Move the cursor by rows."""
        self.move_cursor(self.cursor + by)

    def action_page(self, by: int) -> None:
        """Move the cursor by pages."""
        self.move_cursor(self.cursor + by * max(self.scrollable_content_region.height - self._heads - 1, 1))

    def action_edge(self, to: int) -> None:
        """Move the cursor to the first or last row."""
        self.move_cursor(0 if to < 0 else self.count - 1)

    def action_choose(self) -> None:
        """Report the choice to the screen."""
        if self.count:
            self.post_message(self.Chosen(self))

    def on_click(self, event: events.Click) -> None:
        """Move the cursor on one click, choose on two."""
        index = event.get_content_offset_capture(self).y - self._heads + self.scroll_offset.y
        if event.get_content_offset_capture(self).y >= self._heads and index < self.count:
            self.move_cursor(index)
            if event.chain == 2:
                self.action_choose()

    def on_resize(self) -> None:
        """Keep the visible rows if the user scrolled; else place the cursor as at the start."""
        if self.scroll_y == self._placed_at:
            self._place_cursor(self.cursor)
        else:
            cursor, self.cursor = self.cursor, -1
            self.move_cursor(cursor)

    def _place_cursor(self, cursor: int) -> None:
        """Show the list from its top if the cursor fits there, else with a third of the rows above the cursor."""
        height = max(self.scrollable_content_region.height - self._heads, 1)
        self.scroll_to(y=0 if cursor < height * 2 // 3 else cursor - height // 3, animate=False, force=True)
        self.cursor = -1
        self.move_cursor(cursor)
        self._placed_at = self.scroll_y

    def render_line(self, y: int) -> Strip:
        """Draw a heading, a row, or the notice in place of both."""
        if not self.count:
            return self.styled_strip(self._notice_line(y))
        if y < self._heads:
            return self.styled_strip(self.format_heading(y), "head")
        index = y - self._heads + self.scroll_offset.y
        if index >= self.count:
            return self.styled_strip(())
        return self.styled_strip(self.format_row(index), "cursor" if index == self.cursor else "")

    def _notice_line(self, y: int) -> Line:
        region = self.scrollable_content_region
        index = y - max((region.height - len(self._notice)) // 2, 0)
        if not 0 <= index < len(self._notice):
            return ()
        # As one block, for an error may point at a place in the line above.
        longest = max(sum(cell_len(text) for text, _ in pieces) for pieces in self._notice)
        return line(" " * max((region.width - longest) // 2, 0), *self._notice[index])

    def format_heading(self, index: int) -> Line:
        """Return a line that does not scroll."""
        return ()

    def format_row(self, index: int) -> Line:
        """Return a row of the list."""
        return self.lines[index]

    def on_focus(self) -> None:
        """Draw again: the cursor looks different in the focused list."""
        self.refresh()

    def visible_rows(self) -> range:
        """Return the rows on the screen."""
        top = self.scroll_offset.y
        return range(top, min(top + self.scrollable_content_region.height, self.count))

    def refresh_row(self, index: int) -> None:
        """Draw one row again."""
        y = index - self.scroll_offset.y + self._heads
        self.refresh(Region(0, y, self.scrollable_content_region.width, 1))


def pad_text(text: str, width: int, *, right: bool = False) -> str:
    """Return the text in exactly `width` cells, cut with an ellipsis if it is longer."""
    length = cell_len(text)
    if length > width:
        text = fit_text(text, width - 1) + "…" if width > 0 else ""
        length = cell_len(text)
    return " " * (width - length) + text if right else text + " " * (width - length)
