"""The contract of an engine: what replaytool asks of one, and which parts may be absent.

An engine is a class that derives from `Engine` and overrides the parts that it has. Each part is imported by the
method that returns it, so that naming an engine costs nothing. An absent part is refused by
`replaytool.engines.require_part`, in one sentence. An engine never reads the command line, never prints and never
opens the store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from replaytool.model.history import Run
    from replaytool.model.verdict import Verdict
    from replaytool.replay.code.user_code import Code, CodeFinder
    from replaytool.replay.options import Options

Strategy = Callable[["Run", "Code", "Options"], "Verdict"]
"""Replay one run in this process, which is a child of ours, and return the verdict. No real step may run."""


class Engine:
    """One engine."""

    name: str
    """As runs have it in their column `engine`."""
    title: str
    """As people write it."""
    extra: str = ""
    """What installs its library: `pip install 'replaytool[EXTRA]'`; "" where nothing is needed."""
    cannot_see: Sequence[str] = ()
    """What its record does not hold, so that no replay can compare it."""

    def code_finder(self) -> CodeFinder | None:
        """Return how its workflow code is found."""
        return None

    def strategies(self) -> Mapping[str, Strategy]:
        """Return the ways to replay a run, by the name that `--engine` takes; the default is `auto`."""
        return {}

    def prepare_child(self) -> AbstractContextManager[Any]:
        """Set up a child process in which runs of this engine are replayed."""
        return nullcontext()
