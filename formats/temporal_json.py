"""Temporal histories as JSON, in every shape that its tools, their users and their archives have produced.

The shapes differ in what stands around the events; a walk down to the lists of events covers them all: a bare list,
`{"events": …}`, the API's answer, wrappers with ids, several runs by name, batches of one run, JSON in JSON.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, BinaryIO

from replaytool.formats import json_values
from replaytool.formats.base import Unreadable
from replaytool.formats.foreign import refuse_foreign
from replaytool.formats.temporal_events import EventList
from replaytool.formats.temporal_run import build_run
from replaytool.history import Hints, Problem, Run

_LOOKS_LIKE = re.compile(rb'\\?"(event_?[iI]d|event_?[tT]ype|events|[a-z]+(EventAttributes|_event_attributes))\\?"')
_DEEPEST = 6
_EVENT_KEYS = {"eventType", "event_type", "eventTime", "event_time", "timestamp"}


class TemporalJson:
    """Any JSON that holds Temporal histories."""

    name = "temporal-json"
    engine = "temporal"
    about = "JSON from the CLI, the UI, an SDK, tctl, the HTTP API or an archive; wrapped, listed, nested or by line"

    def sniff(self, head: bytes) -> bool:
        """JSON text that names events early on."""
        text = head.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n,\x1e")
        return text[:1] in (b"{", b"[", b'"') and _LOOKS_LIKE.search(text) is not None

    def read(self, stream: BinaryIO, hints: Hints) -> Iterator[Run]:
        """The runs, as soon as each is complete."""
        gathering: _History | None = None
        for part in _parts(json_values.values(stream), Hints(), 0):
            if gathering is not None and not gathering.goes_on_with(part):
                yield gathering.run(hints)
                gathering = None
            if gathering is None and part.events:
                gathering = _History(part.wrapper)
            if gathering is not None:
                gathering.add(part)
        if gathering is None:
            raise Unreadable("JSON without a history in it", "a history is a list of events that begins with event 1")
        yield gathering.run(hints)


class _Part:
    """Events that stand together in the file: an archive cuts one history into several, and so do we a long one."""

    def __init__(self, events: list[Any], wrapper: Hints, *, goes_on: bool = False) -> None:
        self.events = events
        self.wrapper = wrapper
        self.goes_on = goes_on
        """Whether this stands in the same list as the part before."""
        self.is_truncated = False


class _History:
    """One history while it is being read."""

    def __init__(self, wrapper: Hints) -> None:
        self.wrapper = wrapper
        self.gathered = EventList()
        self.lowest = self.highest = self.newest = 0

    def goes_on_with(self, part: _Part) -> bool:
        """Whether the part carries this history on, upwards or downwards."""
        if part.goes_on:
            return True
        if part.wrapper not in (self.wrapper, Hints()):
            return False
        ids = [id_of(event) for event in part.events]
        if self.newest == self.highest and ids[0] == self.newest + 1:
            return min(ids) == ids[0] and not is_closing(self.gathered.events[-1])
        return self.newest == self.lowest and ids[0] == max(ids) == self.newest - 1

    def add(self, part: _Part) -> None:
        """Take the part's events in."""
        for event in part.events:
            if isinstance(event, dict):
                refuse_foreign(event)
            self.gathered.add(event)
        if part.is_truncated:
            self.gathered.note(Problem("truncated", "the export names a next page: events are missing at the end"))
        if part.wrapper != Hints():
            self.wrapper = part.wrapper
        ids = [id_of(event) for event in part.events]
        self.newest = ids[-1] if ids else self.newest
        self.lowest = min(ids + ([self.lowest] if self.highest else []))
        self.highest = max([*ids, self.highest])

    def run(self, hints: Hints) -> Run:
        """The finished run."""
        if self.lowest != 1:
            raise Unreadable(_fragment(self), "export the whole history: it begins with event 1")
        return build_run(self.gathered, TemporalJson.name, self.wrapper, hints)


