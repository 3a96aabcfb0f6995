"""How many runs a change breaks, of which workflow types, and what the broken runs wait for."""

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

    def sentence(self) -> str:
        """Return the first line of a report."""
        if not self.broken:
            said = f"this change breaks none of {count_noun(self.runs, 'run')}"
        else:
            still = f" ({self.broken_open:,} still open)" if self.open else ""
            said = f"this change breaks {self.broken:,} of {count_noun(self.runs, 'run')}{still}"
            said += f", {count_noun(self.causes, 'cause')}" if self.causes else ""
        apart = f"; {count_noun(self.pinned, 'run')} pinned to another build counted apart" if self.pinned else ""
        return said + apart


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
