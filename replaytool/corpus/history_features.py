"""The features of a history that its record shows: command pairs, event types, and patches.

A feature is a tuple of words that starts with its kind, so that sets of features tell what sets of histories cover. The
shape of a run is the set of its pairs of consecutive commands: loops of 3 and of 30 rounds have the same shape.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping

from replaytool.corpus.source_lines import CountedSource, Thing, covered_features
from replaytool.engines.temporal.events import labels as deeds
from replaytool.engines.temporal.replay.recorded_commands import RecordedHistory
from replaytool.model.history import Run
from replaytool.replay.line_coverage import ReplayCoverage

WITH, WITHOUT = "with its marker", "without its marker"
_START, _END = "(start)", "(end)"
# Their names are counters of the SDK or IDs of one run, so they tell no difference.
_NAMELESS = ("Timer", "WorkflowTask", "WorkflowExecutionUpdate")
_UNNAMED_COMMANDS = {"timer", "cancel_timer", "cancel_workflow", "cancel_activity"}


def features_of_run(run: Run) -> frozenset[Thing]:
    """Return everything that one history covers without any code."""
    return frozenset(
        itertools.chain([("type", run.workflow_type)], _command_pairs(run), _event_features(run), _patch_features(run))
    )


def _command_pairs(run: Run) -> Iterator[Thing]:
    steps = [_START, *_command_names(run), _END]
    yield from (("shape", run.workflow_type, before, after) for before, after in itertools.pairwise(steps))


def _command_names(run: Run) -> Iterator[str]:
    """Yield the commands that the code asked for; events for engines that record no commands."""
    if run.engine != "temporal":
        yield from (f"{event.event_type} {name}".strip() for event, name, _ in deeds.name_events(run.events))
        return
    for one in RecordedHistory(run).recorded_commands():
        if one.event_type != "TimerFired":
            yield one.kind if one.kind in _UNNAMED_COMMANDS else f"{one.kind} {one.name}".strip()


def _event_features(run: Run) -> Iterator[Thing]:
    for event, name, _ in deeds.name_events(run.events):
        said = "" if event.event_type.startswith(_NAMELESS) else name
        yield ("event", run.workflow_type, event.event_type, said)


def _patch_features(run: Run) -> Iterator[Thing]:
    if run.engine == "temporal":
        yield from (
            ("patch", one.name, WITH) for one in RecordedHistory(run).recorded_commands() if one.kind == "patch"
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
