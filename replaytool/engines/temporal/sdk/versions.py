"""What older SDK releases do differently. The direct replayer follows the newest, so `sdk` replays those runs.

Each row names the event that shows the difference, and the first release that behaves as the direct replayer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import temporalio

from replaytool.engines.temporal.core.state_machines.local_activity import LOCAL_ACTIVITY
from replaytool.model.history import Event

OLDEST, NEWEST = (1, 20), (1, 35)
"""The releases that the direct replayer was compared with."""
RELEASE = tuple(int(part) for part in temporalio.__version__.split(".")[:2])
TELLS_CANCEL_REASONS = (1, 28)
"""The first release that passes on why the code cancels another workflow."""
_PYTHON = "temporal-python"

_SINCE = (
    ("MarkerRecorded", LOCAL_ACTIVITY, (1, 34), "the results of local activities come in one activation"),
    ("RequestCancelExternalWorkflowExecutionInitiated", "", (1, 32), "a child that is cancelled may not complete"),
    ("NexusOperationScheduled", "", (1, 35), "the names of Nexus operations are not compared"),
)


def describe_release_difference(events: Iterable[Event], release: tuple[int, ...] = RELEASE) -> str:
    """Return why the installed release replays these events differently from the direct replayer, or ""."""
    rows = [(kind, text.encode(), why) for kind, text, since, why in _SINCE if release < since]
    if rows:
        for event in events:
            for kind, text, why in rows:
                if event.event_type == kind and text in event.raw:
                    return f"with temporalio {temporalio.__version__} {why}"
    return ""


def find_recorded_release(tasks: Iterable[Mapping[str, Any]]) -> tuple[int, ...]:
    """Return the Python SDK's release that the newest of these completed tasks names; () if none does."""
    found: tuple[int, ...] = ()
    for task in tasks:
        metadata = task.get("sdkMetadata") or {}
        parts = str(metadata.get("sdkVersion") or "").split(".")[:2]
        if all(part.isdecimal() for part in parts):
            found = tuple(map(int, parts)) if metadata.get("sdkName", _PYTHON) == _PYTHON else ()
    return found
