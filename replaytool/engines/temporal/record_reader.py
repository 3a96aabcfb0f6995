"""What Temporal's events say, as the engine's contract asks for it."""

from __future__ import annotations

from collections.abc import Sequence

from replaytool.engines.temporal.events import (
    event_types,
    event_value,
    labels,
    payloads,
    pending_work,
    workflow_tasks,
)
from replaytool.model.history import Run
from replaytool.model.record_features import RecordFeatures
from replaytool.model.recorded_step import RecordedStep


class TemporalRecordReader:
    """Reads events; nothing here runs user code."""

    name_events = staticmethod(labels.name_events)
    classify_event = staticmethod(event_types.classify_event)
    split_event = staticmethod(labels.split_attributes)
    label_events = staticmethod(labels.label_events)
    summarize_value = staticmethod(event_value.summarize_event_value)
    read_carried_values = staticmethod(event_value.read_carried_values)
    read_work = staticmethod(pending_work.read_pending_work)
    index_tasks = staticmethod(workflow_tasks.index_tasks)
    make_decoder = staticmethod(payloads.build_payload_decoder)

    def read_history(self, run: Run, history: bytes) -> Run:
        """Return the run with its events, decoded when they are used."""
        from replaytool.engines.temporal.replay.recorded_commands import run_from_json

        return run_from_json(run, history)

    def read_features(self, run: Run) -> RecordFeatures:
        """Return commands, events and patches."""
        from replaytool.engines.temporal.replay.record_features import read_record_features

        return read_record_features(run)

    def read_steps(self, run: Run) -> Sequence[RecordedStep]:
        """Return nothing: the steps view of Temporal's runs is computed from their events."""
        return ()
