"""The watchdog: code that does not yield is interrupted, and code that waits for a processor is not."""

from __future__ import annotations

import time

import pytest

from replaytool.replay.isolation import limits
from replaytool.replay.isolation.limits import Watchdog, read_starved_seconds


def work(seconds: float) -> str:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass
    return "done"


def test_code_that_does_not_yield_is_interrupted() -> None:
    assert Watchdog(0.3).guard_call(work, 5.0) == (None, True)


def test_time_without_a_processor_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    began = time.monotonic()
    monkeypatch.setattr(limits, "read_starved_seconds", lambda _: time.monotonic() - began)
    assert Watchdog(0.3).guard_call(work, 1.0) == ("done", False)


def test_a_thread_that_sleeps_is_not_starved() -> None:
    import threading

    before = read_starved_seconds(threading.get_ident())
    time.sleep(0.5)
    assert read_starved_seconds(threading.get_ident()) - before < 0.4
