"""What replays in this process must not see: the test tools' own callbacks look at the clock while code runs."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def no_callbacks_of_test_tools() -> Iterator[None]:
    kept, gc.callbacks[:] = gc.callbacks[:], []
    yield
    gc.callbacks[:] = kept
