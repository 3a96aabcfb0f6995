"""Replaying runs from the screens: whether they follow the code, and what becomes of them after a reset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from replaytool.model.verdict import WORDS, CheckReport, Verdict
from replaytool.tui.dialogs.code import WithCode
from replaytool.tui.text.verdict import signed

if TYPE_CHECKING:
    from replaytool.model.reset_plan import ResetPlan
    from replaytool.session.resets import Wanted
    from replaytool.tui.session_worker import Desk


class Checking(WithCode[CheckReport]):
    """Checks runs, with the count of each verdict."""

    VERB = "Check"

    def __init__(self, run_keys: Sequence[str], code: str) -> None:
        super().__init__(len(run_keys), code)
        self._keys = run_keys
        self._counts: Counter[str] = Counter()

    def do(self, desk: Desk, names: list[str]) -> CheckReport:
        """Replay them in children."""
        self._counts.clear()
        return desk.check(self._keys, names, self._seen, self.stop)

    def _seen(self, key: str, verdict: Verdict) -> None:
        self._counts[verdict.verdict] += 1

    def done(self) -> int:
        """Runs that have a verdict."""
        return self._counts.total()

    def said(self) -> str:
        """How many have which."""
        return ", ".join(f"{self._counts[word]:,} {signed(word)}" for word in WORDS if self._counts[word])


class Simulating(WithCode["ResetPlan"]):
    """Replays what a reset keeps, and simulates what follows."""

    VERB = "Simulate"

    def __init__(self, wanted: Wanted, count: int, code: str) -> None:
        super().__init__(count, code)
        self._wanted = wanted
        self._done: set[str] = set()

    def do(self, desk: Desk, names: list[str]) -> ResetPlan:
        """The plan again, with what becomes of each workflow."""
        self._done.clear()
        return desk.simulated_plan(self._wanted, names, self._done.add, self.stop)

    def done(self) -> int:
        """Workflows that were simulated."""
        return len(self._done)

    def said(self) -> str:
        """How many."""
        return f"{self.done():,} of {self._count:,}" if self._done else ""


def summary(report: CheckReport) -> str:
    """What came of it, in a line."""
    counts = report.count_verdicts()
    said = ", ".join(f"{counts[word]:,} {signed(word)}" for word in WORDS if counts[word]) or "nothing to check"
    return f"{said}, {report.seconds:.2f} s" if report.complete else f"stopped: {said} so far"
