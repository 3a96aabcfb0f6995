"""Match a recorded tape with its history: pairs, the first mismatch, leftover commands, commands of the tail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from replaytool.engines.temporal.replay.recorded_commands import RecordedHistory
from replaytool.engines.temporal.replay.tape_matching import TapeMatcher
from replaytool.engines.temporal.sdk.recorder import RecordedActivation
from replaytool.model.verdict import Command, ReplayStep
from replaytool.replay.compare.mismatch import MatchedPairs, Mismatch


@dataclass
class Findings:
    """What matching a tape with its history found."""

    pairs: MatchedPairs
    mismatch: Mismatch | None = None
    leftovers: list[Command] = field(default_factory=list)
    """Commands of completed tasks that no event records."""
    next: list[Command] = field(default_factory=list)
    """Commands behind the end of the history: no event can record them yet."""
    steps: list[ReplayStep] = field(default_factory=list)


def match_tape(record: RecordedHistory, activations: Sequence[RecordedActivation], *, strict: bool = True) -> Findings:
    """Match the commands of a tape with the events, up to the first mismatch.

    With `strict`, names and ids are compared even where the history does not ask the SDK to compare them.
    """
    matcher = TapeMatcher(record, strict=strict)
    found = Findings(matcher.pairs)
    for activation in activations:
        matcher.match_events(activation.event_id)
        jobs = matcher.add_jobs(activation.jobs)
        before = list(matcher.queue.waiting)
        commands = tuple(matcher.add_commands(activation))
        if not activation.replaying:
            found.next += matcher.take_new_commands(before)
        found.steps.append(
            ReplayStep(activation.event_id, jobs, commands, (), activation.replaying, activation.time, activation.state)
        )
    if not _is_interrupted(activations):
        matcher.match_events(record.last_event_id)
        assert matcher.mismatch or matcher.is_at_end, "an event was not matched"
    found.mismatch = matcher.mismatch
    found.leftovers = matcher.find_leftovers() if found.mismatch is None else []
    return found


def _is_interrupted(activations: Sequence[RecordedActivation]) -> bool:
    """Whether the code failed in a task that the history completes: later events have no commands then."""
    last = activations[-1] if activations else None
    return last is not None and last.replaying and (last.failed or last.deadlocked or not last.done)


def steps_with_matches(found: Findings) -> tuple[ReplayStep, ...]:
    """Return the steps, each with the matches of its commands."""
    by_command = {id(pair.actual): pair for pair in found.pairs.matched}
    return tuple(
        ReplayStep(
            step.event_id,
            step.jobs,
            step.commands,
            tuple(by_command[id(one)] for one in step.commands if id(one) in by_command),
            step.replaying,
            step.time,
            step.state,
        )
        for step in found.steps
    )
