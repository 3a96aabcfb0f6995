"""Dialogs that replay runs: check them against code, or simulate them after a reset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from replaytool.model.verdict import WORDS, CheckReport, Verdict
from replaytool.tui.dialogs.code import CodeDialog
from replaytool.tui.text.verdict import format_verdict_word

if TYPE_CHECKING:
    from replaytool.model.reset_plan import ResetPlan
    from replaytool.session.resets import ResetRequest
    from replaytool.tui.session_worker import SessionWorker


class CheckDialog(CodeDialog[CheckReport]):
    """Check runs, and count the verdicts."""

    VERB = "Check"

    def __init__(self, run_keys: Sequence[str], code: str) -> None:
        super().__init__(len(run_keys), code)
        self._keys = run_keys
        self._counts: Counter[str] = Counter()

    def do_work(self, desk: SessionWorker, names: list[str]) -> CheckReport:
        """Replay the runs in child processes."""
        self._counts.clear()
        return desk.check_runs(self._keys, names, self._count_verdict, self.stop)

    def _count_verdict(self, key: str, verdict: Verdict) -> None:
        self._counts[verdict.verdict] += 1

    def count_done(self) -> int:
        """Return how many runs have a verdict."""
        return self._counts.total()

    def describe_progress(self) -> str:
        """Return the number of runs per verdict."""
        return ", ".join(f"{self._counts[word]:,} {format_verdict_word(word)}" for word in WORDS if self._counts[word])


class SimulateDialog(CodeDialog["ResetPlan"]):
    """Replay what a reset keeps, and simulate what follows."""

    VERB = "Simulate"

    def __init__(self, wanted: ResetRequest, count: int, code: str) -> None:
        super().__init__(count, code)
        self._wanted = wanted
        self._done: set[str] = set()

    def do_work(self, desk: SessionWorker, names: list[str]) -> ResetPlan:
        """Return the plan with the simulation of each workflow."""
        self._done.clear()
        return desk.simulate_plan(self._wanted, names, self._done.add, self.stop)

    def count_done(self) -> int:
        """Return how many workflows were simulated."""
        return len(self._done)

    def describe_progress(self) -> str:
        """Return how many workflows were simulated, as text."""
        return f"{self.count_done():,} of {self._count:,}" if self._done else ""


def summarize_report(report: CheckReport) -> str:
    """Return the result of a check on one line."""
    counts = report.count_verdicts()
    said = (
        ", ".join(f"{counts[word]:,} {format_verdict_word(word)}" for word in WORDS if counts[word])
        or "nothing to check"
    )
    return f"{said}, {report.seconds:.2f} s" if report.complete else f"stopped: {said} so far"
