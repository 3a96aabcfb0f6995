"""Build IDs and versions in the spellings of all servers."""

from __future__ import annotations

from typing import Any

import pytest

from replaytool.model.build_ids import (
    Version,
    read_build_id,
    read_deployment_name,
    read_pinned_version,
    read_versioning_behavior,
)


@pytest.mark.parametrize(
    ("attributes", "build_id"),
    [
        ({"workerVersion": {"buildId": "v1"}}, "v1"),
        ({"workerVersion": {"buildId": ""}, "deploymentVersion": {"buildId": "v2"}}, "v2"),
        ({"workerVersioningId": {"workerBuildId": "v3"}}, "v3"),
        ({"binaryChecksum": "abc"}, "abc"),
        ({"workerVersion": {"buildId": 5}, "binaryChecksum": ""}, None),
        ({"workerVersion": "v1"}, None),
        (None, None),
    ],
)
def test_a_build_id_is_read_in_every_spelling(attributes: Any, build_id: str | None) -> None:
    assert read_build_id(attributes) == build_id


@pytest.mark.parametrize(
    ("override", "version"),
    [
        ({"pinned": {"version": {"deploymentName": "shop", "buildId": "v2"}}}, Version("shop", "v2")),
        ({"deployment": {"seriesName": "shop", "buildId": "v2"}}, Version("shop", "v2")),
        ({"pinnedVersion": "shop.v2"}, Version("shop", "v2")),
        ({"pinnedVersion": "shop:v2"}, Version("shop", "v2")),
        ({"autoUpgrade": True}, Version(None, None)),
        ({"pinned": {}}, Version(None, None)),
    ],
)
def test_an_override_is_read_in_every_spelling(override: dict[str, Any], version: Version) -> None:
    assert read_pinned_version(override) == version


def test_deployment_and_behavior_of_a_task() -> None:
    task = {"deploymentVersion": {"deploymentName": "shop"}, "versioningBehavior": "VERSIONING_BEHAVIOR_PINNED"}
    assert (read_deployment_name(task), read_versioning_behavior(task)) == ("shop", "PINNED")
    assert read_deployment_name(task | {"workerDeploymentName": "first"}) == "first"
    assert read_versioning_behavior({"versioningBehavior": "VERSIONING_BEHAVIOR_UNSPECIFIED"}) == ""
    assert (read_deployment_name(None), read_versioning_behavior({})) == (None, "")
