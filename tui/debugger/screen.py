"""The debugger: one run, event by event, in both directions."""

from __future__ import annotations

import asyncio
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any, ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Vertical
from textual.widgets import Static

from replaytool.debug.timeline import RunTimeline, is_failure_type
from replaytool.errors import ReplaytoolError
from replaytool.model.history import Event
from replaytool.model.verdict import Verdict
from replaytool.tui import keys
from replaytool.tui.debugger import breakpoints
from replaytool.tui.debugger.breakpoints import Breakpoint
from replaytool.tui.debugger.event_list import EventList, clock, seconds
from replaytool.tui.debugger.minimap import Scrub
from replaytool.tui.debugger.replay_side import Replaying
from replaytool.tui.debugger.source_pane import SourcePane
from replaytool.tui.debugger.variables_pane import VariablesPane
from replaytool.tui.dialogs.prompts import Prompt, Texts
from replaytool.tui.session_worker import Opened, away
from replaytool.tui.styled_lines import Line, line, plain
from replaytool.tui.text import recorded as recorded_panes
from replaytool.tui.text import replayed as replayed_panes
from replaytool.tui.text import verdict as verdict_panes
from replaytool.tui.widgets.line_list import Listing, Pane

_STANDING = ("source", "variables")
"""Where there is room, and code, these stand above the one of the others that was chosen."""
_PAUSE = 0.02
"""While a key is held down, only where it comes to rest is worth decoding."""


