"""A reset plan: for each workflow its reset point, what is undone, re-applied and re-executed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import msgspec
from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import Static

from replaytool.model.reset_plan import ItemOutcome, ResetItem, ResetPlan
from replaytool.session.resets import ResetRequest
from replaytool.tui import keys
from replaytool.tui.dialogs.apply_reset import ApplyDialog
from replaytool.tui.dialogs.check import SimulateWork
from replaytool.tui.dialogs.code import CodeDialog
from replaytool.tui.dialogs.prompts import PageDialog, PromptDialog
from replaytool.tui.screens.base import BaseScreen
from replaytool.tui.styled_lines import cell_text, line
from replaytool.tui.text import reset_plan as reset_panes
from replaytool.tui.widgets.line_list import LineList, TextPane
from replaytool.tui.widgets.table import DataGrid, TableColumn


class ResetScreen(BaseScreen):
    """One plan. No server is changed before the user applies it."""

    GROUP = "Reset"
    AUTO_FOCUS = "#items"
    BINDINGS: ClassVar[list[BindingType]] = keys.build_bindings("Reset")

    def __init__(self, wanted: ResetRequest) -> None:
        super().__init__()
        self.wanted = wanted
        self.plan: ResetPlan | None = None
        self.written: Path | None = None
        self.outcomes: dict[str, ItemOutcome] = {}

    def compose_body(self) -> ComposeResult:
        """Yield the table of workflows and the pane for one of them."""
        with Vertical(id="plan"):
            yield DataGrid("items")
            yield Static(id="note", markup=False)
            yield TextPane("Effects of the reset", "effects")

    def on_mount(self) -> None:
        """Make the plan."""
        self.grid, self.pane = self.query_one(DataGrid), self.query_one(TextPane)
        self.grid.border_title = "Workflows"
        self.grid.marked = lambda item: item.included
        self._make_plan(self.wanted)

    @property
    def _goal_text(self) -> str:
        build, event = self.wanted.build, self.wanted.event
        return f"before build {build}" if build is not None else f"before event {event}"

    @work(exclusive=True, group="plan")
    async def _make_plan(self, wanted: ResetRequest) -> None:
        """Make a plan; if that fails, the previous plan stays."""
        self.show_title("Reset", self._goal_text, "planning…")
        if self.plan is None:
            self.grid.show_notice(line(("planning…", "dim")))
        found = await self.ask_session(self.replay_app.desk.plan_reset, wanted, wrong=self._show_plan_error)
        if found is not None:
            self.wanted, self.plan, self.written, self.outcomes = wanted, found, None, {}
            self._show_plan(min(max(self.grid.cursor, 0), max(len(found.items) - 1, 0)))

    def _show_plan_error(self, *why: object) -> None:
        if self.plan is None:
            self.show_title("Reset", self._goal_text)
            self.grid.show_notice(*why)  # type: ignore[arg-type]
        else:
            self._show_plan(self.grid.cursor)
            self.show_message(str(why[0][-1][0]), wrong=True)  # type: ignore[index]

    def _show_plan(self, cursor: int) -> None:
        assert self.plan is not None
        self.grid.show_rows(self._item_columns(self.plan.items), self.plan.items, (
            line(("no workflow has this reset point", "strong")), line(("o shows why", "dim")),
        ), cursor)  # fmt: skip
        self.query_one("#note", Static).update(Text(f" {reset_panes.format_totals(self.plan)}"))
        written = f"written to {self.written}" if self.written else "not written yet"
        simulated = "simulated" if self.plan.code is not None else "not simulated yet"
        self.show_title("Reset", self._goal_text, written, simulated)
        if not self.plan.items:
            self.pane.show_lines(reset_panes.format_skipped(self.plan))

    def _item_columns(self, items: Sequence[ResetItem]) -> list[TableColumn]:
        """Return the columns; those about which nothing is known are left out."""
        found = [
            TableColumn("Workflow", lambda one: cell_text(one.workflow_id), 40, least=20),
            TableColumn("Reset to", lambda one: str(one.point.event_id), 8, right=True, firm=True),
            TableColumn("Events undone", lambda one: f"{one.undone_events:,}", 13, right=True, firm=True),
            TableColumn("Signals re-applied", lambda one: f"{one.reapplied.get('signals', 0):,}", 18, right=True),
            TableColumn("Updates re-applied", lambda one: f"{one.reapplied.get('updates', 0):,}", 18, right=True),
            TableColumn("Re-executed", lambda one: f"{sum(one.repeats.values()):,}", 11, right=True, firm=True),
            TableColumn("Warnings", reset_panes.format_warning_codes, 50, role="warn"),
        ]
        if any(one.prefix_verdict is not None for one in items):
            found.insert(6, TableColumn("Prefix", lambda one: one.prefix_verdict or "", 10))
        if any(one.simulation is not None for one in items):
            found.insert(-1, TableColumn("Simulation", reset_panes.format_certainty, 12))
        if self.outcomes:
            found.insert(
                1, TableColumn("Outcome", lambda one: reset_panes.format_outcome(self.outcomes.get(one.id)), 12)
            )
        return found

    def on_line_list_moved(self, event: LineList.Moved) -> None:
        """Show everything about the selected workflow."""
        if self.grid.current_row is not None:
            self.pane.show_lines(
                reset_panes.format_item(self.grid.current_row, self.outcomes.get(self.grid.current_row.id))
            )

    def on_line_list_chosen(self, event: LineList.Chosen) -> None:
        """Open the run at its reset point."""
        self.replay_app.open_run(self.grid.current_row.run_key, self.grid.current_row.point.event_id)

    def action_include(self) -> None:
        """Include a workflow that a warning blocks, or undo that."""
        if (item := self.grid.current_row) is not None and item.blocks():
            self._make_plan(replace(self.wanted, include=self.wanted.include ^ {item.workflow_id}))
        else:
            self.show_message("no warning blocks this workflow", wrong=True)

    def action_leave_out(self) -> None:
        """Leave this workflow out of the plan."""
        if (item := self.grid.current_row) is not None:
            self._make_plan(replace(self.wanted, skip=(*self.wanted.skip, item.workflow_id)))

    def action_take_back(self) -> None:
        """Include everything that was left out here."""
        if self.wanted.skip:
            self._make_plan(replace(self.wanted, skip=()))

    def action_skipped(self) -> None:
        """Show the workflows that are not in the plan, and why."""
        if self.plan is not None:
            left = [line((cell_text(one, 80), "key"), "  you left it out") for one in self.wanted.skip]
            nothing = [line(("all workflows are in the plan", "dim"))]
            self.app.push_screen(
                PageDialog("Not in the plan", [*left, *reset_panes.format_skipped(self.plan)] or nothing)
            )

    def action_simulate(self) -> None:
        """Ask for the new code, then simulate the plan."""
        if self.plan is not None and self.plan.items:
            self.app.push_screen(
                CodeDialog(SimulateWork(self.wanted, len(self.plan.items)), self.replay_app.default_check_code),
                self._use_simulated_plan,
            )

    def _use_simulated_plan(self, found: ResetPlan | None) -> None:
        if found is not None:
            self.plan, self.written, self.outcomes = found, None, {}
            self._show_plan(self.grid.cursor)

    def action_write(self) -> None:
        """Ask for a file name, then write the plan."""
        if self.plan is not None and self.plan.items:
            self.app.push_screen(
                PromptDialog("Write the plan to", "plan.json", self._free_file_name()), self._start_write
            )

    def _free_file_name(self) -> str:
        """Return a file name that is not taken."""
        goal = f"{self.wanted.build}" if self.wanted.build is not None else f"event-{self.wanted.event}"
        safe = "".join(char if char.isalnum() or char in "-_." else "-" for char in goal)[:40]
        names = (f"reset-{safe}{number}.json" for number in ("", *(f"-{one}" for one in range(2, 100))))
        return next((name for name in names if not Path(name).exists()), "")

    def _start_write(self, name: str | None) -> None:
        if name:
            self._write_plan_file(Path(name))

    @work(exclusive=True, group="write")
    async def _write_plan_file(self, path: Path) -> None:
        if self.plan is None:
            return
        wrong: list[str] = []
        await self.ask_session(
            self.replay_app.desk.write_plan, self.plan, path, wrong=lambda *why: wrong.append(why[0][-1][0])
        )
        if wrong:
            self.show_message(wrong[0], wrong=True)
        else:
            self.written = path
            self._show_plan(self.grid.cursor)
            self.show_message(f"written to {path}")

    def action_apply(self) -> None:
        """Ask for the server, then apply the plan."""
        if self.plan is not None and self.plan.items:
            name = str(self.written) if self.written else self._free_file_name()
            self.app.push_screen(
                ApplyDialog(self.plan, name, is_written=self.written is not None), self._record_outcomes
            )

    def _record_outcomes(self, done: tuple[Path, Sequence[ItemOutcome]] | None) -> None:
        if done is not None:
            self.written = done[0]
            self.outcomes |= {one.item_id: one for one in done[1]}
            self._show_plan(self.grid.cursor)

    def action_copy(self) -> None:
        """Copy the item as JSON."""
        if self.grid.current_row is not None:
            self.copy_value(msgspec.to_builtins(self.grid.current_row), "the item")
