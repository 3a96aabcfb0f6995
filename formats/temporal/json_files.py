"""Temporal histories as JSON, in every shape that its tools, their users and their archives have produced.

The shapes differ in what stands around the events; a walk down to the lists of events covers them all: a bare list,
`{"events": …}`, the API's answer, wrappers with ids, several runs by name, batches of one run, JSON in JSON.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, BinaryIO

import msgspec

from replaytool.formats import json_stream as json_values
from replaytool.formats.base import HEAD_SIZE, Unreadable
from replaytool.formats.temporal.canonical_events import (
    UNSPECIFIED,
    EventList,
    all_understood,
    id_of,
    understood,
    whole_file,
)
from replaytool.formats.temporal.run_summary import build_run, is_closing
from replaytool.formats.unsupported import refuse_foreign
from replaytool.model.history import Hints, Problem, Run

_LOOKS_LIKE = re.compile(rb'\\?"(event_?[iI]d|event_?[tT]ype|events|[a-z]+(EventAttributes|_event_attributes))\\?"')
_DEEPEST = 8
_PIECE = 1000  # events; a long history is taken in as it is read, and not gathered first
_EVENT_KEYS = {"eventType", "event_type", "eventTime", "event_time", "timestamp"}


class TemporalJson:
    """Any JSON that holds Temporal histories."""

    name = "temporal-json"
    engine = "temporal"
    about = "JSON from the CLI, the UI, an SDK, tctl, the HTTP API or an archive; wrapped, listed, nested or by line"

    def sniff(self, head: bytes) -> bool:
        """JSON text that names events early on."""
        text = head.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n,\x1e")
        if text[:1] not in (b"{", b"[", b'"'):
            return False
        # What stands around a history can be longer than the head.
        return len(head) >= HEAD_SIZE or _LOOKS_LIKE.search(text) is not None

    def read(self, stream: BinaryIO, hints: Hints) -> Iterator[Run]:
        """The runs, as soon as each is complete."""
        begin = stream.read(json_values.FIRST_PIECE)
        is_short = len(begin) < json_values.FIRST_PIECE
        if is_short and (plain := _plain(begin)):
            history = _History(Hints())
            history.add(plain)
            yield history.run(hints)
            return
        values = json_values.values(stream, begin)
        gathering: _History | None = None
        for part in _parts(values if is_short else _plain_first(values), Hints(), 0):
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

    def __init__(self, events: list[Any], ids: list[int], wrapper: Hints, *, goes_on: bool = False) -> None:
        self.events = events
        self.ids = ids
        self.wrapper = wrapper
        self.goes_on = goes_on
        """Whether this stands in the same list as the part before."""
        self.is_truncated = False
        self.is_bare = False
        """Whether nothing stands around the events, not even a list."""


class _History:
    """One history while it is being read."""

    def __init__(self, wrapper: Hints) -> None:
        self.wrapper = wrapper
        self.gathered = EventList()
        self.lowest = self.highest = self.newest = 0
        self.is_bare = True

    def goes_on_with(self, part: _Part) -> bool:
        """Whether the part carries this history on, upwards or downwards."""
        if part.goes_on:
            return True
        if part.wrapper not in (self.wrapper, Hints()):
            return False
        ids = part.ids
        if self.newest == self.highest and ids[0] == self.newest + 1:
            return min(ids) == ids[0] and not is_closing(self.gathered.events[-1])
        return self.newest == self.lowest and ids[0] == max(ids) == self.newest - 1

    def add(self, part: _Part) -> None:
        """Take the part's events in."""
        ids = part.ids
        if ids:
            self.lowest = min(self.lowest, *ids) if self.gathered.events else min(ids)
            self.highest = max(self.highest, *ids)
            self.newest = ids[-1]
        self.is_bare &= part.is_bare
        if dict in set(map(type, part.events)):
            for event in part.events:
                if type(event) is dict:
                    refuse_foreign(event)
        self.gathered.extend(part.events, ids)
        if part.is_truncated:
            self.gathered.note(Problem("truncated", "the export names a next page: events are missing at the end"))
        if part.wrapper != Hints():
            self.wrapper = part.wrapper

    def run(self, hints: Hints) -> Run:
        """The finished run."""
        events = self.gathered.events
        if all(event.event_type == UNSPECIFIED for event in events):
            raise Unreadable("JSON with event ids, but not a history", "a history is a list of events with their types")
        if self.lowest != 1 or (self.is_bare and len(events) == 1):
            raise Unreadable(_fragment(self), "export the whole history, all events from the first on")
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
    group = _Group(wrapper, is_bare=depth == 0)
    for item in _in_slices(items, wrapper):
        event = item if isinstance(item, _Part) else understood(item)
        if event is not None:
            if group.ends_before(event):
                yield from group.flushed()
                group = _Group(wrapper, is_bare=depth == 0)
            yield from group.added(event)
            continue
        yield from group.flushed()
        group = _Group(wrapper, is_bare=depth == 0)
        if isinstance(item, json_values.Rest):
            yield _behind(item, wrapper)
        else:
            yield from _inside(json_values.opened(item), wrapper, depth)
    yield from group.flushed()


