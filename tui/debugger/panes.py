"""The panes of the debugger: the recorded side and the replay side both write into them."""

from __future__ import annotations

from collections.abc import Mapping

from replaytool.tui.debugger.event_list import RunEventList
from replaytool.tui.debugger.minimap import RunMinimap
from replaytool.tui.debugger.source_pane import SourcePane
from replaytool.tui.debugger.variables_pane import VariablesPane
from replaytool.tui.widgets.line_list import LineView, TextPane


class DebuggerPanes:
    """Every pane by its own name; `beside` has those at the right of the event list by their ids."""

    def __init__(self) -> None:
        self.minimap = RunMinimap("minimap")
        self.events = RunEventList("events")
        self.source = SourcePane()
        self.variables = VariablesPane()
        self.payload = TextPane("1 Event", "payload")
        self.pending = TextPane("2 State", "pending")
        self.difference = TextPane("3 Changes", "difference")
        self.watch = TextPane("6 Watch", "watch")
        self.mismatch = TextPane("7 Mismatch", "mismatch")
        order: tuple[LineView, ...] = (
            self.source, self.variables, self.payload, self.pending, self.difference, self.watch, self.mismatch,
        )  # fmt: skip
        self.beside: Mapping[str, LineView] = {str(pane.id): pane for pane in order}
