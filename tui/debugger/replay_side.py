"""The replayed side of the debugger: the code behind the run, what it held, and questions about it.

Every question goes to the children of the walk, on a thread of its own; Escape gives up what is being answered.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from textual import work

from replaytool.model.debug_state import Blame, BuildSplit, ReplayedState, ReplayProgress, Trouble, WatchResult
from replaytool.tui.debugger import source_pane
from replaytool.tui.debugger.breakpoints import Breakpoint, find_breakpoint_lines, is_same_file
from replaytool.tui.debugger.event_list import RunEventList
from replaytool.tui.debugger.minimap import RunMinimap
from replaytool.tui.debugger.source_pane import SourcePane
from replaytool.tui.debugger.variables_pane import VariablesPane
from replaytool.tui.debugger.watches import WatchList
from replaytool.tui.dialogs.prompts import GoToDialog, PromptDialog, TextListDialog
from replaytool.tui.screens.base import BaseScreen
from replaytool.tui.session_worker import OpenedRun, run_in_thread
from replaytool.tui.styled_lines import Line, cell_text, line, short_file_name
from replaytool.tui.text import replayed as replayed_panes

if TYPE_CHECKING:
    from replaytool.debug.time_travel import TimeTravel

Answer = TypeVar("Answer")
_PAUSE = 0.02
_TICK = 0.2
_FRESH = 1.0
_LONGEST_CLOSING = 10.0


class ReplaySide(BaseScreen):
    """What the debugger can do where there is code; without it the recorded side stands alone."""

    events: RunEventList
    scrub: RunMinimap
    panes: dict[str, Any]
    opened: OpenedRun | None
    stop: int
    before: int
    source: SourcePane
    variables: VariablesPane
    walk: TimeTravel | None = None
    moment: ReplayedState | None = None
    parts: Sequence[BuildSplit] = ()
    trouble: Trouble | None = None
    """What ended the replay before the record did."""

    def __init__(self) -> None:
        super().__init__()
        self.watches = WatchList(())
        self._progress: dict[str, tuple[ReplayProgress, float]] = {}
        self._frame = 0
        self._halt = threading.Event()
        self._closings: list[threading.Thread] = []

    def travel_to_event(self, event_id: int, since: int | None = None) -> None:
        """Go to an event; the difference is told since another one, where that is named."""
        raise NotImplementedError

    def show_current_stop(self) -> None:
        """All that is known of where the run stands."""
        raise NotImplementedError

    def show_replay_error(self) -> None:
        """Say it where everybody sees it."""
        raise NotImplementedError

    def start_replay(self) -> None:
        """The run is open: replay it beside the screen, where the code is known."""
        self.watches = WatchList(self.replay_app.place.watches)
        self.set_interval(_TICK, self._show_progress)
        if self.replay_app.workflow_code:
            self._open_time_travel(self.replay_app.workflow_code)

    @work(exclusive=True, group="walk")
    async def _open_time_travel(self, code: str) -> None:
        assert self.opened is not None
        self.close_time_travel()
        key = self.opened.row["run_key"]
        self.set_class(True, "-code")
        self.source.show_notice(line(("loading the code…", "dim")))
        walk = await self.ask_session(
            self.replay_app.desk.open_time_travel, key, code, self._record_progress, wrong=self._show_load_error
        )
        if walk is None:
            return
        self.walk = walk
        self.source.border_subtitle = self._code_header
        self.show_replayed_state()
        last = await self.ask_session(walk.state_at, self.opened.events[-1].event_id, wrong=self._show_load_error)
        if last is None:
            return
        self.trouble = last.trouble
        self.show_replay_error()
        self.parts = await self.ask_session(walk.find_build_changes, wrong=self._show_load_error) or ()
        self._progress.clear()
        self.scrub.mark_build_differences(self.parts)
        if self.parts:
            self.show_current_stop()  # where they part belongs to what is told there
        for text in self.watches.texts:
            self._evaluate_watch(text)
        self.find_expression_stops()

    def close_time_travel(self) -> None:
        """Let go of the children; what they are at is given up."""
        walk, self.walk, self.moment, self.parts = self.walk, None, None, ()
        if walk is not None:
            self._closings.append(threading.Thread(target=walk.close_processes, daemon=True))
            self._closings[-1].start()

    def _show_load_error(self, *why: Line) -> None:
        self.source.show_notice(*why)
        self.variables.show_rows([replayed_panes.VariableRow(one) for one in why])

    def _record_progress(self, progress: ReplayProgress) -> None:
        """Called on the threads of the walk."""
        self._progress[progress.code] = (progress, time.monotonic())

    def _show_progress(self) -> None:
        """As long as any child tells of it."""
        if self.walk is None:
            return
        fresh = time.monotonic() - _FRESH
        under_way = [one for one, at in self._progress.values() if at > fresh and one.events < one.of]
        said = ", ".join(f"{one.events:,} of {one.of:,}" for one in under_way)
        self.source.border_subtitle = f"replaying {said} events; Esc stops" if said else self._code_header

    @property
    def _code_header(self) -> str:
        """Which code serves which build."""
        assert self.walk is not None
        words = cell_text(self.walk.code_summary, 400).split()
        return " ".join(f"{short_file_name(word.strip('();'))}" if "/" in word else word for word in words)

    async def ask_time_travel(self, question: Callable[..., Answer], *arguments: Any) -> Answer | None:
        """The answer of the walk, or None after a complaint in the corner."""
        return await self.ask_session(
            question, *arguments, wrong=lambda *why: self.show_message(why[0][-1][0], wrong=True)
        )

    # The moment

    @work(exclusive=True, group="moment")
    async def show_replayed_state(self) -> None:
        """State, variables and source at the stop."""
        walk = self.walk
        if walk is None or self.opened is None:
            return
        await asyncio.sleep(_PAUSE)
        events = self.opened.events
        ids = (events[self.before].event_id, events[self.stop].event_id)
        found = await self.ask_session(self.replay_app.desk.read_moment, walk, *ids, wrong=self._show_load_error)
        if found is None:
            return
        self.moment, difference = found
        changed = (*difference.state, *difference.variables)
        rows = replayed_panes.format_variables(self.moment, changed)
        if self.moment.trouble is not None:
            rows.insert(0, replayed_panes.VariableRow(replayed_panes.format_trouble(self.moment.trouble)))
        self.variables.show_rows(rows)
        self.panes["difference"].add_lines(
            replayed_panes.format_changes(difference) + self._build_difference_lines(ids[1])
        )
        self.panes["pending"].add_lines([line(), *replayed_panes.format_commands(self.moment)])
        self._show_watches()
        self._frame = 0
        await self._show_source()

    def _build_difference_lines(self, event_id: int) -> list[Line]:
        return [replayed_panes.format_build_difference(one) for one in self.parts if one.event_id <= event_id]

    async def _show_source(self) -> None:
        moment, walk = self.moment, self.walk
        if moment is None or walk is None:
            return
        found = source_pane.find_code_positions(moment)
        if not found:
            self.source.mark_lines({}, None)
            if not self.source.count:
                self.source.show_notice(line(("no coroutine waits at this event", "dim")))
            return
        file, number, _ = found[self._frame % len(found)]
        if not self.source.has_file(moment.build_id, file):
            text = await self.ask_session(
                self.replay_app.desk.read_code_lines, walk, moment.build_id, file, wrong=self._show_load_error
            )
            if text is None:
                return
            self.source.load_file(moment.build_id, file, *text)
        self.source.mark_lines({at: sign for name, at, sign in reversed(found) if name == file}, number)
        self.source.border_title = f"5 Source  {short_file_name(file)}:{number}"
        self.source.set_breakpoint_lines(find_breakpoint_lines(self.replay_app.breakpoints, file))

    @work(exclusive=True, group="moment")
    async def action_frame(self, by: int) -> None:
        """To the line that another coroutine, or who called it, stands at."""
        self._frame += by
        await self._show_source()

    # Questions

    def _has_workflow_code(self) -> bool:
        if self.walk is None:
            self.show_message("no workflow code for this run: press o to choose it", wrong=True)
        return self.walk is not None

    def action_name_code(self) -> None:
        """Ask for it."""
        example = "app.workflows   or   v1=old/v1.py v2=old/v2.py   or   --git"

        def use_named_code(text: str | None) -> None:
            if text and text.strip():
                self.replay_app.use_code(text.strip())
                self._open_time_travel(text.strip())

        self.app.push_screen(PromptDialog("Workflow code", example, self.replay_app.place.code), use_named_code)

    def action_find(self) -> None:
        """Ask for an expression."""
        if self._has_workflow_code():
            self.app.push_screen(
                PromptDialog("Find the first step where this is true", "points == 0 and trips"), self._start_find
            )

    def _start_find(self, text: str | None) -> None:
        if text and text.strip():
            self._find_first_event(text.strip())

    @work(exclusive=True, group="ask")
    async def _find_first_event(self, expression: str) -> None:
        if self.walk is None:
            return
        self.show_message(f"searching {expression}… Esc stops")
        found = await self.ask_time_travel(self.walk.find_first_holding, expression)
        if found is None:
            return
        bad = found.event_id is None
        self.show_message(
            found.trouble.message if bad and found.trouble else replayed_panes.describe_find_result(found), wrong=bad
        )
        if found.event_id is not None:
            self.variables.prefer_names(re.findall(r"\w+", expression))
            self.travel_to_event(found.event_id, found.last_false)

    @work(exclusive=True, group="ask")
    async def action_blame(self) -> None:
        """What made the value under the cursor what it is."""
        if not self._has_workflow_code() or self.walk is None or self.opened is None:
            return
        path = self.variables.expression_path
        if not path:
            self.show_message("put the cursor on a variable first", wrong=True)
            return
        found = await self.ask_time_travel(self.walk.blame_value, path, self.opened.events[self.stop].event_id)
        if found is not None:
            await self._show_blame(found)

    async def _show_blame(self, found: Blame) -> None:
        source: Sequence[str] = ()
        if found.call_site is not None and self.walk is not None:
            text = await self.ask_time_travel(self.walk.read_source, found.build_id, found.call_site.file)
            source = text.text.splitlines() if text else ()
        lines = replayed_panes.format_blame(found, source)
        at = found.event_id
        if at is None:
            self.show_message("".join(text for text, _ in lines[0]), wrong=True)
        else:
            self.app.push_screen(GoToDialog("Blame", lines, lambda: self.travel_to_event(at)))

    # Watches

    def action_watch(self) -> None:
        """Ask for an expression."""
        if self._has_workflow_code():
            self.app.push_screen(PromptDialog("Watch", "len(trips)"), self._add_watch)

    def _add_watch(self, text: str | None) -> None:
        if text and text.strip():
            self._set_watches((*self.watches.texts, text.strip()))

    def action_watches(self) -> None:
        """All of them."""
        self.app.push_screen(TextListDialog("Watched expressions", self.watches.texts, self._set_watches, "len(trips)"))

    def _set_watches(self, texts: Sequence[str]) -> None:
        new = self.watches.set_expressions(texts)
        self.replay_app.update_saved_place(watches=self.watches.texts)
        self._show_watches()
        for text in new:
            self._evaluate_watch(text)

    @work(group="watch")
    async def _evaluate_watch(self, text: str) -> None:
        if self.walk is not None:
            found = await self.ask_session(
                self.walk.watch_expression, text, wrong=lambda *why: self.watches.add_error(text, why[0][-1][0])
            )
            if found is not None:
                self.watches.add_result(found)
            self._show_watches()

    def _show_watches(self) -> None:
        if self.opened is not None:
            self.panes["watch"].show_lines(self.watches.format_lines(self.opened.events[self.stop].event_id), stay=True)

    # Breakpoints on code

    @work(exclusive=True, group="expressions")
    async def find_expression_stops(self) -> None:
        """Where each expression begins to hold: asked once, looked up while running."""
        stops: set[int] = set()
        for one in self.replay_app.breakpoints:
            if one.expression and self.walk is not None:
                found = await self.ask_time_travel(self.walk.watch_expression, one.expression)
                stops |= _find_first_true_events(found) if found is not None else set()
        self.events.stops_here = frozenset(stops)
        self.events.refresh()

    def breakpoint_at_cursor(self) -> Breakpoint | None:
        """The one on the line of code under the cursor, or a new one, where that is where the person is."""
        if self.focused is not self.source or not self.source.count:
            return None
        file, at = self.source.file, self.source.line_number
        known = (one for one in self.replay_app.breakpoints if one.line == at and is_same_file(one.file, file))
        return next(known, Breakpoint(file=file, line=at))

    @work(exclusive=True, group="run")
    async def run_to_breakpoint(self, by: int, recorded: int | None) -> None:
        """To the next place, seen from the stop: one that is recorded, or one at a line of code before it."""
        assert self.opened is not None
        lines = [one for one in self.replay_app.breakpoints if one.file]
        found = recorded
        if lines and self.walk is not None:
            self._halt.clear()
            last = len(self.opened.events) if by > 0 else -1
            span = range(self.stop + by, last if recorded is None else recorded, by)
            desk = self.replay_app.desk
            at = await self.ask_time_travel(desk.find_line_stop, self.walk, self.opened.events, span, lines, self._halt)
            found = at if at is not None else recorded
        if found is None:
            self.show_message(
                f"no breakpoint {'after' if by > 0 else 'before'} this event; press B to list them", wrong=True
            )
        else:
            self.travel_to_event(self.opened.events[found].event_id)

    # The rest

    def action_give_up(self) -> None:
        """Whatever is being answered."""
        self._halt.set()
        if self.walk is not None:
            away_with = self.walk.cancel_questions
            threading.Thread(target=away_with, daemon=True).start()

    def action_edit(self) -> None:
        """The line under the cursor of the source."""
        self.edit_code_line(self.source.file or None, self.source.line_number)

    async def on_unmount(self) -> None:
        """No child is left behind, and nothing that was checked out."""
        self.close_time_travel()
        for thread in self._closings:
            await run_in_thread(thread.join, _LONGEST_CLOSING)


def _find_first_true_events(found: WatchResult) -> set[int]:
    """The steps at which it holds and did not hold before."""
    held, stops = False, set()
    for step in found.steps:
        if step.holds and not held:
            stops.add(step.event_id)
        held = step.holds
    return stops
