"""The runs of the store: filtered, sorted, marked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Input, Static

from replaytool.tui import keys
from replaytool.tui.dialogs.prompts import Choice
from replaytool.tui.screens.base import Base
from replaytool.tui.screens.compare import Compare
from replaytool.tui.screens.run_filter import SORTS
from replaytool.tui.session_worker import Rows
from replaytool.tui.styled_lines import cell, line
from replaytool.tui.text import recorded as recorded_panes
from replaytool.tui.text.verdict import event_of, signed
from replaytool.tui.widgets.line_list import Listing
from replaytool.tui.widgets.table import Column, Grid

_SIGNS = {"Completed": "✔", "Running": "▶", "Failed": "✗", "TimedOut": "✗", "Terminated": "✗", "Canceled": "■"}


def _builds(row: dict[str, Any]) -> str:
    first, last = (cell(row[name])[:12] for name in ("first_build", "last_build"))
    return first if first == last else f"{first} → {last}"


COLUMNS = (
    Column("Workflow", lambda row: cell(row["workflow_id"]) or "-", 44, least=20),
    Column("Type", lambda row: cell(row["workflow_type"]), 26),
    Column("Status", lambda row: f"{_SIGNS.get(row['status'], '·')} {cell(row['status'])}", 16),
    Column("Verdict", lambda row: signed(row["verdict"]) if row["verdict"] else "", 12, firm=True),
    Column("Started", lambda row: cell(row["started_at"])[:16], 16, role="dim", firm=True),
    Column("Events", lambda row: f"{row['event_count']:,}", 8, right=True),
    Column("Builds", _builds, 28),
    Column("Problems", lambda row: cell(row["codes"]), 30, role="warn"),
    Column("Run", lambda row: cell(row["run_key"]), 12, role="dim", firm=True),
)
_OF_SORT = dict(zip(SORTS, ("Started", "Workflow", "Type", "Status", "Events", "Builds", "Verdict"), strict=True))


class Runs(Base):
    """The first screen."""

    GROUP = "Runs"
    AUTO_FOCUS = "#runs"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("Runs")

    def __init__(self) -> None:
        super().__init__()
        self.rows: Rows | None = None
        self.marks: set[str] = set()

    def body(self) -> ComposeResult:
        """Filter line and table."""
        place = self.home.place
        example = "type:Loyalty status:Running build:v2 since:2026-01-01 verdict:diverged problem:blind, or any text"
        yield Input(place.filter, placeholder=example, id="filter", compact=True)
        yield Grid("runs")
        yield Static(id="note", markup=False)

    def on_mount(self) -> None:
        """Read the store."""
        self.grid = self.query_one(Grid)
        self.grid.marked = lambda row: row["run_key"] in self.marks
        self.load(self.home.place.run)

    def set_filter(self, text: str) -> None:
        """Show other runs."""
        self.query_one("#filter", Input).value = text
        self.home.remember(filter=text)
        self.load(None)

    @work(exclusive=True, group="load")
    async def load(self, run: str | None) -> None:
        """Read again, and put the cursor on the run if it is there."""
        place = self.home.place
        self.title_is("Runs", str(self.home.desk.session.settings.store), "loading…")
        if self.rows is None:
            self.grid.tell(line(("loading…", "dim")))
        found = await self.ask(self.home.desk.runs, place.filter, place.sort, place.descending, wrong=self._refuse)
        if found is None:
            return
        self.rows = found
        cursor = found.column("run_key").index(run) if run is not None and run in found.column("run_key") else 0
        self.grid.show(self._columns(), found, self._nothing(), cursor)
        self._count()

    def _columns(self) -> list[Column]:
        place = self.home.place
        sorted_by, sign = _OF_SORT[place.sort], "↓" if place.descending else "↑"
        return [replace(one, title=f"{one.title} {sign}") if one.title == sorted_by else one for one in COLUMNS]

    def _nothing(self) -> tuple[Any, ...]:
        if self.home.place.filter:
            return (line(("no run fits the filter", "strong")), line(("/ changes it; an empty line lists all", "dim")))
        return (
            line(("the store has no runs yet", "strong")),
            line(("replaytool load PATH…  loads exported histories", "dim")),
            line(("replaytool pull  fetches them from a server", "dim")),
        )

    def _refuse(self, *why: Any) -> None:
        self.title_is("Runs", str(self.home.desk.session.settings.store))
        self.rows = None
        self.grid.tell(*why)
        self.query_one("#note", Static).update(Text(""))

    def _count(self) -> None:
        number = len(self.rows or ())
        marked = f", {len(self.marks):,} marked" if self.marks else ""
        self.title_is("Runs", str(self.home.desk.session.settings.store), f"{number:,} runs{marked}")
        place = self.home.place
        way = "descending" if place.descending else "ascending"
        self.query_one("#note", Static).update(Text(f" sorted by {_OF_SORT[place.sort].lower()}, {way}", "dim"))

    def on_listing_chosen(self, event: Listing.Chosen) -> None:
        """Open the run."""
        self.home.open_run(self.grid.current["run_key"])

    def on_listing_moved(self, event: Listing.Moved) -> None:
        """Come back to it the next time."""
        if self.grid.current is not None:
            self.home.been(self.grid.current["run_key"], None)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Apply the filter."""
        self.set_filter(event.value)
        self.grid.focus()

    def action_filter(self) -> None:
        """Write the filter."""
        self.query_one("#filter", Input).focus()

    def key_escape(self) -> None:
        """Out of the filter line, as it was."""
        self.query_one("#filter", Input).value = self.home.place.filter
        self.grid.focus()

    def action_mark(self) -> None:
        """Mark or unmark, and go on to the next."""
        if self.grid.current is not None:
            self.marks ^= {self.grid.current["run_key"]}
            self.grid.refresh_row(self.grid.cursor)
            self.grid.action_move(1)
            self._count()

    def action_mark_all(self) -> None:
        """All that are listed."""
        listed = set(self.rows.column("run_key")) if self.rows else set()
        self.marks = self.marks - listed if listed <= self.marks else self.marks | listed
        self.grid.refresh()
        self._count()

    def action_compare(self) -> None:
        """The two marked runs."""
        if len(self.marks) != 2:
            self.say(f"mark two runs with Space to compare them; {len(self.marks)} are marked", wrong=True)
            return
        order = [key for key in self.rows.column("run_key") if key in self.marks] if self.rows else []
        self.app.push_screen(Compare(*(order if len(order) == 2 else sorted(self.marks))))

    def _meant(self) -> list[str]:
        """The marked runs."""
        return [key for key in self.rows.column("run_key") if key in self.marks] if self.rows else []

    def verdicts_changed(self) -> None:
        """Show them."""
        self.action_reload()

    def action_check(self) -> None:
        """The marked runs, or all that are listed."""
        meant = self._meant() or (self.rows.column("run_key") if self.rows else [])
        if meant:
            self.home.check(meant)

    def action_reset(self) -> None:
        """The marked runs, or the one under the cursor."""
        current = self.grid.current
        meant = self._meant() or ([current["run_key"]] if current is not None else [])
        if meant:
            self.home.reset(meant)

    @work(exclusive=True, group="problems")
    async def action_mismatch(self) -> None:
        """Where the run under the cursor went wrong."""
        if (row := self.grid.current) is None:
            return
        found = await self.ask(
            self.home.desk.verdict, row["run_key"], wrong=lambda *why: self.say(why[0][-1][0], wrong=True)
        )
        at = event_of(found) if found is not None else None
        if at is None:
            self.say("no mismatch is known: c checks runs" if found is None else f"{signed(found.verdict)}", wrong=True)
        else:
            self.home.open_run(row["run_key"], at, "mismatch")

    @work(exclusive=True, group="problems")
    async def action_problems(self) -> None:
        """What is odd about the run."""
        row = self.grid.current
        if row is None:
            return
        found = await self.ask(
            self.home.desk.problems, row["run_key"], wrong=lambda *why: self.say(why[0][-1][0], wrong=True)
        )
        if found is not None:

            def go(index: int | None) -> None:
                if index is not None:
                    self.home.open_run(row["run_key"], found[index]["event_id"])

            self.app.push_screen(
                Choice("Problems", recorded_panes.problems(found), "nothing is odd about this run"), go
            )

    def action_sort(self, by: int) -> None:
        """By another column."""
        sort = SORTS[(SORTS.index(self.home.place.sort) + by) % len(SORTS)]
        self.home.remember(sort=sort)
        self.action_reload()

    def action_reverse(self) -> None:
        """The other way round."""
        self.home.remember(descending=not self.home.place.descending)
        self.action_reload()

    def action_reload(self) -> None:
        """Read the store again."""
        self.load(self.grid.current["run_key"] if self.grid.current is not None else None)

    def action_copy(self) -> None:
        """The run key."""
        if self.grid.current is not None:
            self.copy(self.grid.current["run_key"], "the run key")
