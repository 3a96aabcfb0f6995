"""Which build a run is pinned to."""

from __future__ import annotations

import json
from collections.abc import Mapping

from replaytool.model.build_ids import read_build_id, read_versioning_behavior


def parse_object(text: str | None) -> Mapping[str, object]:
    """Return the JSON object in a text; an empty one if it is something else."""
    found = json.loads(text) if text else {}
    return found if isinstance(found, dict) else {}


def find_pinned_build(task: Mapping[str, object], override: Mapping[str, object]) -> str | None:
    """Return the build that a run is pinned to, by its last completed task and its last override.

    A run with an override counts as not pinned: somebody moves it between builds, so it may meet any code.
    """
    if override.get("versioningOverride") and not override.get("unsetVersioningOverride"):
        return None
    return read_build_id(task) if read_versioning_behavior(task) == "PINNED" else None
