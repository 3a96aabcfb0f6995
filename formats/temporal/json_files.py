"""Read Temporal histories from JSON, in every shape that tools, users and archives have produced.

The shapes differ in what is around the events. A walk down to the lists of events reads them all: a bare list,
`{"events": …}`, the API's answer, wrappers with IDs, several runs by name, batches of one run, JSON inside JSON.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import BinaryIO, NoReturn, cast

import msgspec

from replaytool.errors import ErrorCode
from replaytool.formats import json_stream as json_values
from replaytool.formats.base import Unreadable
from replaytool.formats.temporal.cadence import refuse_cadence
from replaytool.formats.temporal.canonical_events import (
    UNSPECIFIED,
    DecodedEvent,
    HistoryBuilder,
    decode_event,
    decode_event_list,
    decode_plain_file,
    read_event_id,
)
from replaytool.formats.temporal.run_summary import build_run, is_closing_event
from replaytool.model.history import Problem, Run, RunHints

FORMAT_NAME = "temporal-json"
_DEEPEST = 8
_PIECE = 1000  # events; a long history is added piece by piece while it is read
_EVENT_KEYS = {"eventType", "event_type", "eventTime", "event_time", "timestamp"}


def read_json_runs(stream: BinaryIO, hints: RunHints) -> Iterator[Run]:
    """Yield each run as soon as it is complete."""
    begin = stream.read(json_values.FIRST_PIECE)
    is_short = len(begin) < json_values.FIRST_PIECE
    if is_short and (plain := _read_plain_file(begin)):
        history = _HistoryReader(RunHints())
        history.add_batch(plain)
        yield history.finish_run(hints)
        return
    watch = json_values.Utf8Watch(stream)
    watch.check_piece(begin)
    try:
        yield from _read_runs_of_values(json_values.iterate_values(cast(BinaryIO, watch), begin), hints, is_short)
    except json_values.NotUtf8 as error:
        raise json_values.NotUtf8(error.position or watch.position) from None


def _read_runs_of_values(values: Iterator[object], hints: RunHints, is_short: bool) -> Iterator[Run]:
    gathering: _HistoryReader | None = None
    for part in _iterate_batches(values if is_short else _read_plain_values(values), RunHints(), 0):
        if gathering is not None and not gathering.continues_with(part):
            yield gathering.finish_run(hints)
            gathering = None
        if gathering is None and part.events:
            gathering = _HistoryReader(part.wrapper)
        if gathering is not None:
            gathering.add_batch(part)
    if gathering is None:
        raise Unreadable(
            "JSON without a history in it",
            "a history is a list of events that begins with event 1",
            code=ErrorCode.FORMAT_NO_HISTORY,
        )
    yield gathering.finish_run(hints)


class _EventBatch:
    """Events that stand together in the file. An archive cuts one history into several, and so does this reader."""

    def __init__(
        self, events: Sequence[DecodedEvent], ids: list[int], wrapper: RunHints, *, goes_on: bool = False
    ) -> None:
        self.events = events
        self.ids = ids
        self.wrapper = wrapper
        self.goes_on = goes_on
        """Whether it continues the list of the batch before."""
        self.is_truncated = False
        self.is_bare = False
        """Whether nothing is around the events, not even a list."""


class _HistoryReader:
    """One history while it is being read."""

    def __init__(self, wrapper: RunHints) -> None:
        self.wrapper = wrapper
        self.gathered = HistoryBuilder()
        self.lowest = self.highest = self.newest = 0
        self.is_bare = True

    def continues_with(self, part: _EventBatch) -> bool:
        """Return whether the batch continues this history, upwards or downwards."""
        if part.goes_on:
            return True
        if part.wrapper not in (self.wrapper, RunHints()):
            return False
        ids = part.ids
        if self.newest == self.highest and ids[0] == self.newest + 1:
            return min(ids) == ids[0] and not is_closing_event(self.gathered.events[-1])
        return self.newest == self.lowest and ids[0] == max(ids) == self.newest - 1

    def add_batch(self, part: _EventBatch) -> None:
        """Add the events of a batch."""
        ids = part.ids
        if ids:
            self.lowest = min(self.lowest, *ids) if self.gathered.events else min(ids)
            self.highest = max(self.highest, *ids)
            self.newest = ids[-1]
        self.is_bare &= part.is_bare
        if dict in set(map(type, part.events)):
            for event in part.events:
                if type(event) is dict:
                    refuse_cadence(event)
        self.gathered.add_events(part.events, ids)
        if part.is_truncated:
            self.gathered.add_problem(Problem("truncated", "the export has a next page: events are missing at the end"))
        if part.wrapper != RunHints():
            self.wrapper = part.wrapper

    def finish_run(self, hints: RunHints) -> Run:
        """Return the finished run."""
        events = self.gathered.events
        if all(event.event_type == UNSPECIFIED for event in events):
            raise Unreadable(
                "JSON with event IDs, but not a history",
                "a history is a list of events with types",
                code=ErrorCode.FORMAT_NO_HISTORY,
            )
        if self.lowest != 1 or (self.is_bare and len(events) == 1):
            raise Unreadable(
                _describe_fragment(self), "export the whole history, from event 1 on", code=ErrorCode.FORMAT_FRAGMENT
            )
        return build_run(self.gathered, FORMAT_NAME, self.wrapper, hints)


def _describe_fragment(history: _HistoryReader) -> str:
    first = history.gathered.events[0]
    if len(history.gathered.events) == 1:
        return f"a single event ({first.event_type}, id {first.event_id}), not a history"
    return f"a fragment (events {history.lowest} to {history.highest}), not a history"


def _iterate_batches(items: Iterator[object], wrapper: RunHints, depth: int) -> Iterator[_EventBatch]:
    """Yield the batches of events in these values, each with the IDs around it. A long list yields several batches."""
    if depth > _DEEPEST:
        return
    group = _BatchBuilder(wrapper, is_bare=depth == 0)
    nulls = 0
    for item in _decode_slices(items, wrapper):
        event = item if isinstance(item, _EventBatch) else decode_event(item)
        nulls += event is None and json_values.open_value(item) is None
        if nulls and (event is not None or group.count):
            _refuse_null_event(group.last)
        if event is not None:
            if group.ends_before(event):
                yield from group.flush_batch()
                group = _BatchBuilder(wrapper, is_bare=depth == 0)
            yield from group.add_item(event)
            continue
        yield from group.flush_batch()
        group = _BatchBuilder(wrapper, is_bare=depth == 0)
        if isinstance(item, json_values.RemainingMembers):
            yield _read_trailing_members(item, wrapper)
        else:
            yield from _iterate_inside(json_values.open_value(item), wrapper, depth)
    yield from group.flush_batch()


def _refuse_null_event(before: int) -> NoReturn:
    place = f"after event {before}" if before else "before the first event"
    raise Unreadable(f"an event is null ({place})", "export the history again", code=ErrorCode.FORMAT_INVALID_EVENT)


def _read_plain_file(text: bytes | msgspec.Raw) -> _EventBatch | None:
    """Decode a text that holds one history and nothing else."""
    events, ids = decode_plain_file(text)
    return _EventBatch(events, ids, RunHints()) if ids else None


def _read_plain_values(values: Iterator[object]) -> Iterator[object]:
    """Yield the values of a long file.

    A value that is a plain history is decoded at once: JSON Lines consist of these.
    """
    for value in values:
        yield (_read_plain_file(value) if type(value) is msgspec.Raw else None) or value


def _decode_slices(items: Iterator[object], wrapper: RunHints) -> Iterator[object]:
    """Yield the items. A slice of plain events in order stays one batch."""
    for item in items:
        if not isinstance(item, json_values.ListSlice):
            yield item
            continue
        events, ids = decode_event_list(item.text)
        if ids and ids == list(range(ids[0], ids[0] + len(ids))):
            yield _EventBatch(events, ids, wrapper)
        else:
            yield from json_values.open_list(item.text)


class _BatchBuilder:
    """Events that follow each other in one list; one history of several that stand there."""

    def __init__(self, wrapper: RunHints, *, is_bare: bool) -> None:
        self.wrapper = wrapper
        self.is_bare = is_bare
        self.events: list[DecodedEvent] = []
        self.ids: list[int] = []
        self.first = self.last = self.count = 0
        self.has_begun = False
        self.was_cut = False

    def ends_before(self, event: DecodedEvent | _EventBatch) -> bool:
        """Return whether this event begins another history."""
        event_id = event.ids[0] if isinstance(event, _EventBatch) else read_event_id(event)
        if event_id == 1:
            return self.has_begun or (self.count > 1 and self.last >= self.first)
        # A complete history, newest event first: the next event begins another one.
        return self.last == 1 and self.count == self.first > 1

    def add_item(self, event: DecodedEvent | _EventBatch) -> Iterator[_EventBatch]:
        """Add an event or a batch. Yield a batch if it is long enough."""
        ids = event.ids if isinstance(event, _EventBatch) else [read_event_id(event)]
        self.first = self.first if self.count else ids[0]
        self.last = ids[-1]
        self.has_begun |= ids[0] == 1
        self.is_bare &= not isinstance(event, _EventBatch)
        self.count += len(ids)
        self.events += event.events if isinstance(event, _EventBatch) else [event]
        self.ids += ids
        if len(self.ids) >= _PIECE:
            yield from self.flush_batch()

    def flush_batch(self) -> Iterator[_EventBatch]:
        """Yield the events since the last batch."""
        if self.events:
            part = _EventBatch(self.events, self.ids, self.wrapper, goes_on=self.was_cut)
            part.is_bare = self.is_bare
            yield part
        self.was_cut |= bool(self.events)
        self.events, self.ids = [], []


def _read_trailing_members(rest: json_values.RemainingMembers, wrapper: RunHints) -> _EventBatch:
    """Read the members of an object after its long list of events."""
    part = _EventBatch([], [], _read_ids(wrapper, rest.members), goes_on=True)
    part.is_truncated = _has_next_page(rest.members)
    return part


def _iterate_inside(value: object, wrapper: RunHints, depth: int) -> Iterator[_EventBatch]:
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        text = io.BytesIO(value.encode("utf-8", "surrogatepass"))
        yield from _iterate_batches(json_values.iterate_values(text), wrapper, depth + 1)
    elif isinstance(value, list):
        yield from _iterate_batches(iter(value), wrapper, depth + 1)
    elif isinstance(value, json_values.ListSlice):
        yield from _iterate_batches(iter([value]), wrapper, depth + 1)
    elif isinstance(value, dict):
        yield from _iterate_object(value, _read_ids(wrapper, value), depth)


def _iterate_object(value: dict[str, object], wrapper: RunHints, depth: int) -> Iterator[_EventBatch]:
    if {"initialEvent", "eventList"} & value.keys():
        raise Unreadable(
            "event groups of the UI, not a history", "export the history itself", code=ErrorCode.FORMAT_NO_HISTORY
        )
    inner = _list_text(value.get("events")) or json_values.open_value(value.get("history"))
    if inner is None:
        members = map(json_values.open_value, value.values())
        yield from _iterate_batches((item for item in members if isinstance(item, dict | list)), wrapper, depth + 1)
        return
    for part in _iterate_inside(inner, wrapper, depth + 1):
        part.is_truncated |= _has_next_page(value)
        yield part


def _list_text(value: object) -> object:
    """Return the list, as text if it is text, or None if the value is not a list."""
    if isinstance(value, msgspec.Raw):
        return json_values.ListSlice(value) if bytes(memoryview(value)[:1]) == b"[" else None
    return value if isinstance(value, list) else None


def _has_next_page(value: dict[str, object]) -> bool:
    return any(json_values.open_value(value.get(name)) for name in ("nextPageToken", "next_page_token"))


def _read_ids(wrapper: RunHints, value: dict[str, object]) -> RunHints:
    if len(value) == 1 and "events" in value:
        return wrapper  # the usual case
    executions = (json_values.open_value(value.get(name)) for name in ("workflowExecution", "execution"))
    holders = [value, *(execution for execution in executions if isinstance(execution, dict))]

    def find_text(*names: str) -> str | None:
        found = (json_values.open_value(holder.get(name)) for holder in holders for name in names)
        return next((json_values.repair_text(text) for text in found if isinstance(text, str) and text), None)

    return replace(
        wrapper,
        workflow_id=find_text("workflowId", "workflow_id", "workflowID") or wrapper.workflow_id,
        run_id=find_text("runId", "run_id", "runID") or wrapper.run_id,
        namespace=find_text("namespace") or wrapper.namespace,
    )