def _plain(text: bytes | msgspec.Raw) -> _Part | None:
    """The events of a text that holds one history and nothing else."""
    events, ids = whole_file(text)
    return _Part(events, ids, Hints()) if ids else None


def _plain_first(values: Iterator[Any]) -> Iterator[Any]:
    """The values of a long file, plain histories read in one step: files of lines are made of them."""
    for value in values:
        yield (_plain(value) if type(value) is msgspec.Raw else None) or value


def _in_slices(items: Iterator[Any], wrapper: Hints) -> Iterator[Any]:
    """The items, but a slice of a list that holds plain events in their order stays together."""
    for item in items:
        if not isinstance(item, json_values.Slice):
            yield item
            continue
        events, ids = all_understood(item.text)
        if ids and ids == list(range(ids[0], ids[0] + len(ids))):
            yield _Part(events, ids, wrapper)
        else:
            yield from json_values.opened(item.text)


class _Group:
    """Events that follow each other in one list; where several histories stand there, one of them."""

    def __init__(self, wrapper: Hints, *, is_bare: bool) -> None:
        self.wrapper = wrapper
        self.is_bare = is_bare
        self.events: list[Any] = []
        self.ids: list[int] = []
        self.first = self.last = self.count = 0
        self.has_begun = False
        self.was_cut = False

    def ends_before(self, event: Any) -> bool:
        """Whether this event belongs to another history than the events so far."""
        event_id = event.ids[0] if isinstance(event, _Part) else id_of(event)
        if event_id == 1:
            return self.has_begun or (self.count > 1 and self.last >= self.first)
        # Newest first and complete: the next one begins another history.
        return self.last == 1 and self.count == self.first > 1

    def added(self, event: Any) -> Iterator[_Part]:
        """Take in an event or many; what has grown long enough is handed on."""
        ids = event.ids if isinstance(event, _Part) else [id_of(event)]
        self.first = self.first if self.count else ids[0]
        self.last = ids[-1]
        self.has_begun |= ids[0] == 1
        self.is_bare &= not isinstance(event, _Part)
        self.count += len(ids)
        self.events += event.events if isinstance(event, _Part) else [event]
        self.ids += ids
        if len(self.ids) >= _PIECE:
            yield from self.flushed()

    def flushed(self) -> Iterator[_Part]:
        """What has been gathered since the last piece."""
        if self.events:
            part = _Part(self.events, self.ids, self.wrapper, goes_on=self.was_cut)
            part.is_bare = self.is_bare
            yield part
        self.was_cut |= bool(self.events)
        self.events, self.ids = [], []


def _behind(rest: json_values.Rest, wrapper: Hints) -> _Part:
    """What an object says behind its long list of events."""
    part = _Part([], [], _with_ids(wrapper, rest.members), goes_on=True)
    part.is_truncated = _names_next_page(rest.members)
    return part


def _inside(value: Any, wrapper: Hints, depth: int) -> Iterator[_Part]:
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        text = io.BytesIO(value.encode("utf-8", "surrogatepass"))
        yield from _parts(json_values.values(text), wrapper, depth + 1)
    elif isinstance(value, list):
        yield from _parts(iter(value), wrapper, depth + 1)
    elif isinstance(value, json_values.Slice):
        yield from _parts(iter([value]), wrapper, depth + 1)
    elif isinstance(value, dict):
        yield from _inside_object(value, _with_ids(wrapper, value), depth)


def _inside_object(value: dict[str, Any], wrapper: Hints, depth: int) -> Iterator[_Part]:
    if {"initialEvent", "eventList"} & value.keys():
        raise Unreadable("groups of events as the UI shows them, not a history", "export the history itself")
    inner = _list_text(value.get("events")) or json_values.opened(value.get("history"))
    if inner is None:
        members = map(json_values.opened, value.values())
        yield from _parts((item for item in members if isinstance(item, dict | list)), wrapper, depth + 1)
        return
    for part in _inside(inner, wrapper, depth + 1):
        part.is_truncated |= _names_next_page(value)
        yield part


def _list_text(value: Any) -> Any:
    """The list that a value is, as text where it is text; None where it is no list."""
    if isinstance(value, msgspec.Raw):
        return json_values.Slice(value) if bytes(memoryview(value)[:1]) == b"[" else None
    return value if isinstance(value, list) else None


def _names_next_page(value: dict[str, Any]) -> bool:
    return any(json_values.opened(value.get(name)) for name in ("nextPageToken", "next_page_token"))


def _with_ids(wrapper: Hints, value: dict[str, Any]) -> Hints:
    if len(value) == 1 and "events" in value:
        return wrapper  # as nearly all files have it
    executions = (json_values.opened(value.get(name)) for name in ("workflowExecution", "execution"))
    holders = [value, *(execution for execution in executions if isinstance(execution, dict))]

    def first(*names: str) -> str | None:
        found = (json_values.opened(holder.get(name)) for holder in holders for name in names)
        return next((json_values.repaired(text) for text in found if isinstance(text, str) and text), None)

    return replace(
        wrapper,
        workflow_id=first("workflowId", "workflow_id", "workflowID") or wrapper.workflow_id,
        run_id=first("runId", "run_id", "runID") or wrapper.run_id,
        namespace=first("namespace") or wrapper.namespace,
    )
