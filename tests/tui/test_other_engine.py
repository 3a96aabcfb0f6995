"""The screens show the runs of an engine that comes from a package of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from replaytool import engines, formats
from replaytool.ingest import LoadObserver, load_into_store, open_sources
from replaytool.store import Store
from tests.toy_engine.project import install_by_entry_points, write_project
from tests.tui.conftest import Drive, Driver

pytestmark = pytest.mark.slow


def forget_tables() -> None:
    engines._list_engines.cache_clear()
    engines.engine_of.cache_clear()
    formats._load_rows.cache_clear()
    formats.list_formats.cache_clear()
    formats.list_place_formats.cache_clear()


@pytest.fixture
def journals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A store with three journals, in a process where the engine is installed."""
    site, project = tmp_path / "site", tmp_path / "project"
    project.mkdir()
    install_by_entry_points(site)
    (site / "temporalio.py").unlink()  # this process needs the real one
    folder = write_project(project)
    monkeypatch.syspath_prepend(site)
    forget_tables()
    try:
        store = project / "runs.duckdb"
        load_into_store(Store(store), open_sources([str(folder)], None), LoadObserver(), None, engines.read_steps)
        yield store
    finally:
        forget_tables()
        for name in [name for name in sys.modules if name.partition(".")[0] == "toy_engine"]:
            del sys.modules[name]


def test_its_runs_are_listed_stepped_through_and_checked(drive: Drive, journals: Path) -> None:
    async def walk(at: Driver) -> None:
        assert "order-finished" in at.text
        at.screen.set_filter("order-finished")
        await at.settle()
        await at.press("enter")
        assert at.name == "DebuggerScreen"
        await at.press("G", "enter")
        await at.picture()
        assert 'StepRecorded              charge "receipt' in at.text
        assert "paid 5" in at.text
        await at.press("q", "c")
        at.screen.query_one("#code").value = ""
        await at.write("order.py")
        await at.press("enter")
        await at.press("escape")
        assert "✔ ok" in at.text

    drive(walk, store=journals, code="order.py")
