"""Temporal's event names stand only with its engine and its format: another engine needs no change elsewhere."""

from __future__ import annotations

import re

import pytest

from tests.house.source_tree import PRODUCT_FOLDERS, find_files
from tests.support.paths import ROOT

HOMES = ("replaytool/engines/temporal/", "formats/temporal/")


@pytest.fixture(scope="module")
def event_name() -> re.Pattern[str]:
    """Match every spelling of an event type that the SDK knows."""
    from temporalio.api.enums.v1 import EventType

    words = [key.removeprefix("EVENT_TYPE_").lower() for key in EventType.keys()]  # noqa: SIM118 (it has no __iter__)
    words.remove("unspecified")
    names = ["".join(word.title() for word in name.split("_")) for name in words]
    attributes = [f"{name[0].lower()}{name[1:]}EventAttributes" for name in names]
    return re.compile(
        rf"\b(?:EVENT_TYPE_\w+|{'|'.join((*names, *attributes))}|(?:{'|'.join(words)})_event_attributes)\b"
    )


def test_event_names_stand_with_their_engine(event_name: re.Pattern[str]) -> None:
    places = [
        f"{path.relative_to(ROOT)}:{number}: {found}"
        for path in find_files(ROOT, PRODUCT_FOLDERS, {".py", ".sql"})
        if not path.relative_to(ROOT).as_posix().startswith(HOMES)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        for found in event_name.findall(line)
    ]
    assert not places, "\n".join(places)


@pytest.mark.parametrize(
    "spelling", ["TimerFired", "timerFiredEventAttributes", "timer_fired_event_attributes", "EVENT_TYPE_TIMER_FIRED"]
)
def test_every_spelling_is_known(event_name: re.Pattern[str], spelling: str) -> None:
    assert event_name.fullmatch(spelling)
