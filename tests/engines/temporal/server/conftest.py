"""What these tests share: one server for those that only read, and an environment without a person's own settings."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.temporal.server.workload import populate
from tests.support.dev_server import DevServer, dev_server


@pytest.fixture(scope="session")
def server() -> Iterator[DevServer]:
    """A dev server with six workflows of every ending."""
    with dev_server() as running:
        asyncio.run(populate(running.address, 6))
        yield running


@pytest.fixture(autouse=True)
def own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nothing from the person who runs the tests: no variables, no file in their home."""
    for name in os.environ:
        if name.startswith("TEMPORAL_"):
            monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(home / "temporal.toml"))
    return home
