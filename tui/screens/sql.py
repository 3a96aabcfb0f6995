"""A query and its result. The store is opened read-only, and the query cannot reach files."""

from __future__ import annotations

import time
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import Static, TextArea

from replaytool.tui import keys
from replaytool.tui.screens.base import BaseScreen
from replaytool.tui.session_worker import MOST_ROWS
from replaytool.tui.styled_lines import Line, line
from replaytool.tui.widgets.line_list import LineList
from replaytool.tui.widgets.table import DataGrid, plain_columns

_FIRST = "SELECT workflow_type, status, count(*) AS runs\nFROM runs\nGROUP BY ALL\nORDER BY runs DESC"


class SqlScreen(BaseScreen):
    """The query above, the result below."""

    GROUP = "SQL"
    AUTO_FOCUS = "TextArea"
    BINDINGS: ClassVar[list[BindingType]] = keys.build_bindings("SQL")

    def compose_body(self) -> ComposeResult:
        """Yield the editor, a status line and the result table."""
        with Vertical(id="sql"):
            yield TextArea(self.replay_app.place.query or _FIRST, id="query", show_line_numbers=False)
            yield Static(id="note", markup=False)
            yield DataGrid("result")

    def on_mount(self) -> None:
        """Show how to run the query; nothing runs before the user asks."""
        self.editor, self.grid = self.query_one(TextArea), self.query_one(DataGrid)
        self.editor.border_title = "Query (read only)"
        self.grid.border_title = "Result"
        self.show_title("SQL", str(self.replay_app.desk.session.settings.store))
        self.grid.show_notice(
            line(("press F5 or ^r to run the query", "strong")),
            line(("views: runs events activities tasks signals updates timers", "dim")),
            line(("children markers builds reset_points verdicts problems", "dim")),
        )

    @work(exclusive=True, group="load")
    async def action_execute(self) -> None:
        """Run the query."""
        query = self.editor.text
        self.replay_app.update_saved_place(query=query)
        self._show_note("running…")
        started = time.monotonic()
        found = await self.ask_session(self.replay_app.desk.run_sql, query, wrong=self._show_query_error)
        if found is None:
            return
        took = time.monotonic() - started
        self.grid.focus()
        self.grid.show_rows(plain_columns(found.names), found, (line(("no rows", "dim")),))
        first = (
            f"the first {MOST_ROWS:,} rows; narrow the query to see the others" if found.cut else f"{len(found):,} rows"
        )
        self._show_note(f"{first}, {took:.2f} s")

    def _show_query_error(self, *why: Line) -> None:
        self._show_note("")
        self.grid.show_notice(*why)

    def _show_note(self, text: str) -> None:
        self.query_one("#note", Static).update(Text(f" {text}", "dim"))

    def on_line_list_chosen(self, event: LineList.Chosen) -> None:
        """Open the run that the row names."""
        row = self.grid.current_row
        if not isinstance(row.get("run_key"), str):
            self.show_message("the row has no run: select run_key, and event_id for the event", wrong=True)
            return
        number = row.get("event_id")
        self.replay_app.open_run(row["run_key"], number if isinstance(number, int) else None)

    def action_leave_editor(self) -> None:
        """Go to the result."""
        self.grid.focus()

    def action_edit(self) -> None:
        """Go to the query."""
        self.editor.focus()

    def action_copy(self) -> None:
        """Copy the row as JSON."""
        if self.grid.current_row is not None:
            self.copy_value(self.grid.current_row, "the row")
