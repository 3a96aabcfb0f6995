"""The features of a history that its record shows: command pairs, event types, and patches.

A feature is a tuple of words that starts with its kind, so that sets of features tell what sets of histories cover. The
shape of a run is the set of its pairs of consecutive commands: loops of 3 and of 30 rounds have the same shape.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping

from replaytool.corpus.source_lines import CountedSource, Thing, covered_features
from replaytool.engines import engine_of
from replaytool.model.history import Run
from replaytool.replay.line_coverage import ReplayCoverage

WITH, WITHOUT = "with its marker", "without its marker"
_START, _END = "(start)", "(end)"


def features_of_run(run: Run) -> frozenset[Thing]:
    """Return everything that one history covers without any code."""
    features = engine_of(run.engine).record_reader().read_features(run)
    steps = [_START, *features.commands, _END]
    return frozenset(
        itertools.chain(
            [("type", run.workflow_type)],
            (("shape", run.workflow_type, before, after) for before, after in itertools.pairwise(steps)),
            (("event", run.workflow_type, kind, name) for kind, name in features.events),
            (("patch", name, WITH) for name in features.patches),
        )
    )


def features_of_replay(
    run: frozenset[Thing], reach: ReplayCoverage, known: Mapping[str, CountedSource]
) -> frozenset[Thing]:
    """Return what a history covers together with the code that replayed it."""
    asked = {
        patch for file, lines in reach.lines.items() if file in known
        for patch, line in known[file].patches if line in set(lines)
    }  # fmt: skip
    return run | _patches_without_marker(run, asked) | frozenset(covered_features(reach, known))


def add_absent_patches(histories: Mapping[str, frozenset[Thing]]) -> dict[str, frozenset[Thing]]:
    """Add patches that a history lacks and others of its type have: it is on their other side."""
    known: dict[str, set[str]] = {}
    for things in histories.values():
        known.setdefault(_workflow_type(things), set()).update(one[1] for one in things if one[0] == "patch")
    return {
        key: things | _patches_without_marker(things, known[_workflow_type(things)])
        for key, things in histories.items()
    }


def _patches_without_marker(run: frozenset[Thing], asked: Iterable[str]) -> set[Thing]:
    return {("patch", patch, WITHOUT) for patch in asked if ("patch", patch, WITH) not in run}


def _workflow_type(things: Iterable[Thing]) -> str:
    return next(one[1] for one in things if one[0] == "type")
