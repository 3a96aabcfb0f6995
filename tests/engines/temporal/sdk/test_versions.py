"""What an older release replays by other rules is left to it."""

from __future__ import annotations

import pytest

from replaytool.engines.temporal.sdk.versions import NEWEST, describe_release_difference
from tests.support.histories import recorded

pytestmark = pytest.mark.oldest


@pytest.mark.parametrize(
    ("case", "file", "since"),
    [
        ("local_activities", "history.json", (1, 34)),
        ("nexus_sync_operation", "history.json", (1, 35)),
        ("child_cancelled", "history-try-cancel.json", (1, 32)),
        ("activities_in_sequence", "history.json", (1, 20)),
    ],
)
def test_runs_are_left_to_releases_with_other_rules(case: str, file: str, since: tuple[int, int]) -> None:
    events = recorded(case, file).events
    assert describe_release_difference(events, since) == ""
    assert describe_release_difference(events, NEWEST) == ""
    if since > (1, 20):
        assert "with temporalio" in describe_release_difference(events, (since[0], since[1] - 1))
