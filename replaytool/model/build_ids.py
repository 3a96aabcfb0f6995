"""Read the build ID, the deployment and the versioning of a recorded event, in every spelling that servers have used.

The store, the formats and the engine all need them, and none of these may import the other: so the one reader is here.
All functions take the event's attributes as parsed JSON, and never fail on a malformed part.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

# Newer servers write more than one of these, with the same build. The first one found counts.
_BUILDS = (
    ("workerVersion", "buildId"),
    ("deploymentVersion", "buildId"),
    ("workerVersioningId", "workerBuildId"),
)


class Version(NamedTuple):
    """A build of a deployment."""

    deployment: str | None
    build_id: str | None


def _text_at(holder: object, *keys: str) -> str | None:
    for key in keys:
        holder = holder.get(key) if isinstance(holder, Mapping) else None
    return holder if isinstance(holder, str) and holder else None


def read_build_id(attributes: object) -> str | None:
    """Return the build that completed or started a task. Before build IDs, workers sent a checksum."""
    found = (_text_at(attributes, *path) for path in (*_BUILDS, ("binaryChecksum",)))
    return next(filter(None, found), None)


def read_deployment_name(attributes: object) -> str | None:
    """Return the worker deployment that completed a task."""
    return _text_at(attributes, "workerDeploymentName") or _text_at(attributes, "deploymentVersion", "deploymentName")


def read_versioning_behavior(attributes: object) -> str:
    """Return PINNED or AUTO_UPGRADE, or an empty text if the worker is not versioned."""
    behavior = _text_at(attributes, "versioningBehavior") or ""
    return behavior.removeprefix("VERSIONING_BEHAVIOR_").replace("UNSPECIFIED", "")


def read_pinned_version(override: Mapping[str, object]) -> Version:
    """Return the version that an override pins to. Both parts are None if it lets the run upgrade."""
    pinned = override.get("pinned")
    version = pinned.get("version") if isinstance(pinned, Mapping) else override.get("deployment")
    if isinstance(version, Mapping):
        name = _text_at(version, "deploymentName") or _text_at(version, "seriesName")
        return Version(name, _text_at(version, "buildId"))
    if old := _text_at(override, "pinnedVersion"):
        name, _, build = old.rpartition("." if "." in old else ":")
        return Version(name or None, build)
    return Version(None, None)
