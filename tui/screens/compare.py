"""Two runs side by side, aligned by what they did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical

from replaytool.tui import keys
from replaytool.tui.screens.base import Base
from replaytool.tui.styled_lines import Line, cell, line, tree
from replaytool.tui.widgets.line_list import Listing, Pane
from replaytool.tui.widgets.table import Column, Grid

if TYPE_CHECKING:
    from replaytool.debug.compare_runs import AlignedPair
    from replaytool.engines.temporal.events.labels import EventLabel

_MEANING = {"=": "the same", "~": "other values", "-": "only in the left run", "+": "only in the right run"}


def _side(deed: EventLabel | None) -> str:
    return f"{deed.event_id:>5} {deed.kind} {cell(deed.name, 60)}" if deed else ""


COLUMNS = (
    Column("", lambda pair: pair.difference_mark, 1, role="mark"),
    Column("Left", lambda pair: _side(pair.left), 60),
    Column("Right", lambda pair: _side(pair.right), 60),
)


class Compare(Base):
    """The pairs above, what differs in one of them below."""

    GROUP = "Compare"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("Compare")

    def __init__(self, left: str, right: str) -> None:
        super().__init__()
        self.sides = (left, right)
        self.pairs: list[AlignedPair] = []
        self.only_differing = False

    def body(self) -> ComposeResult:
        """Table and pane."""
        with Vertical(id="compare"):
            yield Grid("pairs")
            yield Pane("Difference", "changes")

    def on_mount(self) -> None:
        """Align them, which may take long."""
        self.grid, self.pane = self.query_one(Grid), self.query_one(Pane)
        self.title_is("Compare", *self.sides, "aligning…")
        self._load()

    @work(exclusive=True, group="load")
    async def _load(self) -> None:
        found = await self.ask(self.home.desk.diff, *self.sides, wrong=self.grid.tell)
        if found is None:
            return
        left, right, self.pairs = found
        differing = sum(pair.difference_mark != "=" for pair in self.pairs)
        names = [f"{row.workflow_id or '-'} ({row.run_key}, {row.status})" for row in (left, right)]
        self.title_is("Compare", *names, f"{differing:,} of {len(self.pairs):,} differ")
        first = next((index for index, pair in enumerate(self.pairs) if pair.difference_mark != "="), 0)
        self._show(first)

    def _show(self, cursor: int) -> None:
        rows = [pair for pair in self.pairs if pair.difference_mark != "=" or not self.only_differing]
        self.grid.show(COLUMNS, rows, (line(("✔ the same, event for event", "good")),), cursor)
        if not rows:
            self.pane.show([])

    def on_listing_moved(self, event: Listing.Moved) -> None:
        """What differs in this pair."""
        if self.grid.current is not None:
            self.pane.show(_changes(self.grid.current))

    def on_listing_chosen(self, event: Listing.Chosen) -> None:
        """Open the run that has it, the left one first."""
        self.action_open_side("left" if self.grid.current.left else "right")

    def action_open_side(self, side: str) -> None:
        """This event in its run."""
        pair = self.grid.current
        deed = getattr(pair, side) if pair else None
        if deed is None:
            self.say(f"the {side} run has no event here", wrong=True)
        else:
            self.home.open_run(self.sides[side == "right"], deed.event_id)

    def action_difference(self, by: int) -> None:
        """On to what differs."""
        rows: list[AlignedPair] = self.grid.rows
        places = range(self.grid.cursor + by, len(rows) if by > 0 else -1, by)
        found = next((index for index in places if rows[index].difference_mark != "="), None)
        if found is None:
            self.say(f"no difference {'after' if by > 0 else 'before'} this line", wrong=True)
        else:
            self.grid.go(found)

    def action_only_differing(self) -> None:
        """Hide or show what is the same, and stay where one is."""
        here = self.grid.current
        self.only_differing = not self.only_differing
        rows = [pair for pair in self.pairs if pair.difference_mark != "=" or not self.only_differing]
        self._show(next((index for index, pair in enumerate(rows) if pair is here), 0))

    def action_copy(self) -> None:
        """The pair."""
        pair = self.grid.current
        if pair is not None:
            self.copy(_as_json(pair), "the pair")


def _as_json(pair: AlignedPair) -> dict[str, Any]:
    sides = {name: getattr(pair, name) for name in ("left", "right")}
    return {
        "mark": pair.difference_mark,
        **{name: deed and {"event_id": deed.event_id, "kind": deed.kind, "name": deed.name, "content": deed.content}
           for name, deed in sides.items()},
        "changes": [{"path": one.path, "left": one.left, "right": one.right} for one in pair.changes],
    }  # fmt: skip


def _changes(pair: AlignedPair) -> list[Line]:
    found = [
        line(
            (f"{pair.difference_mark} ", "warn" if pair.difference_mark != "=" else "good"),
            (_MEANING[pair.difference_mark], "strong"),
        )
    ]
    for change in pair.changes:
        found.append(line((cell(change.path), "key")))
        found.extend(line(("  - ", "bad"), *one) for one in tree(change.left, 20))
        found.extend(line(("  + ", "good"), *one) for one in tree(change.right, 20))
    if not pair.changes and pair.difference_mark != "=":
        deed = pair.left or pair.right
        found.extend(tree(deed.content if deed else None, 200))
    return found
