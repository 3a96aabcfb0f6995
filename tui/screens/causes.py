"""What the last checks found: one line per cause, with its runs and the mismatch."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Vertical

from replaytool.model.verdict import WORDS, CheckedRun, to_report_json
from replaytool.tui import keys
from replaytool.tui.screens.base import BaseScreen
from replaytool.tui.styled_lines import Line, cell_text, line
from replaytool.tui.text import verdict as verdict_panes
from replaytool.tui.widgets.line_list import LineList, TextPane
from replaytool.tui.widgets.table import DataGrid, TableColumn

if TYPE_CHECKING:
    from replaytool.session.checks import CauseWithRuns, CheckOverview


def _format_finding_site(found: CauseWithRuns) -> str:
    return verdict_panes.format_call_site(found.cause.call_site) if found.cause.call_site else ""


COLUMNS = (
    TableColumn("Verdict", lambda one: verdict_panes.format_verdict_word(one.cause.verdict), 12, role="bad", firm=True),
    TableColumn("Runs", lambda one: f"{one.cause.runs:,}", 7, right=True, firm=True),
    TableColumn("Cause", lambda one: cell_text(one.cause.message, 300), 90),
    TableColumn("Code", _format_finding_site, 40, role="dim"),
)
RUN_COLUMNS = (
    TableColumn("Workflow", lambda one: cell_text(one.subject.workflow_id) or "-", 40, least=20),
    TableColumn("Event", lambda one: str(verdict_panes.event_to_show(one.verdict) or ""), 6, right=True, firm=True),
    TableColumn("Type", lambda one: cell_text(one.subject.workflow_type), 24),
    TableColumn("Run", lambda one: cell_text(one.subject.run_key), 12, role="dim", firm=True),
)


class CausesScreen(BaseScreen):
    """The causes above; below, the runs of the selected cause and the mismatch of the selected run."""

    GROUP = "Causes"
    AUTO_FOCUS = "#causes"
    BINDINGS: ClassVar[list[BindingType]] = keys.build_bindings("Causes")

    def compose_body(self) -> ComposeResult:
        """Yield two tables and a pane."""
        with Vertical(id="findings"):
            yield DataGrid("causes")
            with Container(id="finding"):
                yield DataGrid("affected")
                yield TextPane("History against code", "evidence")

    def on_mount(self) -> None:
        """Load the causes."""
        self.grid, self.affected = self.query_one("#causes", DataGrid), self.query_one("#affected", DataGrid)
        self.pane = self.query_one(TextPane)
        self.grid.border_title, self.affected.border_title = "Causes", "Runs of the cause"
        self.affected.show_notice()
        self.action_reload()

    @work(exclusive=True, group="load")
    async def action_reload(self) -> None:
        """Load the causes again."""
        store = str(self.replay_app.desk.session.settings.store)
        self.show_title("Causes", store, "loading…")
        found = await self.ask_session(self.replay_app.desk.list_causes, wrong=self.grid.show_notice)
        if found is None:
            self.show_title("Causes", store)
            return
        cursor = min(self.grid.cursor, max(len(found.findings) - 1, 0))
        self.grid.show_rows(COLUMNS, found.findings, _empty_notice(found), cursor)
        if not found.findings:
            self.affected.show_notice()
            self.pane.show_lines([])
        counts = ", ".join(f"{found.counts[word]:,} {word}" for word in WORDS if found.counts.get(word))
        self.show_title(
            "Causes", store, counts or "no run has been checked yet",
            right=f"checked {cell_text(found.at)[:16]}" if found.at else "",
        )  # fmt: skip

    def on_line_list_moved(self, event: LineList.Moved) -> None:
        """Show the runs of the selected cause, and what is wrong in the selected run."""
        if event.listing is self.grid and self.grid.current_row is not None:
            self.affected.show_rows(RUN_COLUMNS, self.grid.current_row.runs)
        if self.affected.current_row is not None:
            self._show_evidence(self.affected.current_row)

    @work(exclusive=True, group="explain")
    async def _show_evidence(self, one: CheckedRun) -> None:
        site = one.verdict.call_site
        source = (
            await self.ask_session(self.replay_app.desk.read_source, site.file, wrong=lambda *why: None) if site else ()
        )
        self.pane.show_lines(verdict_panes.format_verdict(one.verdict, source or ()))

    @property
    def _current_run(self) -> CheckedRun | None:
        """Return the selected run, by default the first of the cause."""
        return self.affected.current_row if self.grid.count else None

    def on_line_list_chosen(self, event: LineList.Chosen) -> None:
        """Open the run at its mismatch."""
        if self._current_run is not None:
            self.replay_app.open_run(
                self._current_run.subject.run_key, verdict_panes.event_to_show(self._current_run.verdict), "mismatch"
            )

    def reload_verdicts(self) -> None:
        """Load the causes again."""
        self.action_reload()

    def action_check(self) -> None:
        """Check the runs of the cause again, or all runs if there is no cause."""
        if self.grid.current_row is not None:
            self.replay_app.check_runs([one.subject.run_key for one in self.grid.current_row.runs])
        else:
            self._check_all_runs()

    @work(exclusive=True, group="load")
    async def _check_all_runs(self) -> None:
        keys_of_all = await self.ask_session(self.replay_app.desk.list_run_keys, wrong=self.grid.show_notice)
        if keys_of_all:
            self.replay_app.check_runs(keys_of_all)

    def action_reset(self) -> None:
        """Plan a reset of the runs of the cause."""
        if self.grid.current_row is not None:
            self.replay_app.choose_reset_point([one.subject.run_key for one in self.grid.current_row.runs])

    def action_edit(self) -> None:
        """Open the call site in $EDITOR."""
        site = self._current_run.verdict.call_site if self._current_run else None
        self.edit_code_line(site.file if site else None, site.line if site else 0)

    def action_copy(self) -> None:
        """Copy the verdict as JSON."""
        if self._current_run is not None:
            self.copy_value(to_report_json(self._current_run), "the verdict")


def _empty_notice(found: CheckOverview) -> tuple[Line, ...]:
    good: dict[str, object] = {word: count for word, count in found.counts.items() if count}
    if good:
        return (line(("✔ the code follows every checked run", "good")), line(("press c to check again", "dim")))
    return (
        line(("no run has been checked yet", "strong")),
        line(("press c to replay all runs against workflow code", "dim")),
        line(("or run: replaytool check --workflows CODE", "dim")),
    )
