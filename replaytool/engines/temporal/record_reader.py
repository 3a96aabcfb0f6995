"""What Temporal's events say, as the engine's contract asks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from replaytool.config import Settings
from replaytool.engines.base import ValueDecoder
from replaytool.engines.temporal.events import labels, payloads
from replaytool.engines.temporal.events.event_types import classify_event
from replaytool.engines.temporal.events.event_value import read_carried_values, summarize_event_value
from replaytool.engines.temporal.events.pending_work import read_pending_work
from replaytool.engines.temporal.events.workflow_tasks import index_tasks
from replaytool.model.event_label import EventLabel
from replaytool.model.event_role import EventRole
from replaytool.model.history import Event, EventHead, Run
from replaytool.model.pending_work import WorkRecord
from replaytool.model.record_features import RecordFeatures
from replaytool.model.recorded_step import RecordedStep
from replaytool.model.task_index import TaskIndex


class TemporalRecordReader:
    """Reads events; nothing here runs user code."""

    def read_history(self, run: Run, history: bytes) -> Run:
        """Return the run with its events, decoded when they are used."""
        from replaytool.engines.temporal.replay.recorded_commands import run_from_json

        return run_from_json(run, history)

    def name_events(self, events: Iterable[Event]) -> Iterator[tuple[Event, str, Mapping[str, Any]]]:
        """Yield each event with its name and attributes."""
        return labels.name_events(events)

    def classify_event(self, event_type: str) -> EventRole:
        """Return the role of events of this type."""
        return classify_event(event_type)

    def split_event(self, whole: Mapping[str, object]) -> tuple[Mapping[str, object], Mapping[str, object]]:
        """Return the attributes of an event, and its other fields."""
        return labels.split_attributes(whole)

    def label_events(self, events: Iterable[Event], decoder: ValueDecoder) -> list[EventLabel]:
        """Return the label of each event, without the bookkeeping of workflow tasks."""
        return labels.label_events(events, decoder)

    def summarize_value(self, attributes: Mapping[str, object]) -> object:
        """Return what an event carried, as short as possible."""
        return summarize_event_value(attributes)

    def read_carried_values(self, attributes: Mapping[str, object]) -> str | Sequence[object]:
        """Return the payloads of an event, or its failure message or duration."""
        return read_carried_values(attributes)

    def read_work(self, events: Sequence[Event], readable: Callable[[object], object] | None = None) -> WorkRecord:
        """Return what the run waited for."""
        return read_pending_work(events, readable)

    def index_tasks(self, events: Sequence[EventHead], builds: Mapping[int, str] | None = None) -> TaskIndex:
        """Return the completed workflow tasks."""
        return index_tasks(events, builds)

    def make_decoder(self, settings: Settings) -> payloads.PayloadDecoder:
        """Return the decoder that converter and codec of the settings make."""
        return payloads.build_payload_decoder(settings)

    def read_features(self, run: Run) -> RecordFeatures:
        """Return commands, events and patches."""
        from replaytool.engines.temporal.replay.record_features import read_record_features

        return read_record_features(run)

    def read_steps(self, run: Run) -> Sequence[RecordedStep]:
        """Return nothing: the steps view of Temporal's runs is computed from their events."""
        return ()
