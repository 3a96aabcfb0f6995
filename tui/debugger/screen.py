"""The debugger: one run, event by event, in both directions."""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Vertical
from textual.widgets import Static

from replaytool.debug.timeline import RunTimeline
from replaytool.errors import ReplaytoolError
from replaytool.model.debug_state import Trouble
from replaytool.model.verdict import Verdict
from replaytool.tui import keys
from replaytool.tui.debugger import breakpoints, places
from replaytool.tui.debugger.breakpoints import Breakpoint
from replaytool.tui.debugger.event_list import format_clock, seconds_since_start
from replaytool.tui.debugger.minimap import RunMinimap
from replaytool.tui.debugger.panes import DebuggerPanes
from replaytool.tui.debugger.replay_side import ReplaySide
from replaytool.tui.dialogs.prompts import PromptDialog, TextListDialog
from replaytool.tui.screens.base import BaseScreen
from replaytool.tui.session_worker import OpenedRun, run_in_thread
from replaytool.tui.styled_lines import Line, line, plain_text
from replaytool.tui.text import recorded as recorded_panes
from replaytool.tui.text import replayed as replayed_panes
from replaytool.tui.text import verdict as verdict_panes
from replaytool.tui.widgets.line_list import LineList

_STANDING = ("source", "variables")
"""Where there is room, and code, these stand above the one of the others that was chosen."""
_PAUSE = 0.02
"""While a key is held down, only where it comes to rest is worth decoding."""