def _fragment(history: _History) -> str:
    first = history.gathered.events[0]
    if len(history.gathered.events) == 1:
        return f"a single event ({first.event_type}, id {first.event_id}), not a history"
    return f"a fragment (events {history.lowest} to {history.highest}), not a history"


def _parts(items: Iterator[Any], wrapper: Hints, depth: int) -> Iterator[_Part]:
    """The groups of events among these values, each with the ids that stand around it; a long group in pieces."""
    if depth > _DEEPEST:
        return
    group = _Group()
    for item in items:
        event = understood(item)
        if event is not None:
            is_next = group.ends_before(id_of(event))
            if (is_next or len(group.events) >= _PIECE) and group.events:
                yield group.part(wrapper)
            if is_next:
                group = _Group()
            group.add(event)
            continue
        if group.events:
            yield group.part(wrapper)
        if isinstance(item, json_values.Rest):
            yield from _behind(item, wrapper)
        else:
            group = _Group()
            yield from _inside(json_values.opened(item), wrapper, depth)
    if group.events:
        yield group.part(wrapper)


class _Group:
    """Events that follow each other in one list; where several histories stand there, one of them."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.first = self.last = self.count = 0
        self.has_begun = False
        self.was_cut = False

    def ends_before(self, event_id: int) -> bool:
        """Whether the event with this id belongs to another history than the events so far."""
        if not self.count:
            return False
        if event_id == 1:
            return self.has_begun or (self.count > 1 and self.last >= self.first)
        is_complete = self.last == 1 and self.count == self.first > 1
        return is_complete and event_id > 1

    def add(self, event: Any) -> None:
        """Take the event in."""
        self.last = id_of(event)
        self.first = self.first if self.count else self.last
        self.has_begun |= self.last == 1
        self.count += 1
        self.events.append(event)

    def part(self, wrapper: Hints) -> _Part:
        """What has been gathered since the last piece."""
        piece = _Part(self.events, wrapper, goes_on=self.was_cut)
        self.events = []
        self.was_cut = True
        return piece


def _behind(rest: json_values.Rest, wrapper: Hints) -> Iterator[_Part]:
    """What an object says behind its long list of events."""
    part = _Part([], _with_ids(wrapper, rest.members), goes_on=True)
    part.is_truncated = _names_next_page(rest.members)
    yield part


def _inside(value: Any, wrapper: Hints, depth: int) -> Iterator[_Part]:
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        text = io.BytesIO(value.encode("utf-8", "surrogatepass"))
        yield from _parts(json_values.values(text), wrapper, depth + 1)
    elif isinstance(value, list):
        yield from _parts(iter(value), wrapper, depth + 1)
    elif isinstance(value, dict):
        yield from _inside_object(value, _with_ids(wrapper, value), depth)


def _inside_object(value: dict[str, Any], wrapper: Hints, depth: int) -> Iterator[_Part]:
    if {"initialEvent", "eventList"} & value.keys():
        raise Unreadable("groups of events as the UI shows them, not a history", "export the history itself")
    events = json_values.opened(value.get("events"))
    inner = events if isinstance(events, list) else json_values.opened(value.get("history"))
    if inner is None:
        yield from _parts(iter(value.values()), wrapper, depth + 1)
        return
    for part in _inside(inner, wrapper, depth):
        part.is_truncated |= _names_next_page(value)
        yield part


def _names_next_page(value: dict[str, Any]) -> bool:
    return any(json_values.opened(value.get(name)) for name in ("nextPageToken", "next_page_token"))


def _with_ids(wrapper: Hints, value: dict[str, Any]) -> Hints:
    execution = value.get("workflowExecution") or value.get("execution") or {}
    holders = [value, execution if isinstance(execution, dict) else {}]

    def first(*names: str) -> str | None:
        found = (holder.get(name) for holder in holders for name in names)
        return next((text for text in found if isinstance(text, str) and text), None)

    return replace(
        wrapper,
        workflow_id=first("workflowId", "workflow_id", "workflowID") or wrapper.workflow_id,
        run_id=first("runId", "run_id", "runID") or wrapper.run_id,
        namespace=first("namespace") or wrapper.namespace,
    )
