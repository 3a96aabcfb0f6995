"""Two runs side by side, aligned by their steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical

from replaytool.tui import keys
from replaytool.tui.screens.base import BaseScreen
from replaytool.tui.styled_lines import Line, cell_text, line, tree_lines
from replaytool.tui.widgets.line_list import LineList, TextPane
from replaytool.tui.widgets.table import DataGrid, TableColumn

if TYPE_CHECKING:
    from replaytool.debug.compare_runs import AlignedPair
    from replaytool.model.event_label import EventLabel

_MEANING = {"=": "same", "~": "different values", "-": "only in the left run", "+": "only in the right run"}


def _format_side(deed: EventLabel | None) -> str:
    return f"{deed.event_id:>5} {deed.kind} {cell_text(deed.name, 60)}" if deed else ""


COLUMNS = (
    TableColumn("", lambda pair: pair.difference_mark, 1, role="mark"),
    TableColumn("Left", lambda pair: _format_side(pair.left), 60),
    TableColumn("Right", lambda pair: _format_side(pair.right), 60),
)


class CompareScreen(BaseScreen):
    """The pairs above; below, what differs in the selected pair."""

    GROUP = "Compare"
    BINDINGS: ClassVar[list[BindingType]] = keys.build_bindings("Compare")

    def __init__(self, left: str, right: str) -> None:
        super().__init__()
        self.sides = (left, right)
        self.pairs: list[AlignedPair] = []
        self.only_differing = False

    def compose_body(self) -> ComposeResult:
        """Yield the table and the pane."""
        with Vertical(id="compare"):
            yield DataGrid("pairs")
            yield TextPane("Difference", "changes")

    def on_mount(self) -> None:
        """Align the two runs, which may take long."""
        self.grid, self.pane = self.query_one(DataGrid), self.query_one(TextPane)
        self.show_title("Compare", *self.sides, "aligning…")
        self._load_pairs()

    @work(exclusive=True, group="load")
    async def _load_pairs(self) -> None:
        found = await self.ask_session(self.replay_app.desk.compare_runs, *self.sides, wrong=self.grid.show_notice)
        if found is None:
            return
        left, right, self.pairs = found
        differing = sum(pair.difference_mark != "=" for pair in self.pairs)
        names = [f"{row.workflow_id or '-'} ({row.run_key}, {row.status})" for row in (left, right)]
        self.show_title("Compare", *names, f"{differing:,} of {len(self.pairs):,} differ")
        first = next((index for index, pair in enumerate(self.pairs) if pair.difference_mark != "="), 0)
        self._show_pairs(first)

    def _show_pairs(self, cursor: int) -> None:
        rows = [pair for pair in self.pairs if pair.difference_mark != "=" or not self.only_differing]
        self.grid.show_rows(COLUMNS, rows, (line(("✔ no difference", "good")),), cursor)
        if not rows:
            self.pane.show_lines([])

    def on_line_list_moved(self, event: LineList.Moved) -> None:
        """Show what differs in the selected pair."""
        if self.grid.current_row is not None:
            self.pane.show_lines(_format_pair_changes(self.grid.current_row))

    def on_line_list_chosen(self, event: LineList.Chosen) -> None:
        """Open the run that has this event, the left one first."""
        self.action_open_side("left" if self.grid.current_row.left else "right")

    def action_open_side(self, side: str) -> None:
        """Open the left or right run at this event."""
        pair = self.grid.current_row
        deed = getattr(pair, side) if pair else None
        if deed is None:
            self.show_message(f"the {side} run has no event here", wrong=True)
        else:
            self.replay_app.open_run(self.sides[side == "right"], deed.event_id)

    def action_difference(self, by: int) -> None:
        """Go to the next or previous difference."""
        rows: list[AlignedPair] = self.grid.rows
        places = range(self.grid.cursor + by, len(rows) if by > 0 else -1, by)
        found = next((index for index in places if rows[index].difference_mark != "="), None)
        if found is None:
            self.show_message(f"no difference {'after' if by > 0 else 'before'} this line", wrong=True)
        else:
            self.grid.move_cursor(found)

    def action_only_differing(self) -> None:
        """Hide or show equal pairs, and stay on the selected pair."""
        here = self.grid.current_row
        self.only_differing = not self.only_differing
        rows = [pair for pair in self.pairs if pair.difference_mark != "=" or not self.only_differing]
        self._show_pairs(next((index for index, pair in enumerate(rows) if pair is here), 0))

    def action_copy(self) -> None:
        """Copy the pair as JSON."""
        pair = self.grid.current_row
        if pair is not None:
            self.copy_value(_pair_to_json(pair), "the pair")


def _pair_to_json(pair: AlignedPair) -> dict[str, object]:
    sides = {name: getattr(pair, name) for name in ("left", "right")}
    return {
        "mark": pair.difference_mark,
        **{name: deed and {"event_id": deed.event_id, "kind": deed.kind, "name": deed.name, "content": deed.content}
           for name, deed in sides.items()},
        "changes": [{"path": one.path, "left": one.left, "right": one.right} for one in pair.changes],
    }  # fmt: skip


def _format_pair_changes(pair: AlignedPair) -> list[Line]:
    found = [
        line(
            (f"{pair.difference_mark} ", "warn" if pair.difference_mark != "=" else "good"),
            (_MEANING[pair.difference_mark], "strong"),
        )
    ]
    for change in pair.changes:
        found.append(line((cell_text(change.path), "key")))
        found.extend(line(("  - ", "bad"), *one) for one in tree_lines(change.left, 20))
        found.extend(line(("  + ", "good"), *one) for one in tree_lines(change.right, 20))
    if not pair.changes and pair.difference_mark != "=":
        deed = pair.left or pair.right
        found.extend(tree_lines(deed.content if deed else None, 200))
    return found
