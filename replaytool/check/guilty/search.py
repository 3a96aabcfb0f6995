"""Search the fewest edits that break a run: first what must go for it to pass, then what breaks it alone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from replaytool.check.guilty.minimize import minimize_subset
from replaytool.check.guilty.needs import EditNeeds

Outcome = Literal["passes", "breaks", "unresolved"]
"""Unresolved: the version does not load, or ends in an error of its own, so that it proves nothing."""
_NEAR = 6
_MOST_ROUNDS = 8


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of the watched runs with one version of the code."""

    outcomes: tuple[tuple[str, Outcome], ...]
    missing: tuple[str, ...] = ()
    """Names that the version lacks, as its errors tell."""

    def outcome_of(self, run_key: str) -> Outcome:
        """Return what became of one run."""
        return dict(self.outcomes)[run_key]


class VersionReplayer(Protocol):
    """Replays the watched runs with the base and some edits."""

    def try_edits(self, made: frozenset[int]) -> Trial:
        """Return what becomes of the watched runs with only these edits."""


class OutOfTime(Exception):
    """The time for the search is over."""


@dataclass
class EditSearch:
    """One search: its edits, the likeliest first, and the runs to explain, the shortest first."""

    needs: EditNeeds
    order: Sequence[int]
    watched: Sequence[str]
    replayer: VersionReplayer
    on_found: Callable[[frozenset[int], bool], None]
    """Called with each guilty set at once, and whether it was separated from the other edits."""

    def find_sets(self) -> None:
        """Report the guilty sets one after the other; raise OutOfTime when the time is over."""
        everything = frozenset(self.order)
        removed: frozenset[int] = frozenset()
        for _ in range(_MOST_ROUNDS):
            left = everything - removed
            broken = [one for one in self.watched if self._outcome(one, left) == "breaks"]
            if not broken:
                return
            gone = self._find_removal(broken[0], left)
            for one in sorted(gone):
                context = left - self.needs.add_dependent(gone - {one}) | {one}
                self._report_set(broken[0], one, context)
            removed |= self.needs.add_dependent(gone)

    def _find_removal(self, run: str, left: frozenset[int]) -> frozenset[int]:
        """Return the fewest edits without which the rest of the change passes."""

        def heals(gone: frozenset[int]) -> bool:
            return self._outcome_without(run, left, gone) == "passes"

        order = [one for one in self.order if one in left]
        near = order[:_NEAR] if len(order) > _NEAR else order
        for one in near:
            if heals(frozenset({one})):
                return frozenset({one})
        return frozenset(minimize_subset(order, heals))

    def _report_set(self, run: str, culprit: int, context: frozenset[int]) -> None:
        """Find the fewest edits of the context that break the run with the culprit, on the base."""

        def breaks(others: frozenset[int]) -> bool:
            return self._outcome_with(run, others | {culprit}) == "breaks"

        if breaks(frozenset()):
            made = self.needs.add_needed({culprit})
        else:
            order = [one for one in self.order if one in context and one != culprit]
            if not order or not breaks(frozenset(order)):
                self.on_found(context, False)
                return
            made = self.needs.add_needed({*minimize_subset(order, breaks), culprit})
        for one in sorted(made - {culprit}):  # a need is a guess from names: leave out what was not needed
            if self._outcome(run, made - {one}) == "breaks":
                made -= {one}
        self.on_found(made, True)

    def _outcome(self, run: str, made: Collection[int]) -> Outcome:
        return self.replayer.try_edits(frozenset(made)).outcome_of(run)

    def _outcome_with(self, run: str, made: frozenset[int]) -> Outcome:
        """Try the edits with all they need; an error may tell that they need more."""
        while True:
            whole = self.needs.add_needed(made)
            trial = self.replayer.try_edits(whole)
            if trial.outcome_of(run) != "unresolved" or not self._learn(trial, whole):
                return trial.outcome_of(run)

    def _outcome_without(self, run: str, left: frozenset[int], gone: frozenset[int]) -> Outcome:
        """Try the rest of the change without the edits and all that need them."""
        while True:
            rest = left - self.needs.add_dependent(gone)
            trial = self.replayer.try_edits(rest)
            if trial.outcome_of(run) != "unresolved" or not self._learn(trial, rest):
                return trial.outcome_of(run)

    def _learn(self, trial: Trial, made: frozenset[int]) -> bool:
        learnt = [self.needs.learn_name(name, made) for name in trial.missing]
        return any(learnt)
