"""A query, its result, and what was wrong with it. The store is open for reading only, and no file is within reach."""

from __future__ import annotations

import time
from typing import Any, ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import Static, TextArea

from replaytool.tui import keys
from replaytool.tui.screens.base import Base
from replaytool.tui.session_worker import MOST_ROWS
from replaytool.tui.styled_lines import line
from replaytool.tui.widgets.line_list import Listing
from replaytool.tui.widgets.table import Grid, plain_columns

_FIRST = "SELECT workflow_type, status, count(*) AS runs\nFROM runs\nGROUP BY ALL\nORDER BY runs DESC"


class Sql(Base):
    """Query above, result below."""

    GROUP = "SQL"
    AUTO_FOCUS = "TextArea"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("SQL")

    def body(self) -> ComposeResult:
        """Editor, a line about the result, the result."""
        with Vertical(id="sql"):
            yield TextArea(self.home.place.query or _FIRST, id="query", show_line_numbers=False)
            yield Static(id="note", markup=False)
            yield Grid("result")

    def on_mount(self) -> None:
        """Nothing is run before somebody asks."""
        self.editor, self.grid = self.query_one(TextArea), self.query_one(Grid)
        self.editor.border_title = "Query (read only)"
        self.grid.border_title = "Result"
        self.title_is("SQL", str(self.home.desk.session.settings.store))
        self.grid.tell(
            line(("F5 or ^r runs the query", "strong")),
            line(("views: runs events activities tasks signals updates timers", "dim")),
            line(("children markers builds reset_points verdicts problems", "dim")),
        )

    @work(exclusive=True, group="load")
    async def action_execute(self) -> None:
        """Run it."""
        query = self.editor.text
        self.home.remember(query=query)
        self._note("running…")
        started = time.monotonic()
        found = await self.ask(self.home.desk.sql, query, wrong=self._refuse)
        if found is None:
            return
        took = time.monotonic() - started
        self.grid.focus()
        self.grid.show(plain_columns(found.names), found, (line(("no rows", "dim")),))
        first = (
            f"the first {MOST_ROWS:,} rows; a narrower query shows the others" if found.cut else f"{len(found):,} rows"
        )
        self._note(f"{first}, {took:.2f} s")

    def _refuse(self, *why: Any) -> None:
        self._note("")
        self.grid.tell(*why)

    def _note(self, text: str) -> None:
        self.query_one("#note", Static).update(Text(f" {text}", "dim"))

    def on_listing_chosen(self, event: Listing.Chosen) -> None:
        """Open the run that the row names."""
        row = self.grid.current
        if not isinstance(row.get("run_key"), str):
            self.say("the row names no run: select run_key too, and event_id to come to an event", wrong=True)
            return
        number = row.get("event_id")
        self.home.open_run(row["run_key"], number if isinstance(number, int) else None)

    def action_leave_editor(self) -> None:
        """To the result."""
        self.grid.focus()

    def action_edit(self) -> None:
        """To the query."""
        self.editor.focus()

    def action_copy(self) -> None:
        """The row."""
        if self.grid.current is not None:
            self.copy(self.grid.current, "the row")
