"""What a history covers, told from the history alone: command shapes, event types, and the patches it passed.

A thing is a tuple of words, the first of which is its sort, so that a set of things says what a set of histories is
worth. The shape of a run is taken apart into which command follows which: a loop that went round three times and one
that went round thirty times are of one shape then.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping

from replaytool.corpus.source_lines import Source, Thing, things_of
from replaytool.engines.temporal.events import labels as deeds
from replaytool.engines.temporal.replay.recorded_commands import Record
from replaytool.model.history import Run
from replaytool.replay.line_coverage import Reach

WITH, WITHOUT = "with its marker", "without its marker"
_START, _END = "(start)", "(end)"
# Their names are numbers that the SDK counts up, or ids made for one run.
_NAMELESS = ("Timer", "WorkflowTask", "WorkflowExecutionUpdate")
_UNNAMED_COMMANDS = {"timer", "cancel_timer", "cancel_workflow", "cancel_activity"}


def of_run(run: Run) -> frozenset[Thing]:
    """All that one history covers, without any code."""
    return frozenset(itertools.chain([("type", run.workflow_type)], _shapes(run), _events(run), _patches(run)))


def _shapes(run: Run) -> Iterator[Thing]:
    steps = [_START, *_commands(run), _END]
    yield from (("shape", run.workflow_type, before, after) for before, after in itertools.pairwise(steps))


def _commands(run: Run) -> Iterator[str]:
    """What the code asked for; for engines that do not record it, what happened."""
    if run.engine != "temporal":
        yield from (f"{event.event_type} {name}".strip() for event, name, _ in deeds.name_events(run.events))
        return
    for one in Record(run).commands():
        if one.event_type != "TimerFired":
            yield one.kind if one.kind in _UNNAMED_COMMANDS else f"{one.kind} {one.name}".strip()


def _events(run: Run) -> Iterator[Thing]:
    for event, name, _ in deeds.name_events(run.events):
        said = "" if event.event_type.startswith(_NAMELESS) else name
        yield ("event", run.workflow_type, event.event_type, said)


def _patches(run: Run) -> Iterator[Thing]:
    if run.engine == "temporal":
        yield from (("patch", one.name, WITH) for one in Record(run).commands() if one.kind == "patch")


def of_replay(run: frozenset[Thing], reach: Reach, known: Mapping[str, Source]) -> frozenset[Thing]:
    """What a history covers together with the code that it was replayed with."""
    asked = {
        patch for file, lines in reach.lines.items() if file in known
        for patch, line in known[file].patches if line in set(lines)
    }  # fmt: skip
    return run | _unmarked(run, asked) | frozenset(things_of(reach, known))


def with_absent_patches(histories: Mapping[str, frozenset[Thing]]) -> dict[str, frozenset[Thing]]:
    """Without code: a history without a marker that others of its type have is on the patch's other side."""
    known: dict[str, set[str]] = {}
    for things in histories.values():
        known.setdefault(_type(things), set()).update(one[1] for one in things if one[0] == "patch")
    return {key: things | _unmarked(things, known[_type(things)]) for key, things in histories.items()}


def _unmarked(run: frozenset[Thing], asked: Iterable[str]) -> set[Thing]:
    return {("patch", patch, WITHOUT) for patch in asked if ("patch", patch, WITH) not in run}


def _type(things: Iterable[Thing]) -> str:
    return next(one[1] for one in things if one[0] == "type")
