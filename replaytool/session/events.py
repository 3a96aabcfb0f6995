"""What a front end asks about the events of a run: their roles, and the values that they carried."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from replaytool.config import Settings
from replaytool.debug.timeline import RunTimeline, read_timeline
from replaytool.engines import engine_of
from replaytool.engines.base import ValueDecoder
from replaytool.model.event_label import EventLabel
from replaytool.model.event_role import EventRole
from replaytool.model.history import Event


@dataclass(frozen=True, slots=True)
class EventLine:
    """One event as a list shows it."""

    event_id: int
    event_time: str | None
    event_type: str
    name: str
    build_id: str | None
    value: Any
    """The input, result or failure message that the event carries."""


class EventReader:
    """Reads the events of one engine's runs. Each question makes its own decoder: questions come from many threads."""

    def __init__(self, engine: str, settings: Settings) -> None:
        self._engine, self._settings = engine, settings
        self._reader = engine_of(engine).record_reader()

    def make_decoder(self) -> ValueDecoder:
        """Return what decodes the recorded values; raise ReplaytoolError if the settings name none that works."""
        return self._reader.make_decoder(self._settings)

    def classify_event(self, event_type: str) -> EventRole:
        """Return the role of events of this type."""
        return self._reader.classify_event(event_type)

    def read_timeline(self, events: Sequence[Event]) -> RunTimeline:
        """Return the recorded state at each event."""
        return read_timeline(self._engine, events, self.make_decoder().make_readable)

    def decode_event(self, event: Event) -> dict[str, Any]:
        """Return a complete event with decoded values."""
        return next(self.decode_events([event]))

    def decode_events(self, events: Iterable[Event]) -> Iterator[dict[str, Any]]:
        """Yield complete events with decoded values."""
        decoder = self.make_decoder()
        for event in events:
            yield decoder.make_readable(msgspec.json.decode(event.raw))

    def read_lines(self, events: Iterable[Event]) -> Iterator[EventLine]:
        """Return the events as lines of a list."""
        decoder = self.make_decoder()
        for event, name, attributes in self._reader.name_events(events):
            value = self._reader.summarize_value(decoder.make_readable(attributes))
            yield EventLine(event.event_id, event.event_time, event.event_type, name, event.build_id, value)

    def label_events(self, events: Iterable[Event]) -> list[EventLabel]:
        """Return what a run did, to be compared with another run."""
        return self._reader.label_events(events, self.make_decoder())

    def split_event(self, whole: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Return what this type of event has, and the fields that every event has."""
        return self._reader.split_event(whole)

    def read_carried_values(self, events: Iterable[Event]) -> dict[int, str | Sequence[Any]]:
        """Return what each event carried, by event ID."""
        decoder = self.make_decoder()
        return {
            event.event_id: self._reader.read_carried_values(decoder.make_readable(attributes))
            for event, _, attributes in self._reader.name_events(events)
        }
