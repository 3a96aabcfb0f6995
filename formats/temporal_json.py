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

_LOOKS_LIKE = re.compile(
    rb'\\?"(event_?[iI]d|event_?[tT]ype|events|[a-z]+(EventAttributes|_event_attributes))\\?"'
)
_DEEPEST = 6


class TemporalJson:
    """Any JSON that holds Temporal histories."""

    name = "temporal-json"
    engine = "temporal"
    about = "JSON from the CLI, the UI, an SDK, tctl, the HTTP API or an archive; wrapped, listed, nested or by line"

    def sniff(self, head: bytes) -> bool:
        """JSON text that names events early on."""
        text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
        return text[:1] in (b"{", b"[", b'"') and _LOOKS_LIKE.search(text) is not None

    def read(self, stream: BinaryIO, hints: Hints) -> Iterator[Run]:
        """The runs, as soon as each is complete."""
        gathering: _History | None = None
        for part in _parts(json_values.values(stream), Hints(), 0):
            if gathering is not None and not gathering.goes_on_with(part):
                yield gathering.run(hints)
                gathering = None
            if gathering is None:
                gathering = _History(part.wrapper)
            gathering.add(part)
        if gathering is None:
            raise Unreadable(
                "JSON without a history in it", "a history is a list of events that begins with event 1"
            )
        yield gathering.run(hints)


class _Part:
    """Events that stand together in the file; an archive cuts one history into several of them."""

    def __init__(self, events: list[Any], wrapper: Hints, is_truncated: bool = False) -> None:
        self.events = events
        self.wrapper = wrapper
        self.is_truncated = is_truncated
        self.ids = [_event_id(event) for event in events]


class _History:
    """One history while it is being read."""

    def __init__(self, wrapper: Hints) -> None:
        self.wrapper = wrapper
        self.gathered = EventList()
        self.lowest = self.highest = self.newest = 0

    def goes_on_with(self, part: _Part) -> bool:
        """Whether the part carries this history on, upwards or downwards."""
        if part.wrapper != self.wrapper and part.wrapper != Hints():
            return False
        return part.ids[0] in (self.newest + 1, self.newest - 1) and min(part.ids) != max(1, self.lowest)

    def add(self, part: _Part) -> None:
        """Take the part's events in."""
        for event in part.events:
            refuse_foreign(event)
            self.gathered.add(event)
        if part.is_truncated:
            self.gathered.note(
                Problem("truncated", "the export names a next page: events are missing at the end")
            )
        self.newest = part.ids[-1]
        self.lowest = min(part.ids + ([self.lowest] if self.lowest else []))
        self.highest = max(part.ids + [self.highest])

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
    """The groups of events among these values, each with the ids that stand around it."""
    if depth > _DEEPEST:
        return
    together: list[Any] = []
    for item in items:
        if _is_event(item):
            if together and _event_id(item) == 1 and _event_id(together[-1]) != 2:
                yield _Part(together, wrapper)
                together = []
            together.append(item)
            continue
        if together:
            yield _Part(together, wrapper)
            together = []
        yield from _inside(item, wrapper, depth)
    if together:
        yield _Part(together, wrapper)


def _inside(value: Any, wrapper: Hints, depth: int) -> Iterator[_Part]:
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        yield from _parts(iter([_json_in_text(value)]), wrapper, depth + 1)
    elif isinstance(value, list):
        yield from _parts(iter(value), wrapper, depth + 1)
    elif isinstance(value, dict):
        yield from _inside_object(value, _with_ids(wrapper, value), depth)


def _inside_object(value: dict[str, Any], wrapper: Hints, depth: int) -> Iterator[_Part]:
    if {"initialEvent", "eventList"} & value.keys():
        raise Unreadable("groups of events as the UI shows them, not a history", "export the history itself")
    events = value.get("events")
    if isinstance(events, list):
        for part in _parts(iter(events), wrapper, depth + 1):
            part.is_truncated = bool(value.get("nextPageToken") or value.get("next_page_token"))
            yield part
        return
    inner = value.get("history")
    if inner is not None:
        for part in _parts(iter([inner]), wrapper, depth + 1):
            part.is_truncated |= bool(value.get("nextPageToken") or value.get("next_page_token"))
            yield part
        return
    for item in value.values():
        if isinstance(item, dict | list):
            yield from _parts(iter([item]), wrapper, depth + 1)


def _json_in_text(text: str) -> Any:
    try:
        return json_values.parse(text.encode())
    except (ValueError, RecursionError) as error:
        raise Unreadable(
            f"JSON inside a JSON string does not parse: {error}", "export the history again"
        ) from None


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


def _is_event(value: Any) -> bool:
    return isinstance(value, dict) and ("eventId" in value or "event_id" in value)


def _event_id(event: dict[str, Any]) -> int:
    try:
        return int(event.get("eventId", event.get("event_id", 0)))
    except (TypeError, ValueError):
        return 0
