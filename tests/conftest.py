"""A command line to call, with a store of its own and real recorded histories."""

from __future__ import annotations

import gc
import json
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from replaytool.cli import main
from tests.support.paths import FIXTURES

if "PYTEST_XDIST_WORKER" in os.environ:
    # The workers are measured; what the tests start must be as fast as it is for a person.
    for _name in ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG"):
        os.environ.pop(_name, None)

# Who runs the tests in the background has interrupts ignored, and what the tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


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


@pytest.fixture
def loaded(call: Call) -> Call:
    """The same, with some runs in the store."""
    names = ("activities_in_sequence", "timers", "updates", "activity_retries")
    result = call("load", *(path for name in names for path in sorted((FIXTURES / name).glob("history*.json"))))
    assert result.code == 0, result.err
    return call