class Debugger(Replaying):
    """One run on the screen."""

    GROUP = "Debugger"
    AUTO_FOCUS = "EventList"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("Debugger")

    def __init__(self, run: str, event: int | None = None, pane: str = "payload") -> None:
        super().__init__()
        self.run_text, self._wanted, self._pane = run, event, pane
        self.opened: Opened | None = None
        self.timeline: RunTimeline | None = None
        self.stop = 0
        self.before = 0
        self._hits: list[int] = []
        self._bad: list[int] = []
        self.verdict: Verdict | None = None

    def body(self) -> ComposeResult:
        """Scrub bar, events, panes."""
        yield Scrub("scrub")
        with Container(id="debugger"):
            yield EventList("events")
            with Vertical(id="side"):
                yield SourcePane()
                yield VariablesPane()
                yield Pane("1 Event", "payload")
                yield Pane("2 State", "pending")
                yield Pane("3 Difference", "difference")
                yield Pane("6 Watch", "watch")
                yield Pane("7 Mismatch", "mismatch")
        yield Static(id="verdict", markup=False)

    def on_mount(self) -> None:
        """Read the run."""
        self.events = self.query_one("#events", EventList)
        self.scrub = self.query_one(Scrub)
        self.panes = {str(pane.id): pane for pane in self.query("#side > *").results()}
        self.source, self.variables = self.query_one(SourcePane), self.query_one(VariablesPane)
        self.query_one("#verdict").display = False
        self.action_pane(self._pane, focus=False)
        self.title_is(self.run_text, "loading…")
        self._load()

    @work(exclusive=True, group="load")
    async def _load(self) -> None:
        opened = await self.ask(self.home.desk.open, self.run_text, wrong=self._not_opened)
        if opened is None:
            return
        self.opened = opened
        ids = [event.event_id for event in opened.events]
        self.stop = self.before = min(bisect_left(ids, self._wanted or ids[0]), len(ids) - 1)
        self._bad = [index for index, event in enumerate(opened.events) if is_failure_type(event.event_type)]
        self.events.load(opened.events, self.stop)
        self.scrub.load(len(ids), self._bad, (), ids[0])
        self.show_stop()
        # Reading all names and states keeps the interpreter busy, so what can be seen already is painted first.
        painted = asyncio.Event()
        self.events.call_after_refresh(painted.set)
        await painted.wait()
        await asyncio.sleep(_PAUSE)
        self.timeline = await self.ask(
            self.home.desk.timeline, opened.events, wrong=lambda *why: self.panes["pending"].show(why)
        )
        if self.timeline is not None:
            self.events.names = self.timeline.names
            self.scrub.load(len(ids), self._bad, self.timeline.segments, ids[0])
            self._use_breakpoints(self.home.breakpoints)
            self.show_stop()
            self.begin()
            self._judge()

    @work(exclusive=True, group="verdict")
    async def _judge(self) -> None:
        """What the last check said, above the keys where it is bad news."""
        assert self.opened is not None
        found = await self.ask(self.home.desk.verdict, self.opened.row["run_key"], wrong=lambda *why: None)
        if found is None:
            self.panes["mismatch"].show([line(("this run was not checked yet: c in the list of runs does it", "dim"))])
            return
        self.verdict, site = found, found.call_site
        source = await self.ask(self.home.desk.source, site.file, wrong=lambda *why: None) if site else ()
        self.panes["mismatch"].show(verdict_panes.whole(found, source or ()))
        if found.verdict not in ("ok", "drift"):
            self._tell_below(verdict_panes.brief(found))

    def tell_trouble(self) -> None:
        """Unless the last check has said it better."""
        if self.trouble is not None and self.trouble.kind != "no code" and not self.query_one("#verdict").display:
            self._tell_below(replayed_panes.trouble(self.trouble))

    def _tell_below(self, found: Line) -> None:
        told = self.query_one("#verdict", Static)
        told.update(plain([found]))
        told.display = True

    def _not_opened(self, *why: Any) -> None:
        self.title_is(self.run_text, "not opened")
        self.events.tell(*why)

    # Where the run stands

    def stop_at(self, index: int) -> None:
        """Travel there."""
        if self.opened is None:
            return
        index = max(0, min(index, len(self.opened.events) - 1))
        if index != self.stop:
            self.before, self.stop = self.stop, index
            self.events.stop = index
            self.show_stop()
        self.events.go(index)

    def show_stop(self) -> None:
        """All that is known of where the run stands."""
        assert self.opened is not None
        events, row = self.opened.events, self.opened.row
        event = events[self.stop]
        self.home.been(row["run_key"], event.event_id)
        passed = clock(seconds(event, events[0])).strip()
        build, task = "", ""
        if self.timeline is not None:
            state = self.timeline.state_at(event.event_id)
            build = f"build {state.build_id}" if state.build_id else "no build"
            task = f"  task {state.task.ordinal if state.task else 0}/{len(self.timeline.tasks)}"
            self.panes["pending"].show(recorded_panes.state(state, self.timeline))
            changed = self.timeline.difference_between(events[self.before].event_id, event.event_id)
            self.panes["difference"].show(recorded_panes.difference(changed))
        self.title_is(row["workflow_id"] or "-", row["run_key"], row["workflow_type"], row["status"], build)
        self.scrub.go(self.stop, f"event {event.event_id}/{events[-1].event_id}{task}  {passed}")
        self.events.refresh_row(self.before)
        self.events.refresh_row(self.stop)
        if self.walk is not None:
            self.show_moment()

    def travel(self, event_id: int, since: int | None = None) -> None:
        """Go to an event; the difference is told since another one, where that is named."""
        if self.timeline is not None and self.timeline.first_event_id <= event_id <= self.timeline.last_event_id:
            self.stop_at(self.timeline.index_of_event(event_id))
            if since is not None:
                self.before = self.timeline.index_of_event(since)
                self.show_stop()
        else:
            self.say(f"event {event_id} is behind the end of the record", wrong=True)

    def on_listing_moved(self, event: Listing.Moved) -> None:
        """The payload is that of the event under the cursor: looking at it is no travel."""
        if event.listing is self.events:
            self._show_payload(event.listing.cursor)
            self._show_previews()

    def on_listing_chosen(self, event: Listing.Chosen) -> None:
        """Travel to the cursor."""
        if event.listing is self.events:
            self.stop_at(event.listing.cursor)

    def on_event_list_scrolled(self) -> None:
        """Other events need previews."""
        self._show_previews()

    def on_scrub_clicked(self, event: Scrub.Clicked) -> None:
        """Travel to that part."""
        if self.opened is not None:
            self.stop_at(round(event.part * (len(self.opened.events) - 1)))

    @work(exclusive=True, group="payload")
    async def _show_payload(self, index: int) -> None:
        if self.opened is None:
            return
        event = self.opened.events[index]
        await asyncio.sleep(_PAUSE)
        pane, desk = self.panes["payload"], self.home.desk
        found = await self.ask(lambda: recorded_panes.whole(desk.whole(event)), wrong=lambda *why: pane.show(why))
        if found is not None:
            pane.show([line((f"{event.event_id} {event.event_type}", "strong")), *found])

    @work(exclusive=True, group="previews")
    async def _show_previews(self) -> None:
        await asyncio.sleep(_PAUSE)
        known, events = self.events.previews, self.events.events
        missing = [events[index] for index in self.events.shown() if events[index].event_id not in known]
        if missing:
            try:
                found = await away(self.home.desk.previews, missing)
            except ReplaytoolError:
                return  # the payload pane says why; the list does without
            self.events.previews.update(found)
            self.events.refresh()

    # Keys

    def action_step(self, by: int) -> None:
        """One event."""
        self.stop_at(self.stop + by)

    def action_task(self, by: int) -> None:
        """To the end of a workflow task."""
        if self._ready() and self.timeline is not None and self.opened is not None:
            ends = [
                self.timeline.index_of_event(task.closed) for task in self.timeline.tasks if task.closed is not None
            ]
            self._jump(ends, by, "no workflow task ends there")

    def action_run(self, by: int) -> None:
        """To a breakpoint."""
        if self._ready() and self.opened is not None:
            places = range(self.stop + by, len(self.opened.events) if by > 0 else -1, by)
            self.run_to(by, next((index for index in places if self.events.is_breakpoint(index)), None))

    def action_hit(self, by: int) -> None:
        """To a hit of the search."""
        self._jump(self._hits, by, "no hit there; / searches")

    def _jump(self, places: Sequence[int], by: int, otherwise: str) -> None:
        index = bisect_right(places, self.stop) if by > 0 else bisect_left(places, self.stop) - 1
        if 0 <= index < len(places):
            self.stop_at(places[index])
        else:
            self.say(otherwise, wrong=True)

    def _ready(self) -> bool:
        if self.timeline is None:
            self.say("still reading the run", wrong=True)
        return self.timeline is not None

    def action_mismatch(self) -> None:
        """Where recorded and produced part for the first time."""
        at = verdict_panes.event_of(self.verdict) if self.verdict else None
        if at is None and self.trouble is not None:
            at = self.trouble.event_id
        if at is not None and self._ready():
            self.action_pane("mismatch", focus=False)
            self.travel(at)
        else:
            self.say("no mismatch is known in this run", wrong=True)

    def action_toggle_breakpoint(self) -> None:
        """On events like the one under the cursor, or on the line of the source."""
        if self._ready() and self.timeline is not None:
            index = self.events.cursor
            found = self.home.breakpoints
            new = self.line_breakpoint() or Breakpoint(self.events.events[index].event_type, self.timeline.names[index])
            on = new not in found
            self._use_breakpoints((*found, new) if on else tuple(one for one in found if one != new))
            self.say(f"{'breakpoint on' if on else 'no breakpoint any more on'} {new}")

    def action_breakpoints(self) -> None:
        """All of them."""
        texts = [str(one) for one in self.home.breakpoints]
        self.app.push_screen(Texts("Breakpoints", texts, self._use_texts, breakpoints.EXAMPLE, breakpoints.parse))

    def _use_texts(self, texts: Sequence[str]) -> None:
        self._use_breakpoints([breakpoints.parse(text) for text in texts])

    def _use_breakpoints(self, found: Sequence[Breakpoint]) -> None:
        """For each type of event in this run, the names that stop it: running then looks up, and matches nothing."""
        self.home.breakpoints = tuple(found)
        stops: dict[str, set[str] | None] = {}
        for event_type in {event.event_type for event in self.events.events}:
            fitting = [one for one in found if one.holds(event_type, one.name)]
            if any(one.failure or not one.name for one in fitting):
                stops[event_type] = None
            elif fitting:
                stops[event_type] = {one.name for one in fitting}
        self.events.stops_at = stops
        self.events.refresh()
        self.source.stop_on(breakpoints.in_file(found, self.source.file))
        self.use_expressions()

    def action_search(self) -> None:
        """Ask for a text."""
        if self._ready():
            self.app.push_screen(Prompt("Search", "a type, a name, or a piece of a payload"), self._search)

    def _search(self, wanted: str | None) -> None:
        if wanted:
            self._find(wanted)

    @work(exclusive=True, group="search")
    async def _find(self, wanted: str) -> None:
        if self.timeline is None:
            return
        events = self.events.events
        self.say(f"searching {len(events):,} events…")
        found = await self.ask(
            self.home.desk.search, events, self.timeline.names, wanted, wrong=lambda *why: self.say(why[0][-1][0])
        )
        if found is not None:
            self._hits, self.events.hits = found, frozenset(found)
            self.events.refresh()
            self.say(f"{len(found):,} hits for {wanted!r}: . next, , before" if found else f"no hit for {wanted!r}")
            if found and self.stop not in self.events.hits:
                self._jump(found, 1 if found[-1] > self.stop else -1, "")

    def action_goto(self) -> None:
        """Ask for a place."""
        if self._ready():
            self.app.push_screen(Prompt("Go to", "11 · +30s · @charge_card", check=self._place), self._goto)

    def _goto(self, text: str | None) -> None:
        if text is not None:
            self.stop_at(self._place(text))

    def _place(self, text: str) -> int:
        """Which event a person means."""
        assert self.timeline is not None
        text = text.strip()
        if text.startswith("@"):
            order = [*range(self.stop + 1, len(self.timeline.names)), *range(self.stop + 1)]
            names = self.timeline.names
            found: int | None = next((index for index in order if names[index] == text[1:]), None)
            if found is None:
                raise ReplaytoolError(f"no event is about {text[1:]!r}", "names are those that the list shows")
            return found
        if text.startswith("+"):
            return self._after(text[1:].removesuffix("s"))
        if not text.isdigit():
            raise ReplaytoolError(f"{text!r} is no place", "write an event id, +SECONDS, or @NAME")
        return self.timeline.index_of_event(int(text))

    def _after(self, text: str) -> int:
        events: Sequence[Event] = self.events.events
        try:
            wanted = float(text)
        except ValueError:
            raise ReplaytoolError(f"+{text} is no time", "write +90 or +90s, in seconds from the start") from None
        passed = [seconds(event, events[0]) or 0.0 for event in events]
        return max(bisect_right(passed, wanted) - 1, 0)

    def action_pane(self, name: str, *, focus: bool = True) -> None:
        """Show it where there is room for one only, and go there."""
        narrow = self.has_class("-narrow")
        for other, pane in self.panes.items():
            if narrow or name not in _STANDING:
                pane.set_class(other == name, "-chosen")
        if focus:
            self.panes[name].focus()

    def action_zoom(self) -> None:
        """The focused pane alone."""
        focused = self.focused
        zoomed = self.has_class("-zoomed")
        self.set_class(not zoomed and focused is not None, "-zoomed")
        for pane in (self.events, *self.panes.values()):
            pane.set_class(not zoomed and pane is focused, "-alone")
        self.query_one("#side").set_class(not zoomed and focused in self.panes.values(), "-alone")

    def action_reset(self) -> None:
        """This run, to before a build or the task under the cursor."""
        if self.opened is not None:
            self.home.reset([self.opened.row["run_key"]], self.opened.events[self.events.cursor].event_id)

    @work(exclusive=True, group="copy")
    async def action_copy(self) -> None:
        """What the cursor is on: a variable, a line of code, else the event, whole."""
        if self.focused is self.variables and self.variables.value is not None:
            self.copy(self.variables.value.to_plain_data(), self.variables.path)
        elif self.focused is self.source and self.source.count:
            self.copy(f"{self.source.file}:{self.source.line_number}", "the place")
        elif self.opened is not None:
            event = self.opened.events[self.events.cursor]
            found = await self.ask(self.home.desk.whole, event, wrong=lambda *why: self.say(why[0][-1][0], wrong=True))
            if found is not None:
                self.copy(found, f"event {event.event_id}")
