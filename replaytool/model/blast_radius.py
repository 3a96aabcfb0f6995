"""How many runs fail with the new code, of which workflow types, and what the failing runs wait for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from replaytool.text import count_noun


@dataclass(frozen=True, slots=True)
class RunImpact:
    """What the change does to one run."""

    workflow_type: str
    waits_for: str
    is_open: bool
    is_broken: bool
    is_apart: bool
    """Whether the run is pinned to its build, so that it never meets the new code."""


@dataclass(frozen=True, slots=True)
class ImpactGroup:
    """A group of runs, and how many of them break."""

    name: str
    runs: int
    open: int
    broken: int
    broken_open: int


@dataclass(frozen=True, slots=True)
class BlastRadius:
    """What a change does to all checked runs."""

    runs: int
    open: int
    broken: int
    broken_open: int
    causes: int
    """Equal drift has no cause: where drift fails a check, each difference is reported by itself."""
    pinned: int
    """Runs that are pinned to another build. No other number includes them."""
    by_type: Sequence[ImpactGroup]
    by_wait: Sequence[ImpactGroup]
    """Open runs only: a closed run waits for nothing."""

    def sentence(self, *, against_base: bool = False) -> str:
        """Return the first line of a report. Only a comparison with a base can say that a change breaks runs."""
        runs = count_noun(self.runs, "run")
        details = [f"{self.broken_open:,} still open"] if self.broken and self.open else []
        details += [count_noun(self.causes, "cause")] if self.broken and self.causes else []
        more = f" ({', '.join(details)})" if details else ""
        apart = f"; not counted: {count_noun(self.pinned, 'run')} pinned to another build" if self.pinned else ""
        if against_base:
            return f"this change breaks {f'{self.broken:,}' if self.broken else 'none'} of {runs}{more}{apart}"
        return f"{self.broken:,} of {runs} {'fails' if self.broken == 1 else 'fail'} with this code{more}{apart}"


def measure_blast_radius(stands: Iterable[RunImpact], causes: int) -> BlastRadius:
    """Count runs in all and by group; groups with the most broken runs come first."""
    listed = list(stands)
    meeting = [one for one in listed if not one.is_apart]
    whole = _count_group("", meeting)
    return BlastRadius(
        whole.runs,
        whole.open,
        whole.broken,
        whole.broken_open,
        causes if whole.broken else 0,
        len(listed) - len(meeting),
        _group_impacts(meeting, lambda one: one.workflow_type),
        _group_impacts([one for one in meeting if one.is_open], lambda one: one.waits_for),
    )


def _group_impacts(stands: Sequence[RunImpact], name: Callable[[RunImpact], str]) -> tuple[ImpactGroup, ...]:
    groups: dict[str, list[RunImpact]] = {}
    for one in stands:
        groups.setdefault(name(one), []).append(one)
    shares = [_count_group(key, group) for key, group in groups.items()]
    return tuple(sorted(shares, key=lambda share: (-share.broken, -share.runs, share.name)))


def _count_group(name: str, stands: Sequence[RunImpact]) -> ImpactGroup:
    return ImpactGroup(
        name,
        len(stands),
        sum(one.is_open for one in stands),
        sum(one.is_broken for one in stands),
        sum(one.is_broken and one.is_open for one in stands),
    )
