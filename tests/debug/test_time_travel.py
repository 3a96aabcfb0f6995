"""The replayed side of runs: states by build, expressions, and the lines to blame."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from replaytool import config, ingest
from replaytool.debug.time_travel import TimeTravel
from replaytool.session import Session
from tests.support.paths import FIXTURES

LOYALTY = FIXTURES / "loyalty"
BUILDS = {build: str(LOYALTY / "builds" / f"{build}.py") for build in ("v1", "v2", "v3")}
_BAD_LINE = next(
    number
    for number, line in enumerate((LOYALTY / "builds" / "v2.py").read_text().splitlines(), 1)
    if "scored * 0" in line
)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    session = Session(config.Settings(store=tmp_path_factory.mktemp("walk") / "store.duckdb"))
    session.load_paths([str(LOYALTY)], None, ingest.LoadObserver())
    return session


@pytest.fixture(scope="module")
def walk(session: Session) -> Iterator[TimeTravel]:
    code = session.find_code_map(builds=BUILDS)
    assert code is not None
    with session.open_walk("loyalty-rider-02", code) as found:
        yield found


def test_each_task_has_the_state_that_its_own_build_made(walk: TimeTravel) -> None:
    points = {event: walk.state_at(event).state["points"].scalar for event in (14, 24, 28, 50, 54, 60)}
    assert points == {14: 30, 24: 70, 28: 0, 50: 0, 54: 180, 60: 250}
    assert [walk.state_at(event).build_id for event in (24, 28, 54)] == ["v1", "v2", "v3"]


def test_find_names_the_first_task_of_the_bad_build(walk: TimeTravel) -> None:
    found = walk.find_first_holding("points == 0 and trips")
    assert (found.event_id, found.build_id, found.last_false, found.until) == (28, "v2", 24, 50)


def test_blame_names_event_build_and_line(walk: TimeTravel) -> None:
    blame = walk.blame_value("points", 40)
    assert (blame.event_id, blame.build_id, blame.ran_at) == (28, "v2", 24)
    assert blame.before is not None
    assert blame.after is not None
    assert (blame.before.scalar, blame.after.scalar) == (70, 0)
    assert blame.call_site is not None
    assert Path(blame.call_site.file).name == "v2.py"
    assert (blame.call_site.line, blame.call_site.function) == (_BAD_LINE, "Loyalty.score")


def test_where_the_states_of_builds_part_is_told_in_words(walk: TimeTravel) -> None:
    parts = walk.find_build_changes()
    assert [(part.event_id, part.parted_at, part.words) for part in parts] == [
        (28, 14, "under v2 points went from 70 to 0"),
        (54, 14, "under v3 points went from 0 to 180"),
    ]
