"""The runs of the store: filtered, sorted, marked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Input, Static

from replaytool.session import RUN_SORTS
from replaytool.tui import keys
from replaytool.tui.dialogs.prompts import ChoiceDialog
from replaytool.tui.screens.base import BaseScreen
from replaytool.tui.screens.compare import CompareScreen
from replaytool.tui.session_worker import TableRows
from replaytool.tui.styled_lines import Line, cell_text, line
from replaytool.tui.text import recorded as recorded_panes
from replaytool.tui.text.verdict import event_to_show, format_verdict_word
from replaytool.tui.widgets.line_list import LineList
from replaytool.tui.widgets.table import DataGrid, TableColumn

_SIGNS = {"Completed": "✔", "Running": "▶", "Failed": "✗", "TimedOut": "✗", "Terminated": "✗", "Canceled": "■"}


def _format_build_range(row: dict[str, Any]) -> str:
    first, last = (cell_text(row[name])[:12] for name in ("first_build", "last_build"))
    return first if first == last else f"{first} → {last}"


COLUMNS = (
    TableColumn("Workflow", lambda row: cell_text(row["workflow_id"]) or "-", 44, least=20),
    TableColumn("Type", lambda row: cell_text(row["workflow_type"]), 26),
    TableColumn("Status", lambda row: f"{_SIGNS.get(row['status'], '·')} {cell_text(row['status'])}", 16),
    TableColumn("Verdict", lambda row: format_verdict_word(row["verdict"]) if row["verdict"] else "", 12, firm=True),
    TableColumn("Started", lambda row: cell_text(row["started_at"])[:16], 16, role="dim", firm=True),
    TableColumn("Events", lambda row: f"{row['event_count']:,}", 8, right=True),
    TableColumn("Builds", _format_build_range, 28),
    TableColumn("Problems", lambda row: cell_text(row["codes"]), 30, role="warn"),
    TableColumn("Run", lambda row: cell_text(row["run_key"]), 12, role="dim", firm=True),
)
_OF_SORT = dict(zip(RUN_SORTS, ("Started", "Workflow", "Type", "Status", "Events", "Builds", "Verdict"), strict=True))


class RunsScreen(BaseScreen):
    """The first screen: the run list."""

    GROUP = "Runs"
    AUTO_FOCUS = "#runs"
    BINDINGS: ClassVar[list[BindingType]] = keys.build_bindings("Runs")

    def __init__(self) -> None:
        super().__init__()
        self.rows: TableRows | None = None
        self.marks: set[str] = set()

    def compose_body(self) -> ComposeResult:
        """Yield the filter line and the table."""
        place = self.replay_app.place
        example = "type:Loyalty status:Running build:v2 since:2026-01-01 verdict:diverged problem:blind, or any text"
        yield Input(place.filter, placeholder=example, id="filter", compact=True)
        yield DataGrid("runs")
        yield Static(id="note", markup=False)

    def on_mount(self) -> None:
        """Load the runs."""
        self.grid = self.query_one(DataGrid)
        self.grid.marked = lambda row: row["run_key"] in self.marks
        self.load_runs(self.replay_app.place.run)

    def set_filter(self, text: str) -> None:
        """Show the runs that match a filter."""
        self.query_one("#filter", Input).value = text
        self.replay_app.update_saved_place(filter=text)
        self.load_runs(None)

    @work(exclusive=True, group="load")
    async def load_runs(self, run: str | None) -> None:
        """Load the runs, and put the cursor on one of them if it is listed."""
        place = self.replay_app.place
        self.show_title("Runs", str(self.replay_app.desk.session.settings.store), "loading…")
        if self.rows is None:
            self.grid.show_notice(line(("loading…", "dim")))
        found = await self.ask_session(
            self.replay_app.desk.list_runs, place.filter, place.sort, place.descending, wrong=self._show_query_error
        )
        if found is None:
            return
        self.rows = found
        cursor = (
            found.column_values("run_key").index(run)
            if run is not None and run in found.column_values("run_key")
            else 0
        )
        self.grid.show_rows(self._sorted_columns(), found, self._empty_notice(), cursor)
        self._show_counts()

    def _sorted_columns(self) -> list[TableColumn]:
        place = self.replay_app.place
        sorted_by, sign = _OF_SORT[place.sort], "↓" if place.descending else "↑"
        return [replace(one, title=f"{one.title} {sign}") if one.title == sorted_by else one for one in COLUMNS]

    def _empty_notice(self) -> tuple[Line, ...]:
        if self.replay_app.place.filter:
            return (
                line(("no run matches the filter", "strong")),
                line(("press / to change it; an empty filter lists all runs", "dim")),
            )
        return (
            line(("the store has no runs yet", "strong")),
            line(("run `replaytool load PATH…` to load exported histories", "dim")),
            line(("or `replaytool pull` to fetch them from a server", "dim")),
        )

    def _show_query_error(self, *why: Line) -> None:
        self.show_title("Runs", str(self.replay_app.desk.session.settings.store))
        self.rows = None
        self.grid.show_notice(*why)
        self.query_one("#note", Static).update(Text(""))

    def _show_counts(self) -> None:
        number = len(self.rows or ())
        marked = f", {len(self.marks):,} marked" if self.marks else ""
        self.show_title("Runs", str(self.replay_app.desk.session.settings.store), f"{number:,} runs{marked}")
        place = self.replay_app.place
        way = "descending" if place.descending else "ascending"
        self.query_one("#note", Static).update(Text(f" sorted by {_OF_SORT[place.sort].lower()}, {way}", "dim"))

    def on_line_list_chosen(self, event: LineList.Chosen) -> None:
        """Open the run."""
        self.replay_app.open_run(self.grid.current_row["run_key"])

    def on_line_list_moved(self, event: LineList.Moved) -> None:
        """Save the cursor for the next session."""
        if self.grid.current_row is not None:
            self.replay_app.remember_position(self.grid.current_row["run_key"], None)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Apply the filter."""
        self.set_filter(event.value)
        self.grid.focus()

    def action_filter(self) -> None:
        """Go to the filter line."""
        self.query_one("#filter", Input).focus()

    def key_escape(self) -> None:
        """Leave the filter line unchanged."""
        self.query_one("#filter", Input).value = self.replay_app.place.filter
        self.grid.focus()

    def action_mark(self) -> None:
        """Mark or unmark the run, and go to the next."""
        if self.grid.current_row is not None:
            self.marks ^= {self.grid.current_row["run_key"]}
            self.grid.refresh_row(self.grid.cursor)
            self.grid.action_move(1)
            self._show_counts()

    def action_mark_all(self) -> None:
        """Mark all listed runs, or none if all are marked."""
        listed = set(self.rows.column_values("run_key")) if self.rows else set()
        self.marks = self.marks - listed if listed <= self.marks else self.marks | listed
        self.grid.refresh()
        self._show_counts()

    def action_compare(self) -> None:
        """Compare the two marked runs."""
        if len(self.marks) != 2:
            self.show_message(f"mark two runs with Space to compare them; {len(self.marks)} are marked", wrong=True)
            return
        order = [key for key in self.rows.column_values("run_key") if key in self.marks] if self.rows else []
        self.app.push_screen(CompareScreen(*(order if len(order) == 2 else sorted(self.marks))))

    def _marked_run_keys(self) -> list[str]:
        return [key for key in self.rows.column_values("run_key") if key in self.marks] if self.rows else []

    def reload_verdicts(self) -> None:
        """Load the runs again."""
        self.action_reload()

    def action_check(self) -> None:
        """Check the marked runs, or all listed runs."""
        meant = self._marked_run_keys() or (self.rows.column_values("run_key") if self.rows else [])
        if meant:
            self.replay_app.check_runs(meant)

    def action_reset(self) -> None:
        """Plan a reset of the marked runs, or of the selected one."""
        current = self.grid.current_row
        meant = self._marked_run_keys() or ([current["run_key"]] if current is not None else [])
        if meant:
            self.replay_app.choose_reset_point(meant)

    @work(exclusive=True, group="problems")
    async def action_mismatch(self) -> None:
        """Open the selected run at its mismatch."""
        if (row := self.grid.current_row) is None:
            return
        found = await self.ask_session(
            self.replay_app.desk.last_verdict,
            row["run_key"],
            wrong=lambda *why: self.show_message(why[0][-1][0], wrong=True),
        )
        at = event_to_show(found) if found is not None else None
        if at is None:
            self.show_message(
                "no known mismatch: press c to check runs"
                if found is None
                else f"{format_verdict_word(found.verdict)}",
                wrong=True,
            )
        else:
            self.replay_app.open_run(row["run_key"], at, "mismatch")

    @work(exclusive=True, group="problems")
    async def action_problems(self) -> None:
        """List the problems of the run."""
        row = self.grid.current_row
        if row is None:
            return
        found = await self.ask_session(
            self.replay_app.desk.list_problems,
            row["run_key"],
            wrong=lambda *why: self.show_message(why[0][-1][0], wrong=True),
        )
        if found is not None:

            def open_problem(index: int | None) -> None:
                if index is not None:
                    self.replay_app.open_run(row["run_key"], found[index]["event_id"])

            self.app.push_screen(
                ChoiceDialog("Problems", recorded_panes.format_problems(found), "this run has no problems"),
                open_problem,
            )

    def action_sort(self, by: int) -> None:
        """Sort by another column."""
        sort = RUN_SORTS[(RUN_SORTS.index(self.replay_app.place.sort) + by) % len(RUN_SORTS)]
        self.replay_app.update_saved_place(sort=sort)
        self.action_reload()

    def action_reverse(self) -> None:
        """Reverse the order."""
        self.replay_app.update_saved_place(descending=not self.replay_app.place.descending)
        self.action_reload()

    def action_reload(self) -> None:
        """Load the runs again."""
        self.load_runs(self.grid.current_row["run_key"] if self.grid.current_row is not None else None)

    def action_copy(self) -> None:
        """Copy the run key."""
        if self.grid.current_row is not None:
            self.copy_value(self.grid.current_row["run_key"], "the run key")
