"""Measure how much of the workflow code the histories reach, and what none of them reaches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from replaytool.corpus.gather import Corpus
from replaytool.corpus.history_features import WITH, WITHOUT
from replaytool.corpus.source_lines import CountedSource, Thing


@dataclass(frozen=True, slots=True)
class FileCoverage:
    """One file of workflow code."""

    file: str
    lines: int
    missing_lines: tuple[int, ...]
    branches: int
    missing_branches: tuple[tuple[int, str], ...]
    """Branches never taken from lines that were reached: the line, and the branch in words."""
    unreached_branches: int = 0
    """Branches from lines that were not reached."""

    @property
    def percent_covered(self) -> float:
        """Percentage of lines and branches together."""
        total = self.lines + self.branches
        missing = len(self.missing_lines) + len(self.missing_branches) + self.unreached_branches
        return 100.0 * (total - missing) / total if total else 100.0


@dataclass(frozen=True, slots=True)
class PatchCoverage:
    """How many histories there are with and without a patch's marker."""

    patch: str
    with_marker: int
    without_marker: int


@dataclass(frozen=True, slots=True)
class CorpusCoverage:
    """What the histories cover, and what they do not."""

    histories: int
    files: tuple[FileCoverage, ...]
    types: Mapping[str, int]
    """Workflow types of the code, and how many histories each has; 0 for none."""
    patches: tuple[PatchCoverage, ...]
    not_followed: int = 0
    """Histories that diverge from the code: they count up to the divergence."""
    without_code: tuple[str, ...] = ()
    """Workflow types of histories that the code has no workflow for."""

    @property
    def percent_covered(self) -> float:
        """Percentage of lines and branches over all files."""
        total = sum(one.lines + one.branches for one in self.files)
        found = sum(one.percent_covered * (one.lines + one.branches) for one in self.files)
        return found / total if total else 100.0


def measure_coverage(corpus: Corpus) -> CorpusCoverage:
    """Compare what the code has with what the histories cover."""
    covered: Counter[Thing] = Counter(thing for found in corpus.things.values() for thing in found)
    types = {name: covered["type", name] for name in sorted(corpus.code.types) if name}
    recorded = sorted(one[1] for one in covered if one[0] == "type")
    parted = sum(word not in ("ok", "drift", "unverified") for word in corpus.verdicts.values())
    return CorpusCoverage(
        histories=len(corpus.things),
        files=tuple(_measure_file(file, source, covered) for file, source in sorted(corpus.known.items())),
        types=types,
        patches=_measure_patches(corpus.known.values(), covered),
        not_followed=parted,
        without_code=()
        if "" in corpus.code.types or not corpus.code.types
        else tuple(one for one in recorded if one not in types),
    )


def _measure_file(file: str, source: CountedSource, covered: Mapping[Thing, int]) -> FileCoverage:
    missing = tuple(sorted(line for line in source.lines if ("line", file, str(line)) not in covered))
    untaken = [one for one in source.branches if ("branch", file, str(one.line), one.way) not in covered]
    from_here = tuple((one.line, one.way) for one in untaken if one.line not in missing)
    return FileCoverage(
        file, len(source.lines), missing, len(source.branches), from_here, len(untaken) - len(from_here)
    )


def _measure_patches(known: Iterable[CountedSource], covered: Mapping[Thing, int]) -> tuple[PatchCoverage, ...]:
    named = {patch for source in known for patch, _ in source.patches} | {
        one[1] for one in covered if one[0] == "patch"
    }
    return tuple(
        PatchCoverage(one, covered.get(("patch", one, WITH), 0), covered.get(("patch", one, WITHOUT), 0))
        for one in sorted(named)
    )
