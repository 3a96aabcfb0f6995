"""A reset before it happens: each workflow with its point, what is undone, what comes back and what runs again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import Static

from replaytool.model.reset_plan import ItemOutcome, ResetItem, ResetPlan
from replaytool.session.resets import Wanted
from replaytool.tui import keys
from replaytool.tui.dialogs.apply_reset import Applying
from replaytool.tui.dialogs.check import Simulating
from replaytool.tui.dialogs.prompts import Page, Prompt
from replaytool.tui.screens.base import Base
from replaytool.tui.styled_lines import cell, line
from replaytool.tui.text import reset_plan as reset_panes
from replaytool.tui.widgets.line_list import Listing, Pane
from replaytool.tui.widgets.table import Column, Grid


class Reset(Base):
    """One plan: nothing is changed anywhere before somebody applies it."""

    GROUP = "Reset"
    AUTO_FOCUS = "#items"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("Reset")

    def __init__(self, wanted: Wanted) -> None:
        super().__init__()
        self.wanted = wanted
        self.plan: ResetPlan | None = None
        self.written: Path | None = None
        self.outcomes: dict[str, ItemOutcome] = {}

    def body(self) -> ComposeResult:
        """The workflows, and all about one of them."""
        with Vertical(id="plan"):
            yield Grid("items")
            yield Static(id="note", markup=False)
            yield Pane("What it does", "effects")

    def on_mount(self) -> None:
        """Make the plan."""
        self.grid, self.pane = self.query_one(Grid), self.query_one(Pane)
        self.grid.border_title = "Workflows"
        self.grid.marked = lambda item: item.included
        self._make(self.wanted)

    @property
    def _goal(self) -> str:
        build, event = self.wanted.build, self.wanted.event
        return f"before build {build}" if build is not None else f"before event {event}"

    @work(exclusive=True, group="plan")
    async def _make(self, wanted: Wanted) -> None:
        """Make the plan, or another one; a plan that cannot be made leaves the one that was."""
        self.title_is("Reset", self._goal, "planning…")
        if self.plan is None:
            self.grid.tell(line(("planning…", "dim")))
        found = await self.ask(self.home.desk.plan, wanted, wrong=self._refuse)
        if found is not None:
            self.wanted, self.plan, self.written, self.outcomes = wanted, found, None, {}
            self._show(min(max(self.grid.cursor, 0), max(len(found.items) - 1, 0)))

    def _refuse(self, *why: object) -> None:
        if self.plan is None:
            self.title_is("Reset", self._goal)
            self.grid.tell(*why)  # type: ignore[arg-type]
        else:
            self._show(self.grid.cursor)
            self.say(str(why[0][-1][0]), wrong=True)  # type: ignore[index]

    def _show(self, cursor: int) -> None:
        assert self.plan is not None
        self.grid.show(self._columns(self.plan.items), self.plan.items, (
            line(("no workflow has such a point", "strong")), line(("o says why", "dim")),
        ), cursor)  # fmt: skip
        self.query_one("#note", Static).update(Text(f" {reset_panes.totals(self.plan)}"))
        written = f"written to {self.written}" if self.written else "not written yet"
        simulated = "simulated" if self.plan.code is not None else "not simulated yet"
        self.title_is("Reset", self._goal, written, simulated)
        if not self.plan.items:
            self.pane.show(reset_panes.skipped(self.plan))

    def _columns(self, items: Sequence[ResetItem]) -> list[Column]:
        """What nothing is known about takes no room."""
        found = [
            Column("Workflow", lambda one: cell(one.workflow_id), 40, least=20),
            Column("Point", lambda one: str(one.point.event_id), 6, right=True, firm=True),
            Column("Undone", lambda one: f"{one.undone_events:,}", 7, right=True, firm=True),
            Column("Signals", lambda one: f"{one.reapplied.get('signals', 0):,}", 7, right=True),
            Column("Updates", lambda one: f"{one.reapplied.get('updates', 0):,}", 7, right=True),
            Column("Again", lambda one: f"{sum(one.repeats.values()):,}", 6, right=True, firm=True),
            Column("Warnings", reset_panes.worst, 50, role="warn"),
        ]
        if any(one.prefix_verdict is not None for one in items):
            found.insert(6, Column("Kept part", lambda one: one.prefix_verdict or "", 10))
        if any(one.simulation is not None for one in items):
            found.insert(-1, Column("Simulation", reset_panes.simulated, 12))
        if self.outcomes:
            found.insert(1, Column("Outcome", lambda one: reset_panes.outcome(self.outcomes.get(one.id)), 12))
        return found

    def on_listing_moved(self, event: Listing.Moved) -> None:
        """All about this workflow."""
        if self.grid.current is not None:
            self.pane.show(reset_panes.item(self.grid.current, self.outcomes.get(self.grid.current.id)))

    def on_listing_chosen(self, event: Listing.Chosen) -> None:
        """The run at its point."""
        self.home.open_run(self.grid.current.run_key, self.grid.current.point.event_id)

    def action_include(self) -> None:
        """Take what a warning blocks, or leave it to the warning again."""
        if (item := self.grid.current) is not None and item.blocks():
            self._make(replace(self.wanted, include=self.wanted.include ^ {item.workflow_id}))
        else:
            self.say("no warning blocks this workflow", wrong=True)

    def action_leave_out(self) -> None:
        """This workflow is not reset."""
        if (item := self.grid.current) is not None:
            self._make(replace(self.wanted, skip=(*self.wanted.skip, item.workflow_id)))

    def action_take_back(self) -> None:
        """All that was left out here."""
        if self.wanted.skip:
            self._make(replace(self.wanted, skip=()))

    def action_skipped(self) -> None:
        """What is not in the plan."""
        if self.plan is not None:
            left = [line((cell(one, 80), "key"), "  left out here") for one in self.wanted.skip]
            nothing = [line(("nothing was left out", "dim"))]
            self.app.push_screen(Page("Left out", [*left, *reset_panes.skipped(self.plan)] or nothing))

    def action_simulate(self) -> None:
        """Ask for the code that the workflows will go on with."""
        if self.plan is not None and self.plan.items:
            self.app.push_screen(Simulating(self.wanted, len(self.plan.items), self.home.known_code), self._simulated)

    def _simulated(self, found: ResetPlan | None) -> None:
        if found is not None:
            self.plan, self.written, self.outcomes = found, None, {}
            self._show(self.grid.cursor)

    def action_write(self) -> None:
        """Ask for a name."""
        if self.plan is not None and self.plan.items:
            self.app.push_screen(Prompt("Write the plan to", "plan.json", self._file_name()), self._write)

    def _file_name(self) -> str:
        """A name that is free."""
        goal = f"{self.wanted.build}" if self.wanted.build is not None else f"event-{self.wanted.event}"
        safe = "".join(char if char.isalnum() or char in "-_." else "-" for char in goal)[:40]
        names = (f"reset-{safe}{number}.json" for number in ("", *(f"-{one}" for one in range(2, 100))))
        return next((name for name in names if not Path(name).exists()), "")

    def _write(self, name: str | None) -> None:
        if name:
            self._write_to(Path(name))

    @work(exclusive=True, group="write")
    async def _write_to(self, path: Path) -> None:
        if self.plan is None:
            return
        wrong: list[str] = []
        await self.ask(self.home.desk.write_plan, self.plan, path, wrong=lambda *why: wrong.append(why[0][-1][0]))
        if wrong:
            self.say(wrong[0], wrong=True)
        else:
            self.written = path
            self._show(self.grid.cursor)
            self.say(f"written to {path}")

    def action_apply(self) -> None:
        """Ask where, and then apply."""
        if self.plan is not None and self.plan.items:
            name = str(self.written) if self.written else self._file_name()
            self.app.push_screen(Applying(self.plan, name, is_written=self.written is not None), self._applied)

    def _applied(self, done: tuple[Path, Sequence[ItemOutcome]] | None) -> None:
        if done is not None:
            self.written = done[0]
            self.outcomes |= {one.item_id: one for one in done[1]}
            self._show(self.grid.cursor)

    def action_copy(self) -> None:
        """The item."""
        if self.grid.current is not None:
            self.copy(reset_panes.as_json(self.grid.current), "the item")
