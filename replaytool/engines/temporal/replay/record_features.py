"""What a history covers without any code: its commands, its events, and the patches whose markers it has."""

from __future__ import annotations

from replaytool.engines.temporal.events.event_types import TIMER_FIRED
from replaytool.engines.temporal.events.labels import name_events
from replaytool.engines.temporal.replay.recorded_commands import RecordedHistory
from replaytool.model.history import Run
from replaytool.model.record_features import RecordFeatures

# Their names are counters of the SDK or IDs of one run, so they tell no difference.
_NAMELESS = ("Timer", "WorkflowTask", "WorkflowExecutionUpdate")
_UNNAMED_COMMANDS = {"timer", "cancel_timer", "cancel_workflow", "cancel_activity"}


def read_record_features(run: Run) -> RecordFeatures:
    """Return the features of one run."""
    commands = list(RecordedHistory(run).recorded_commands())
    return RecordFeatures(
        [
            one.kind if one.kind in _UNNAMED_COMMANDS else f"{one.kind} {one.name}".strip()
            for one in commands
            if one.event_type != TIMER_FIRED
        ],
        [
            (event.event_type, "" if event.event_type.startswith(_NAMELESS) else name)
            for event, name, _ in name_events(run.events)
        ],
        [one.name for one in commands if one.kind == "patch"],
    )
