"""What went wrong when runs were replayed: one line for each cause, with its runs and what differs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Vertical

from replaytool.model.verdict import WORDS, CheckedRun, to_report_json
from replaytool.tui import keys
from replaytool.tui.screens.base import Base
from replaytool.tui.styled_lines import Line, cell, line
from replaytool.tui.text import verdict as verdict_panes
from replaytool.tui.widgets.line_list import Listing, Pane
from replaytool.tui.widgets.table import Column, Grid

if TYPE_CHECKING:
    from replaytool.session.checks import Finding, Found


def _site(found: Finding) -> str:
    return verdict_panes.place(found.cause.call_site) if found.cause.call_site else ""


COLUMNS = (
    Column("Verdict", lambda one: verdict_panes.signed(one.cause.verdict), 12, role="bad", firm=True),
    Column("Runs", lambda one: f"{one.cause.runs:,}", 7, right=True, firm=True),
    Column("Cause", lambda one: cell(one.cause.message, 300), 90),
    Column("Code", _site, 40, role="dim"),
)
RUN_COLUMNS = (
    Column("Workflow", lambda one: cell(one.subject.workflow_id) or "-", 40, least=20),
    Column("Event", lambda one: str(verdict_panes.event_of(one.verdict) or ""), 6, right=True, firm=True),
    Column("Type", lambda one: cell(one.subject.workflow_type), 24),
    Column("Run", lambda one: cell(one.subject.run_key), 12, role="dim", firm=True),
)


class Causes(Base):
    """Causes above, below them the runs of the one under the cursor, and recorded against produced."""

    GROUP = "Causes"
    AUTO_FOCUS = "#causes"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("Causes")

    def body(self) -> ComposeResult:
        """Two tables and a pane."""
        with Vertical(id="findings"):
            yield Grid("causes")
            with Container(id="finding"):
                yield Grid("affected")
                yield Pane("Recorded against produced", "evidence")

    def on_mount(self) -> None:
        """Read what is known."""
        self.grid, self.affected = self.query_one("#causes", Grid), self.query_one("#affected", Grid)
        self.pane = self.query_one(Pane)
        self.grid.border_title, self.affected.border_title = "Causes", "Runs of the cause"
        self.affected.tell()
        self.action_reload()

    @work(exclusive=True, group="load")
    async def action_reload(self) -> None:
        """Read it again."""
        store = str(self.home.desk.session.settings.store)
        self.title_is("Causes", store, "loading…")
        found = await self.ask(self.home.desk.causes, wrong=self.grid.tell)
        if found is None:
            self.title_is("Causes", store)
            return
        cursor = min(self.grid.cursor, max(len(found.findings) - 1, 0))
        self.grid.show(COLUMNS, found.findings, _nothing(found), cursor)
        if not found.findings:
            self.affected.tell()
            self.pane.show([])
        counts = ", ".join(f"{found.counts[word]:,} {word}" for word in WORDS if found.counts.get(word))
        self.title_is(
            "Causes", store, counts or "no run was checked yet",
            right=f"checked {cell(found.at)[:16]}" if found.at else "",
        )  # fmt: skip

    def on_listing_moved(self, event: Listing.Moved) -> None:
        """The runs of the cause; what is wrong in the run."""
        if event.listing is self.grid and self.grid.current is not None:
            self.affected.show(RUN_COLUMNS, self.grid.current.runs)
        if self.affected.current is not None:
            self._explain(self.affected.current)

    @work(exclusive=True, group="explain")
    async def _explain(self, one: CheckedRun) -> None:
        site = one.verdict.call_site
        source = await self.ask(self.home.desk.source, site.file, wrong=lambda *why: None) if site else ()
        self.pane.show(verdict_panes.whole(one.verdict, source or ()))

    @property
    def _one(self) -> CheckedRun | None:
        """The run that is meant: the first of the cause unless another was chosen."""
        return self.affected.current if self.grid.count else None

    def on_listing_chosen(self, event: Listing.Chosen) -> None:
        """Open the run where it went wrong."""
        if self._one is not None:
            self.home.open_run(self._one.subject.run_key, verdict_panes.event_of(self._one.verdict), "mismatch")

    def verdicts_changed(self) -> None:
        """Show them."""
        self.action_reload()

    def action_check(self) -> None:
        """Those of the cause again, or all."""
        if self.grid.current is not None:
            self.home.check([one.subject.run_key for one in self.grid.current.runs])
        else:
            self._check_all()

    @work(exclusive=True, group="load")
    async def _check_all(self) -> None:
        keys_of_all = await self.ask(self.home.desk.run_keys, wrong=self.grid.tell)
        if keys_of_all:
            self.home.check(keys_of_all)

    def action_reset(self) -> None:
        """Back to before it went wrong."""
        if self.grid.current is not None:
            self.home.reset([one.subject.run_key for one in self.grid.current.runs])

    def action_edit(self) -> None:
        """The line that asked for it."""
        site = self._one.verdict.call_site if self._one else None
        self.edit(site.file if site else None, site.line if site else 0)

    def action_copy(self) -> None:
        """The verdict."""
        if self._one is not None:
            self.copy(to_report_json(self._one), "the verdict")


def _nothing(found: Found) -> tuple[Line, ...]:
    good: dict[str, Any] = {word: count for word, count in found.counts.items() if count}
    if good:
        return (line(("✔ every run that was checked follows its code", "good")), line(("c checks again", "dim")))
    return (
        line(("no run was checked yet", "strong")),
        line(("c replays all runs against workflow code", "dim")),
        line(("replaytool check --workflows CODE  does it from the shell", "dim")),
    )
