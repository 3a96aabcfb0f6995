"""A command line to call, with a store of its own and real recorded histories."""

from __future__ import annotations

import gc
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from replaytool.cli import main
from tests.support.paths import FIXTURES

if "PYTEST_XDIST_WORKER" in os.environ:
    # The workers are measured; what the tests start must be as fast as it is for a person.
    for _name in ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG"):
        os.environ.pop(_name, None)

# Who runs the tests in the background has interrupts ignored, and what the tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave most cases of an exhaustive table to the drills: each change runs the same fixed part of them.

    REPLAYTOOL_TESTS_SAMPLE makes the part smaller by this factor: other versions of Python run fewer cases.
    """
    fewer = int(os.environ.get("REPLAYTOOL_TESTS_SAMPLE", "1"))
    for item in items:
        sampled = item.get_closest_marker("sampled")
        if sampled is not None and crc32(item.name.encode()) % (sampled.args[0] * fewer):
            item.add_marker("drill")


@pytest.fixture(autouse=True)
def no_callbacks_of_test_tools() -> Iterator[None]:
    """Remove the test tools' own garbage collection callbacks: they read the clock while replayed code runs."""
    kept, gc.callbacks[:] = gc.callbacks[:], []
    yield
    gc.callbacks[:] = kept


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Call = Callable[..., Result]


@pytest.fixture
def call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Call:
    """Run a command in an empty folder; its store is there too."""
    monkeypatch.chdir(tmp_path)
    for name in ("REPLAYTOOL_STORE", "REPLAYTOOL_CONVERTER", "REPLAYTOOL_CODEC_ENDPOINT", "GITHUB_ACTIONS"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str | Path) -> Result:
        capfd.readouterr()
        with pytest.raises(SystemExit) as exit_info:
            main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        return Result(int(exit_info.value.code or 0), out, err)

    return run


@pytest.fixture(scope="session")
def store_of_four(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with some runs, to be copied."""
    store = tmp_path_factory.mktemp("four") / "replaytool.duckdb"
    names = ("activities_in_sequence", "timers", "updates", "activity_retries")
    files = [str(path) for name in names for path in sorted((FIXTURES / name).glob("history*.json"))]
    with pytest.raises(SystemExit) as exit_info:
        main(["load", *files, "--store", str(store)])
    assert not exit_info.value.code
    return store


@pytest.fixture
def loaded(call: Call, store_of_four: Path, tmp_path: Path) -> Call:
    """The same, with some runs in the store."""
    shutil.copy(store_of_four, tmp_path)
    return call
