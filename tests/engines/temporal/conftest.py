"""Where workflow code of a test stands, so that a replay imports it as a user's."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from replaytool.engines.temporal.code_finder import TemporalCodeFinder
from replaytool.replay.call_site import skip_folders
from tests.engines.temporal.oracle import quiet_process


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that modules are imported from, in a process in which the SDK keeps its log to itself."""
    quiet_process()
    skip_folders(TemporalCodeFinder().frames_to_skip())  # loading code does so; some tests build theirs by hand
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    importlib.invalidate_caches()
