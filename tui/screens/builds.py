"""The builds that ran workflow tasks, and when; Enter lists the runs of a build."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType

from replaytool.session.resets import ResetRequest
from replaytool.tui import keys
from replaytool.tui.screens.base import BaseScreen
from replaytool.tui.screens.run_filter import format_filter_word
from replaytool.tui.styled_lines import cell_text, line
from replaytool.tui.widgets.line_list import LineList
from replaytool.tui.widgets.table import DataGrid, TableColumn

_BAR = 24


class BuildsScreen(BaseScreen):
    """One line per build."""

    GROUP = "Builds"
    BINDINGS: ClassVar[list[BindingType]] = keys.build_bindings("Builds")

    def compose_body(self) -> ComposeResult:
        """Yield the table."""
        yield DataGrid("builds")

    def on_mount(self) -> None:
        """Load the builds."""
        self.grid = self.query_one(DataGrid)
        self.action_reload()

    @work(exclusive=True, group="load")
    async def action_reload(self) -> None:
        """Load the builds again."""
        self.show_title("Builds", str(self.replay_app.desk.session.settings.store), "loading…")
        found = await self.ask_session(self.replay_app.desk.list_builds, wrong=self.grid.show_notice)
        if found is None:
            self.show_title("Builds", str(self.replay_app.desk.session.settings.store))
            return
        self.grid.show_rows(_build_columns(found), found, (line(("no run in the store records its build", "strong")),))
        self.show_title(
            "Builds",
            str(self.replay_app.desk.session.settings.store),
            f"{len(found):,} builds",
            right="Enter lists the runs of a build",
        )

    def on_line_list_chosen(self, event: LineList.Chosen) -> None:
        """List the runs of the build."""
        self.replay_app.show_filtered_runs(format_filter_word("build", str(self.grid.current_row["build_id"])))

    @work(exclusive=True, group="reset")
    async def action_reset(self) -> None:
        """Plan a reset of the build's runs to before its first task."""
        if self.grid.current_row is None:
            return
        build = str(self.grid.current_row["build_id"])
        found = await self.ask_session(
            self.replay_app.desk.list_runs_of_build,
            build,
            wrong=lambda *why: self.show_message(why[0][-1][0], wrong=True),
        )
        if found:
            self.replay_app.open_reset_plan(ResetRequest(tuple(found), build=build))

    def action_copy(self) -> None:
        """Copy the build ID."""
        if self.grid.current_row is not None:
            self.copy_value(str(self.grid.current_row["build_id"]), "the build ID")


def _build_columns(rows: Sequence[Mapping[str, Any]]) -> list[TableColumn]:
    times = [row[name] for row in rows for name in ("first_seen", "last_seen") if row[name] is not None]
    start, end = (min(times), max(times)) if times else (None, None)
    return [
        TableColumn("Build", _format_build_id, 34),
        TableColumn("Deployment", lambda row: cell_text(row["deployment_name"]), 20),
        TableColumn("Runs", lambda row: f"{row['runs']:,}", 8, right=True),
        TableColumn("Tasks", lambda row: f"{row['tasks']:,}", 9, right=True),
        TableColumn("Activities", lambda row: f"{row['activities']:,}", 10, right=True),
        TableColumn("First seen", lambda row: cell_text(row["first_seen"])[:16], 16, role="dim", firm=True),
        TableColumn("Last seen", lambda row: cell_text(row["last_seen"])[:16], 16, role="dim", firm=True),
        TableColumn("When", lambda row: _format_time_bar(row, start, end), _BAR, role="key", firm=True),
    ]


def _format_build_id(row: Mapping[str, Any]) -> str:
    """Shorten a hash that the SDK made: it does not tell versions apart."""
    build = cell_text(row["build_id"])
    return f"{build[:12]}… (SDK hash)" if row["is_hash"] else build


def _format_time_bar(row: Mapping[str, Any], start: datetime | None, end: datetime | None) -> str:
    """Draw the time from first to last seen on a scale that all builds share."""
    if start is None or end is None or row["first_seen"] is None:
        return ""
    whole = (end - start).total_seconds() or 1.0
    first, last = (
        int((row[name] - start).total_seconds() / whole * (_BAR - 1)) for name in ("first_seen", "last_seen")
    )
    return "·" * first + "━" * (last - first + 1) + "·" * (_BAR - last - 1)
