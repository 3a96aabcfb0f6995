"""The replayed side of the debugger: the code behind the run, what it held, and questions about it.

Every question goes to the children of the walk, on a thread of its own; Escape gives up what is being answered.
"""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from replaytool.model.debug_state import Blame, BuildSplit, ReplayedState, ReplayProgress, Trouble
from replaytool.tui.debugger import source_pane
from replaytool.tui.debugger.breakpoints import Breakpoint, find_breakpoint_lines, find_first_true_events, is_same_file
from replaytool.tui.debugger.panes import DebuggerPanes
from replaytool.tui.debugger.watches import WatchList
from replaytool.tui.dialogs.prompts import GoToDialog, PromptDialog, TextListDialog
from replaytool.tui.screens.base import BaseScreen
from replaytool.tui.session_worker import OpenedRun, run_in_thread
from replaytool.tui.styled_lines import Line, cell_text, line, short_file_name
from replaytool.tui.text import replayed as replayed_panes

if TYPE_CHECKING:
    from replaytool.debug.time_travel import TimeTravel
    from replaytool.model.history import Event
    from replaytool.session import CodeMap
    from replaytool.tui.screen_host import ScreenHost

Answer = TypeVar("Answer")
_PAUSE = 0.02
_TICK = 0.2
_FRESH = 1.0
_LONGEST_CLOSING = 10.0


class RecordedSide(Protocol):
    """What the replay side asks of the screen that holds it."""

    @property
    def stop(self) -> int:
        """The index of the event where the debugger stands."""
        ...

    @property
    def before(self) -> int:
        """The index of the previous stop."""
        ...

    def travel_to_event(self, event_id: int, since: int | None = None) -> None:
        """Go to an event; show the difference since another event if one is named."""
        ...

    def show_current_stop(self) -> None:
        """Show everything that is known about the stop."""
        ...

    def show_replay_error(self, trouble: Trouble) -> None:
        """Show why the replay ended before the record did."""
        ...


