"""The blast radius of a change: how many runs it breaks, of which types, and what those wait for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from replaytool.text import counted


@dataclass(frozen=True, slots=True)
class Stand:
    """How one run stands to the change."""

    workflow_type: str
    waits_for: str
    is_open: bool
    is_broken: bool
    is_apart: bool
    """It is pinned to its build: it never meets the new code."""


@dataclass(frozen=True, slots=True)
class Share:
    """Some of the runs, and how many of them break."""

    name: str
    runs: int
    open: int
    broken: int
    broken_open: int


@dataclass(frozen=True, slots=True)
class BlastRadius:
    """What a change does to all the runs that were looked at."""

    runs: int
    open: int
    broken: int
    broken_open: int
    causes: int
    """Equal drift is none: where drift fails, it is told difference by difference."""
    pinned: int
    """Counted apart, and in none of the other numbers."""
    by_type: Sequence[Share]
    by_wait: Sequence[Share]
    """Of the open runs alone: a closed one waits for nothing."""

    def sentence(self) -> str:
        """The first line of a report."""
        if not self.broken:
            said = f"this change breaks none of {counted(self.runs, 'run')}"
        else:
            still = f" ({self.broken_open:,} still open)" if self.open else ""
            said = f"this change breaks {self.broken:,} of {counted(self.runs, 'run')}{still}"
            said += f", {counted(self.causes, 'cause')}" if self.causes else ""
        apart = f"; {counted(self.pinned, 'run')} pinned to another build counted apart" if self.pinned else ""
        return said + apart


def blast_radius(stands: Iterable[Stand], causes: int) -> BlastRadius:
    """Count; the groups with the most broken runs come first."""
    listed = list(stands)
    meeting = [one for one in listed if not one.is_apart]
    whole = _share("", meeting)
    return BlastRadius(
        whole.runs,
        whole.open,
        whole.broken,
        whole.broken_open,
        causes if whole.broken else 0,
        len(listed) - len(meeting),
        _shares(meeting, lambda one: one.workflow_type),
        _shares([one for one in meeting if one.is_open], lambda one: one.waits_for),
    )


def _shares(stands: Sequence[Stand], name: Callable[[Stand], str]) -> tuple[Share, ...]:
    groups: dict[str, list[Stand]] = {}
    for one in stands:
        groups.setdefault(name(one), []).append(one)
    shares = [_share(key, group) for key, group in groups.items()]
    return tuple(sorted(shares, key=lambda share: (-share.broken, -share.runs, share.name)))


def _share(name: str, stands: Sequence[Stand]) -> Share:
    return Share(
        name,
        len(stands),
        sum(one.is_open for one in stands),
        sum(one.is_broken for one in stands),
        sum(one.is_broken and one.is_open for one in stands),
    )
