"""What a dialog replays with workflow code: runs to check, or a reset plan to simulate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from replaytool.model.verdict import WORDS, CheckReport, Verdict
from replaytool.tui.text.verdict import format_verdict_word

if TYPE_CHECKING:
    import threading

    from replaytool.model.reset_plan import ResetPlan
    from replaytool.session.resets import ResetRequest
    from replaytool.tui.session_worker import SessionWorker


class CheckWork:
    """Check runs, and count the verdicts."""

    def __init__(self, run_keys: Sequence[str]) -> None:
        self.count = len(run_keys)
        self.title = f"Check {self.count:,} runs"
        self._keys = run_keys
        self._counts: Counter[str] = Counter()

    def do_work(self, desk: SessionWorker, names: list[str], stop: threading.Event) -> CheckReport:
        """Replay the runs in child processes."""
        self._counts.clear()
        return desk.check_runs(self._keys, names, self._count_verdict, stop)

    def _count_verdict(self, key: str, verdict: Verdict) -> None:
        self._counts[verdict.verdict] += 1

    def count_done(self) -> int:
        """Return how many runs have a verdict."""
        return self._counts.total()

    def describe_progress(self) -> str:
        """Return the number of runs per verdict."""
        return ", ".join(f"{self._counts[word]:,} {format_verdict_word(word)}" for word in WORDS if self._counts[word])


class SimulateWork:
    """Replay what a reset keeps, and simulate what follows."""

    def __init__(self, wanted: ResetRequest, count: int) -> None:
        self.count = count
        self.title = f"Simulate {count:,} runs"
        self._wanted = wanted
        self._done: set[str] = set()

    def do_work(self, desk: SessionWorker, names: list[str], stop: threading.Event) -> ResetPlan:
        """Return the plan with the simulation of each workflow."""
        self._done.clear()
        return desk.simulate_plan(self._wanted, names, self._done.add, stop)

    def count_done(self) -> int:
        """Return how many workflows were simulated."""
        return len(self._done)

    def describe_progress(self) -> str:
        """Return how many workflows were simulated, as text."""
        return f"{self.count_done():,} of {self.count:,}" if self._done else ""


def summarize_report(report: CheckReport) -> str:
    """Return the result of a check on one line."""
    counts = report.count_verdicts()
    said = (
        ", ".join(f"{counts[word]:,} {format_verdict_word(word)}" for word in WORDS if counts[word])
        or "nothing to check"
    )
    return f"{said}, {report.seconds:.2f} s" if report.complete else f"stopped: {said} so far"
