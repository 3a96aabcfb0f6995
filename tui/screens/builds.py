"""Who ran what, and when; from here to the runs of a build."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType

from replaytool.session.resets import Wanted
from replaytool.tui import keys
from replaytool.tui.screens.base import Base
from replaytool.tui.screens.run_filter import word
from replaytool.tui.styled_lines import cell, line
from replaytool.tui.widgets.line_list import Listing
from replaytool.tui.widgets.table import Column, Grid

_BAR = 24


class Builds(Base):
    """One line for each build."""

    GROUP = "Builds"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("Builds")

    def body(self) -> ComposeResult:
        """One table."""
        yield Grid("builds")

    def on_mount(self) -> None:
        """Read the store."""
        self.grid = self.query_one(Grid)
        self.action_reload()

    @work(exclusive=True, group="load")
    async def action_reload(self) -> None:
        """Read it again."""
        self.title_is("Builds", str(self.home.desk.session.settings.store), "loading…")
        found = await self.ask(self.home.desk.builds, wrong=self.grid.tell)
        if found is None:
            self.title_is("Builds", str(self.home.desk.session.settings.store))
            return
        self.grid.show(_columns(found), found, (line(("no run in the store says which build ran it", "strong")),))
        self.title_is(
            "Builds",
            str(self.home.desk.session.settings.store),
            f"{len(found):,} builds",
            right="Enter lists the runs of one",
        )

    def on_listing_chosen(self, event: Listing.Chosen) -> None:
        """The runs that it took part in."""
        self.home.show_runs(word("build", str(self.grid.current["build_id"])))

    @work(exclusive=True, group="reset")
    async def action_reset(self) -> None:
        """Its runs, to before it did anything."""
        if self.grid.current is None:
            return
        build = str(self.grid.current["build_id"])
        found = await self.ask(self.home.desk.runs_of, build, wrong=lambda *why: self.say(why[0][-1][0], wrong=True))
        if found:
            self.home.plan_reset(Wanted(tuple(found), build=build))

    def action_copy(self) -> None:
        """The id."""
        if self.grid.current is not None:
            self.copy(str(self.grid.current["build_id"]), "the build id")


def _columns(rows: list[dict[str, Any]]) -> list[Column]:
    times = [row[name] for row in rows for name in ("first_seen", "last_seen") if row[name] is not None]
    start, end = (min(times), max(times)) if times else (None, None)
    return [
        Column("Build", _called, 34),
        Column("Deployment", lambda row: cell(row["deployment_name"]), 20),
        Column("Runs", lambda row: f"{row['runs']:,}", 8, right=True),
        Column("Tasks", lambda row: f"{row['tasks']:,}", 9, right=True),
        Column("Activities", lambda row: f"{row['activities']:,}", 10, right=True),
        Column("First seen", lambda row: cell(row["first_seen"])[:16], 16, role="dim", firm=True),
        Column("Last seen", lambda row: cell(row["last_seen"])[:16], 16, role="dim", firm=True),
        Column("When", lambda row: _when(row, start, end), _BAR, role="key", firm=True),
    ]


def _called(row: dict[str, Any]) -> str:
    """A hash is the SDK's own id and tells no versions apart."""
    build = cell(row["build_id"])
    return f"{build[:12]}… (SDK hash)" if row["is_hash"] else build


def _when(row: dict[str, Any], start: datetime | None, end: datetime | None) -> str:
    """From the first to the last time it was seen, on the time that all builds share."""
    if start is None or end is None or row["first_seen"] is None:
        return ""
    whole = (end - start).total_seconds() or 1.0
    first, last = (
        int((row[name] - start).total_seconds() / whole * (_BAR - 1)) for name in ("first_seen", "last_seen")
    )
    return "·" * first + "━" * (last - first + 1) + "·" * (_BAR - last - 1)