class ReplaySide:
    """What the debugger can do where there is code; without code, the recorded side works alone."""

    def __init__(self, screen: BaseScreen, recorded: RecordedSide, panes: DebuggerPanes) -> None:
        self._screen, self._recorded, self._panes = screen, recorded, panes
        self.walk: TimeTravel | None = None
        self.moment: ReplayedState | None = None
        self.trouble: Trouble | None = None
        """What ended the replay before the record did."""
        self._opened: OpenedRun | None = None
        self._build_splits: Sequence[BuildSplit] = ()
        self._watches = WatchList(())
        self._progress: dict[str, tuple[ReplayProgress, float]] = {}
        self._frame = 0
        self._halt = threading.Event()
        self._closings: list[threading.Thread] = []

    @property
    def _app(self) -> ScreenHost:
        return self._screen.replay_app

    def _start_work(
        self,
        group: str,
        work: Callable[..., Coroutine[object, object, None]],
        *arguments: object,
        exclusive: bool = True,
    ) -> None:
        """Run it beside the screen; exclusive work ends what runs in its group."""
        call: Callable[[], Coroutine[object, object, None]] = partial(work, *arguments)
        self._screen.run_worker(call, group=group, exclusive=exclusive)

    def _warn(self, text: str) -> None:
        self._screen.show_message(text, wrong=True)

    async def _ask(self, question: Callable[..., Answer], *arguments: object) -> Answer | None:
        """Return the answer, or None after a message in the corner."""
        return await self._screen.ask_session(question, *arguments, wrong=lambda *why: self._warn(why[0][-1][0]))

    def start_replay(self, opened: OpenedRun) -> None:
        """Replay the run beside the screen if its code is known."""
        self._opened = opened
        self._watches = WatchList(self._app.place.watches)
        self._screen.set_interval(_TICK, self._show_progress)
        if self._app.workflow_code:
            self._start_work("walk", self._open_time_travel, opened, self._app.workflow_code)

    async def _open_time_travel(self, opened: OpenedRun, code: CodeMap | str) -> None:
        self._close_time_travel()
        key = opened.row["run_key"]
        self._screen.set_class(True, "-code")
        self._panes.source.show_notice(line(("loading the code…", "dim")))
        walk = await self._screen.ask_session(
            self._app.desk.open_time_travel, key, code, self._record_progress, wrong=self._show_load_error
        )
        if walk is None:
            return
        self.walk = walk
        self._panes.source.border_subtitle = self._code_header
        self.show_replayed_state()
        last = await self._screen.ask_session(walk.state_at, opened.events[-1].event_id, wrong=self._show_load_error)
        if last is None:
            return
        self.trouble = last.trouble
        if self.trouble is not None:
            self._recorded.show_replay_error(self.trouble)
        self._build_splits = await self._screen.ask_session(walk.find_build_changes, wrong=self._show_load_error) or ()
        self._progress.clear()
        self._panes.minimap.mark_build_differences(self._build_splits)
        if self._build_splits:
            self._recorded.show_current_stop()  # where they part belongs to what is told there
        self._start_watches(self._watches.texts)
        self.find_expression_stops()

    def _close_time_travel(self) -> None:
        """Let go of the children; what they are at is given up."""
        walk, self.walk, self.moment, self._build_splits = self.walk, None, None, ()
        if walk is not None:
            self._closings.append(threading.Thread(target=walk.close_processes, daemon=True))
            self._closings[-1].start()

    def _show_load_error(self, *why: Line) -> None:
        self._panes.source.show_notice(*why)
        self._panes.variables.show_rows([replayed_panes.VariableRow(one) for one in why])

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
        self._panes.source.border_subtitle = f"replaying {said} events; Esc stops" if said else self._code_header

    @property
    def _code_header(self) -> str:
        """Which code serves which build."""
        assert self.walk is not None
        words = cell_text(self.walk.code_summary, 400).split()
        return " ".join(f"{short_file_name(word.strip('();'))}" if "/" in word else word for word in words)

    # The moment

    def show_replayed_state(self) -> None:
        """Show state, variables and source at the stop, if the run is replayed."""
        if self.walk is not None and self._opened is not None:
            self._start_work("moment", self._show_state_at_stop, self.walk, self._opened.events)

    async def _show_state_at_stop(self, walk: TimeTravel, events: Sequence[Event]) -> None:
        await asyncio.sleep(_PAUSE)
        ids = (events[self._recorded.before].event_id, events[self._recorded.stop].event_id)
        found = await self._screen.ask_session(self._app.desk.read_moment, walk, *ids, wrong=self._show_load_error)
        if found is None:
            return
        self.moment, difference = found
        changed = (*difference.state, *difference.variables)
        rows = replayed_panes.format_variables(self.moment, changed)
        if self.moment.trouble is not None:
            rows.insert(0, replayed_panes.VariableRow(replayed_panes.format_trouble(self.moment.trouble)))
        self._panes.variables.show_rows(rows)
        self._panes.difference.add_lines(
            replayed_panes.format_changes(difference) + self._build_difference_lines(ids[1])
        )
        self._panes.pending.add_lines([line(), *replayed_panes.format_commands(self.moment)])
        self._show_watches()
        self._frame = 0
        await self._show_source()

    def _build_difference_lines(self, event_id: int) -> list[Line]:
        return [replayed_panes.format_build_difference(one) for one in self._build_splits if one.event_id <= event_id]

    async def _show_source(self) -> None:
        moment, walk = self.moment, self.walk
        if moment is None or walk is None:
            return
        found = source_pane.find_code_positions(moment)
        if not found:
            self._panes.source.mark_lines({}, None)
            if not self._panes.source.count:
                self._panes.source.show_notice(line(("no coroutine waits at this event", "dim")))
            return
        file, number, _ = found[self._frame % len(found)]
        if not self._panes.source.has_file(moment.build_id, file):
            text = await self._screen.ask_session(
                self._app.desk.read_code_lines, walk, moment.build_id, file, wrong=self._show_load_error
            )
            if text is None:
                return
            self._panes.source.load_file(moment.build_id, file, *text)
        self._panes.source.mark_lines({at: sign for name, at, sign in reversed(found) if name == file}, number)
        self._panes.source.border_title = f"5 Source  {short_file_name(file)}:{number}"
        self._panes.source.set_breakpoint_lines(find_breakpoint_lines(self._app.breakpoints, file))

    def show_other_frame(self, by: int) -> None:
        """Show the line of another waiting coroutine, or of its caller."""
        self._frame += by
        self._start_work("moment", self._show_source)

    # Questions

    def _has_workflow_code(self) -> bool:
        if self.walk is None:
            self._warn("no workflow code for this run: press o to choose it")
        return self.walk is not None

    def ask_for_code(self) -> None:
        """Ask which code replays this run."""
        example = "app.workflows   or   v1=old/v1.py v2=old/v2.py   or   --git"

        def use_named_code(text: str | None) -> None:
            if text and text.strip():
                self._app.use_code(text.strip())
                if self._opened is not None:
                    self._start_work("walk", self._open_time_travel, self._opened, text.strip())

        self._screen.app.push_screen(PromptDialog("Workflow code", example, self._app.place.code), use_named_code)

    def ask_for_expression(self) -> None:
        """Ask for an expression, and go to the first event where it holds."""
        if self._has_workflow_code():
            self._screen.app.push_screen(
                PromptDialog("Find the first step where this is true", "points == 0 and trips"), self._start_find
            )

    def _start_find(self, text: str | None) -> None:
        if text and text.strip():
            self._start_work("ask", self._find_first_event, text.strip())

    async def _find_first_event(self, expression: str) -> None:
        if self.walk is None:
            return
        self._screen.show_message(f"searching {expression}… Esc stops")
        found = await self._ask(self.walk.find_first_holding, expression)
        if found is None:
            return
        bad = found.event_id is None
        self._screen.show_message(
            found.trouble.message if bad and found.trouble else replayed_panes.describe_find_result(found), wrong=bad
        )
        if found.event_id is not None:
            self._panes.variables.prefer_names(re.findall(r"\w+", expression))
            self._recorded.travel_to_event(found.event_id, found.last_false)

    def blame_variable(self) -> None:
        """Show which event and line gave the value under the cursor its content."""
        self._start_work("ask", self._blame_variable)

    async def _blame_variable(self) -> None:
        if not self._has_workflow_code() or self.walk is None or self._opened is None:
            return
        path = self._panes.variables.expression_path
        if not path:
            self._warn("put the cursor on a variable first")
            return
        found = await self._ask(self.walk.blame_value, path, self._opened.events[self._recorded.stop].event_id)
        if found is not None:
            await self._show_blame(found)

    async def _show_blame(self, found: Blame) -> None:
        source: Sequence[str] = ()
        if found.call_site is not None and self.walk is not None:
            text = await self._ask(self.walk.read_source, found.build_id, found.call_site.file)
            source = text.text.splitlines() if text else ()
        lines = replayed_panes.format_blame(found, source)
        at = found.event_id
        if at is None:
            self._warn("".join(text for text, _ in lines[0]))
        else:
            self._screen.app.push_screen(GoToDialog("Blame", lines, lambda: self._recorded.travel_to_event(at)))

    # Watches

    def ask_for_watch(self) -> None:
        """Ask for an expression to watch."""
        if self._has_workflow_code():
            self._screen.app.push_screen(PromptDialog("Watch", "len(trips)"), self._add_watch)

    def _add_watch(self, text: str | None) -> None:
        if text and text.strip():
            self._set_watches((*self._watches.texts, text.strip()))

    def list_watches(self) -> None:
        """Show the list of watched expressions."""
        self._screen.app.push_screen(
            TextListDialog("Watched expressions", self._watches.texts, self._set_watches, "len(trips)")
        )

    def _set_watches(self, texts: Sequence[str]) -> None:
        new = self._watches.set_expressions(texts)
        self._app.update_saved_place(watches=self._watches.texts)
        self._show_watches()
        self._start_watches(new)

    def _start_watches(self, texts: Iterable[str]) -> None:
        for text in texts:
            self._start_work("watch", self._evaluate_watch, text, exclusive=False)

    async def _evaluate_watch(self, text: str) -> None:
        if self.walk is not None:
            found = await self._screen.ask_session(
                self.walk.watch_expression, text, wrong=lambda *why: self._watches.add_error(text, why[0][-1][0])
            )
            if found is not None:
                self._watches.add_result(found)
            self._show_watches()

    def _show_watches(self) -> None:
        if self._opened is not None:
            event_id = self._opened.events[self._recorded.stop].event_id
            self._panes.watch.show_lines(self._watches.format_lines(event_id), stay=True)

    # Breakpoints on code

    def find_expression_stops(self) -> None:
        """Find where each expression begins to hold: asked once, looked up while running."""
        self._start_work("expressions", self._find_expression_stops)

    async def _find_expression_stops(self) -> None:
        stops: set[int] = set()
        for one in self._app.breakpoints:
            if one.expression and self.walk is not None:
                found = await self._ask(self.walk.watch_expression, one.expression)
                stops |= find_first_true_events(found) if found is not None else set()
        self._panes.events.stops_here = frozenset(stops)
        self._panes.events.refresh()

    def breakpoint_at_cursor(self) -> Breakpoint | None:
        """Return the breakpoint on the selected line of code, or a new one; None if the source has no focus."""
        if self._screen.focused is not self._panes.source or not self._panes.source.count:
            return None
        file, at = self._panes.source.file, self._panes.source.line_number
        known = (one for one in self._app.breakpoints if one.line == at and is_same_file(one.file, file))
        return next(known, Breakpoint(file=file, line=at))

    def run_to_breakpoint(self, by: int, recorded: int | None) -> None:
        """Go to the nearest breakpoint: at a line of code, or at `recorded`, the nearest one of the record."""
        if self._opened is not None:
            self._start_work("run", self._run_to_breakpoint, self._opened, by, recorded)

    async def _run_to_breakpoint(self, opened: OpenedRun, by: int, recorded: int | None) -> None:
        lines = [one for one in self._app.breakpoints if one.file]
        found = recorded
        if lines and self.walk is not None:
            self._halt.clear()
            last = len(opened.events) if by > 0 else -1
            span = range(self._recorded.stop + by, last if recorded is None else recorded, by)
            desk = self._app.desk
            at = await self._ask(desk.find_line_stop, self.walk, opened, span, lines, self._halt)
            found = at if at is not None else recorded
        if found is None:
            self._warn(f"no breakpoint {'after' if by > 0 else 'before'} this event; press B to list them")
        else:
            self._recorded.travel_to_event(opened.events[found].event_id)

    # The rest

    def cancel_questions(self) -> None:
        """Give up every question that is not answered yet."""
        self._halt.set()
        if self.walk is not None:
            away_with = self.walk.cancel_questions
            threading.Thread(target=away_with, daemon=True).start()

    async def close(self) -> None:
        """End the child processes and remove what was checked out, before the screen goes."""
        self._close_time_travel()
        for thread in self._closings:
            await run_in_thread(thread.join, _LONGEST_CLOSING)