class DebuggerScreen(BaseScreen):
    """One run on the screen."""

    GROUP = "Debugger"
    AUTO_FOCUS = "RunEventList"
    BINDINGS: ClassVar[list[BindingType]] = keys.build_bindings("Debugger")

    def __init__(self, run: str, event: int | None = None, pane: str = "payload") -> None:
        super().__init__()
        self.run_text, self._wanted, self._pane = run, event, pane
        self.panes = DebuggerPanes()
        self.events = self.panes.events
        self.replay = ReplaySide(self, self, self.panes)
        self.opened: OpenedRun | None = None
        self.timeline: RunTimeline | None = None
        self.stop = 0
        self.before = 0
        self._hits: list[int] = []
        self._bad: list[int] = []
        self.verdict: Verdict | None = None

    def compose_body(self) -> ComposeResult:
        """Yield the scrub bar, the events, the panes and the line for the verdict."""
        yield self.panes.minimap
        with Container(id="debugger"):
            yield self.events
            with Vertical(id="side"):
                yield from self.panes.beside.values()
        yield Static(id="verdict", markup=False)

    def on_mount(self) -> None:
        """Read the run."""
        self.query_one("#verdict").display = False
        self.action_pane(self._pane, focus=False)
        self.show_title(self.run_text, "loading…")
        self._load_run()

    @work(exclusive=True, group="load")
    async def _load_run(self) -> None:
        opened = await self.ask_session(self.replay_app.desk.open_run, self.run_text, wrong=self._show_open_error)
        if opened is None:
            return
        self.opened = opened
        ids = [event.event_id for event in opened.events]
        self.stop = self.before = min(bisect_left(ids, self._wanted or ids[0]), len(ids) - 1)
        self._bad = [index for index, event in enumerate(opened.events) if opened.roles[event.event_type].failed]
        self.events.load_events(opened.events, opened.roles, self.stop)
        self.panes.minimap.load_run(len(ids), self._bad, (), ids[0])
        self.show_current_stop()
        # Reading all names and states keeps the interpreter busy, so what can be seen already is painted first.
        painted = asyncio.Event()
        self.events.call_after_refresh(painted.set)
        await painted.wait()
        await asyncio.sleep(_PAUSE)
        self.timeline = await self.ask_session(
            opened.reader.read_timeline,
            opened.events,
            wrong=lambda *why: self.panes.pending.show_lines(why),
        )
        if self.timeline is not None:
            self.events.names = self.timeline.names
            self.panes.minimap.load_run(len(ids), self._bad, self.timeline.segments, ids[0])
            self._set_breakpoints(self.replay_app.breakpoints)
            self.show_current_stop()
            self.replay.start_replay(opened)
            self._show_last_verdict()

    @work(exclusive=True, group="verdict")
    async def _show_last_verdict(self) -> None:
        """What the last check said, above the keys where it is bad news."""
        assert self.opened is not None
        found = await self.ask_session(
            self.replay_app.desk.last_verdict, self.opened.row["run_key"], wrong=lambda *why: None
        )
        if found is None:
            self.panes.mismatch.show_lines([line(("this run has no verdict yet: press c in the list of runs", "dim"))])
            return
        self.verdict, site = found, found.call_site
        source = (
            await self.ask_session(self.replay_app.desk.read_source, site.file, wrong=lambda *why: None) if site else ()
        )
        self.panes.mismatch.show_lines(verdict_panes.format_verdict(found, source or ()))
        if found.verdict not in ("ok", "drift"):
            self._show_verdict_line(verdict_panes.format_brief(found))

    def show_replay_error(self, trouble: Trouble) -> None:
        """Show why the replay ended, unless the verdict of the last check is shown there."""
        if trouble.kind != "no code" and not self.query_one("#verdict").display:
            self._show_verdict_line(replayed_panes.format_trouble(trouble))

    def _show_verdict_line(self, found: Line) -> None:
        told = self.query_one("#verdict", Static)
        told.update(plain_text([found]))
        told.display = True

    def _show_open_error(self, *why: Line) -> None:
        self.show_title(self.run_text, "not opened")
        self.events.show_notice(*why)

    # Where the run stands

    def stop_at_index(self, index: int) -> None:
        """Travel there."""
        if self.opened is None:
            return
        index = max(0, min(index, len(self.opened.events) - 1))
        if index != self.stop:
            self.before, self.stop = self.stop, index
            self.events.stop = index
            self.show_current_stop()
        self.events.move_cursor(index)

    def show_current_stop(self) -> None:
        """All that is known of where the run stands."""
        assert self.opened is not None
        events, row = self.opened.events, self.opened.row
        event = events[self.stop]
        self.replay_app.remember_position(row["run_key"], event.event_id)
        passed = format_clock(seconds_since_start(event, events[0])).strip()
        build, task = "", ""
        if self.timeline is not None:
            state = self.timeline.state_at(event.event_id)
            build = f"build {state.build_id}" if state.build_id else "no build"
            task = f"  task {state.task.ordinal if state.task else 0}/{len(self.timeline.tasks)}"
            self.panes.pending.show_lines(
                recorded_panes.format_state(state, self.timeline, self.opened.roles[event.event_type])
            )
            changed = self.timeline.difference_between(events[self.before].event_id, event.event_id)
            self.panes.difference.show_lines(recorded_panes.format_difference(changed))
        self.show_title(row["workflow_id"] or "-", row["run_key"], row["workflow_type"], row["status"], build)
        self.panes.minimap.move_to(self.stop, f"event {event.event_id}/{events[-1].event_id}{task}  {passed}")
        self.events.refresh_row(self.before)
        self.events.refresh_row(self.stop)
        self.replay.show_replayed_state()

    def travel_to_event(self, event_id: int, since: int | None = None) -> None:
        """Go to an event; the difference is told since another one, where that is named."""
        if self.timeline is not None and self.timeline.first_event_id <= event_id <= self.timeline.last_event_id:
            self.stop_at_index(self.timeline.index_of_event(event_id))
            if since is not None:
                self.before = self.timeline.index_of_event(since)
                self.show_current_stop()
        else:
            self.show_message(f"event {event_id} is after the end of the history", wrong=True)

    def on_line_list_moved(self, event: LineList.Moved) -> None:
        """The payload is that of the event under the cursor: looking at it is no travel."""
        if event.listing is self.events:
            self._show_payload(event.listing.cursor)
            self._show_previews()

    def on_line_list_chosen(self, event: LineList.Chosen) -> None:
        """Travel to the cursor."""
        if event.listing is self.events:
            self.stop_at_index(event.listing.cursor)

    def on_run_event_list_scrolled(self) -> None:
        """Other events need previews."""
        self._show_previews()

    def on_run_minimap_clicked(self, event: RunMinimap.Clicked) -> None:
        """Travel to that part."""
        if self.opened is not None:
            self.stop_at_index(round(event.part * (len(self.opened.events) - 1)))

    @work(exclusive=True, group="payload")
    async def _show_payload(self, index: int) -> None:
        if self.opened is None:
            return
        event = self.opened.events[index]
        await asyncio.sleep(_PAUSE)
        pane, desk = self.panes.payload, self.replay_app.desk
        found = await self.ask_session(desk.format_event, self.opened, event, wrong=lambda *why: pane.show_lines(why))
        if found is not None:
            pane.show_lines([line((f"{event.event_id} {event.event_type}", "strong")), *found])

    @work(exclusive=True, group="previews")
    async def _show_previews(self) -> None:
        await asyncio.sleep(_PAUSE)
        if self.opened is None:
            return
        known, events = self.events.previews, self.events.events
        missing = [events[index] for index in self.events.visible_rows() if events[index].event_id not in known]
        if missing:
            try:
                found = await run_in_thread(self.replay_app.desk.preview_events, self.opened, missing)
            except ReplaytoolError:
                return  # the payload pane says why; the list does without
            self.events.previews.update(found)
            self.events.refresh()

    # Keys

    def action_step(self, by: int) -> None:
        """One event."""
        self.stop_at_index(self.stop + by)

    def action_task(self, by: int) -> None:
        """To the end of a workflow task."""
        if self._is_timeline_ready() and self.timeline is not None and self.opened is not None:
            ends = [
                self.timeline.index_of_event(task.closed) for task in self.timeline.tasks if task.closed is not None
            ]
            self._jump_to_next_of(ends, by, "no workflow task ends there")

    def action_run(self, by: int) -> None:
        """To a breakpoint."""
        if self._is_timeline_ready() and self.opened is not None:
            indexes = range(self.stop + by, len(self.opened.events) if by > 0 else -1, by)
            recorded = next((index for index in indexes if self.events.is_breakpoint(index)), None)
            self.replay.run_to_breakpoint(by, recorded)

    def action_hit(self, by: int) -> None:
        """To a hit of the search."""
        self._jump_to_next_of(self._hits, by, "no search result there; press / to search")

    def _jump_to_next_of(self, places: Sequence[int], by: int, otherwise: str) -> None:
        index = bisect_right(places, self.stop) if by > 0 else bisect_left(places, self.stop) - 1
        if 0 <= index < len(places):
            self.stop_at_index(places[index])
        else:
            self.show_message(otherwise, wrong=True)

    def _is_timeline_ready(self) -> bool:
        if self.timeline is None:
            self.show_message("still reading the run", wrong=True)
        return self.timeline is not None

    def action_mismatch(self) -> None:
        """Where recorded and produced part for the first time."""
        at = verdict_panes.event_to_show(self.verdict) if self.verdict else None
        if at is None and self.replay.trouble is not None:
            at = self.replay.trouble.event_id
        if at is not None and self._is_timeline_ready():
            self.action_pane("mismatch", focus=False)
            self.travel_to_event(at)
        else:
            self.show_message("this run has no known mismatch", wrong=True)

    def action_toggle_breakpoint(self) -> None:
        """On events like the one under the cursor, or on the line of the source."""
        if self._is_timeline_ready() and self.timeline is not None:
            index = self.events.cursor
            found = self.replay_app.breakpoints
            new = self.replay.breakpoint_at_cursor() or Breakpoint(
                self.events.events[index].event_type, self.timeline.names[index]
            )
            on = new not in found
            self._set_breakpoints((*found, new) if on else tuple(one for one in found if one != new))
            self.show_message(f"{'breakpoint set' if on else 'breakpoint cleared'}: {new}")

    def action_breakpoints(self) -> None:
        """All of them."""
        texts = [str(one) for one in self.replay_app.breakpoints]
        self.app.push_screen(
            TextListDialog(
                "Breakpoints", texts, self._set_breakpoint_texts, breakpoints.EXAMPLE, breakpoints.parse_breakpoint
            )
        )

    def _set_breakpoint_texts(self, texts: Sequence[str]) -> None:
        self._set_breakpoints([breakpoints.parse_breakpoint(text) for text in texts])

    def _set_breakpoints(self, found: Sequence[Breakpoint]) -> None:
        self.replay_app.breakpoints = tuple(found)
        self.events.stops_at = breakpoints.names_by_event_type(found, self.events.roles)
        self.events.refresh()
        source = self.panes.source
        source.set_breakpoint_lines(breakpoints.find_breakpoint_lines(found, source.file))
        self.replay.find_expression_stops()

    def action_search(self) -> None:
        """Ask for a text."""
        if self._is_timeline_ready():
            self.app.push_screen(
                PromptDialog("Search", "an event type, a name, or a part of a payload"), self._start_search
            )

    def _start_search(self, wanted: str | None) -> None:
        if wanted:
            self._search_events(wanted)

    @work(exclusive=True, group="search")
    async def _search_events(self, wanted: str) -> None:
        if self.timeline is None or self.opened is None:
            return
        self.show_message(f"searching {len(self.opened.events):,} events…")
        found = await self.ask_session(
            self.replay_app.desk.search_events,
            self.opened,
            self.timeline.names,
            wanted,
            wrong=lambda *why: self.show_message(why[0][-1][0]),
        )
        if found is not None:
            self._hits, self.events.hits = found, frozenset(found)
            self.events.refresh()
            self.show_message(
                f"{len(found):,} results for {wanted!r}: . next, , previous" if found else f"no result for {wanted!r}"
            )
            if found and self.stop not in self.events.hits:
                self._jump_to_next_of(found, 1 if found[-1] > self.stop else -1, "")

    def action_goto(self) -> None:
        """Ask for a place."""
        if self._is_timeline_ready():
            self.app.push_screen(PromptDialog("Go to", places.EXAMPLE, check=self._parse_place), self._go_to_place)

    def _go_to_place(self, text: str | None) -> None:
        if text is not None:
            self.stop_at_index(self._parse_place(text))

    def _parse_place(self, text: str) -> int:
        assert self.timeline is not None
        return places.parse_place(text, self.timeline, self.stop)

    def action_pane(self, name: str, *, focus: bool = True) -> None:
        """Show it where there is room for one only, and go there."""
        narrow = self.has_class("-narrow")
        for other, pane in self.panes.beside.items():
            if narrow or name not in _STANDING:
                pane.set_class(other == name, "-chosen")
        if focus:
            self.panes.beside[name].focus()

    def action_zoom(self) -> None:
        """The focused pane alone."""
        focused = self.focused
        zoomed = self.has_class("-zoomed")
        self.set_class(not zoomed and focused is not None, "-zoomed")
        for pane in (self.events, *self.panes.beside.values()):
            pane.set_class(not zoomed and pane is focused, "-alone")
        self.query_one("#side").set_class(not zoomed and focused in self.panes.beside.values(), "-alone")

    def action_reset(self) -> None:
        """This run, to before a build or the task under the cursor."""
        if self.opened is not None:
            self.replay_app.choose_reset_point(
                [self.opened.row["run_key"]], self.opened.events[self.events.cursor].event_id
            )

    @work(exclusive=True, group="copy")
    async def action_copy(self) -> None:
        """Copy what the cursor is on: a variable, a line of code, else the whole event."""
        variables, source = self.panes.variables, self.panes.source
        if self.focused is variables and variables.current_value is not None:
            self.copy_value(variables.current_value.to_plain_data(), variables.variable_path)
        elif self.focused is source and source.count:
            self.copy_value(f"{source.file}:{source.line_number}", "the place")
        elif self.opened is not None:
            event = self.opened.events[self.events.cursor]
            found = await self.ask_session(
                self.opened.reader.decode_event,
                event,
                wrong=lambda *why: self.show_message(why[0][-1][0], wrong=True),
            )
            if found is not None:
                self.copy_value(found, f"event {event.event_id}")

    # Keys of the replay side

    def action_frame(self, by: int) -> None:
        """Show the line of another waiting coroutine, or of its caller."""
        self.replay.show_other_frame(by)

    def action_name_code(self) -> None:
        """Ask which code replays this run."""
        self.replay.ask_for_code()

    def action_find(self) -> None:
        """Ask for an expression, and go to the first event where it holds."""
        self.replay.ask_for_expression()

    def action_blame(self) -> None:
        """Show what gave the variable under the cursor its value."""
        self.replay.blame_variable()

    def action_watch(self) -> None:
        """Ask for an expression to watch."""
        self.replay.ask_for_watch()

    def action_watches(self) -> None:
        """Show the watched expressions."""
        self.replay.list_watches()

    def action_give_up(self) -> None:
        """Give up every question that is not answered yet."""
        self.replay.cancel_questions()

    def action_edit(self) -> None:
        """Open the selected line of the source in $EDITOR."""
        self.edit_code_line(self.panes.source.file or None, self.panes.source.line_number)

    async def on_unmount(self) -> None:
        """End the child processes of the replay."""
        await self.replay.close()
