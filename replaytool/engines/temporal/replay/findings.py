"""Match a recorded tape with its history: pairs, the first mismatch, leftover commands, commands of the tail."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from replaytool.engines.temporal.replay.recorded_commands import RecordedHistory
from replaytool.engines.temporal.replay.tape_matching import TapeMatcher
from replaytool.engines.temporal.sdk.recorder import RecordedActivation
from replaytool.model.verdict import Command, ExpectedEvent, ReplayStep
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
    same_task: list[Command] = field(default_factory=list)
    """Commands of the mismatch's task that follow the command that did not match."""


def match_tape(record: RecordedHistory, activations: Iterable[RecordedActivation], *, strict: bool = True) -> Findings:
    """Match the commands of a tape with the events, up to the first mismatch."""
    queue = TapeMatcher(record, strict)
    found = Findings(queue.pairs)
    events = list(record.recorded_commands())
    place = 0
    for activation in activations:
        if found.mismatch is None:
            place = _match_events(queue, events, place, activation.event_id, found)
        queue.tell(activation.jobs)
        commands = _issue_commands(queue, activation, found)
        jobs = tuple(queue.translator.translate_job(job) for job in activation.jobs)
        state = activation.state
        step = ReplayStep(activation.event_id, jobs, tuple(commands), (), activation.replaying, activation.time, state)
        found.steps.append(step)
    if found.mismatch is None and not _is_interrupted(found.steps, activations):
        _match_events(queue, events, place, record.last_event_id, found)
    found.leftovers = queue.leftovers() if found.mismatch is None else []
    found.same_task = _commands_after_mismatch(queue, found.mismatch)
    return found


def _match_events(queue: TapeMatcher, events: list[ExpectedEvent], place: int, until: int, found: Findings) -> int:
    while place < len(events) and events[place].event_id <= until and found.mismatch is None:
        found.mismatch = queue.take(events[place])
        place += 1
    return place


def _issue_commands(queue: TapeMatcher, activation: RecordedActivation, found: Findings) -> list[Command]:
    if activation.replaying:
        return queue.issue(activation.commands, activation.sites, activation.event_id, True)
    before = len(queue.waiting)
    made = queue.issue(activation.commands, activation.sites, activation.event_id, False)
    while len(queue.waiting) > before:
        entry = queue.waiting.pop()
        if not entry.dropped and not entry.from_core and entry.command.kind != "patch":
            found.next.insert(0, entry.command)
    return made


def _is_interrupted(steps: list[ReplayStep], activations: Iterable[RecordedActivation]) -> bool:
    """Whether the code failed in a task that the history completes: later events have no commands then."""
    last = next(reversed(list(activations)), None)
    return last is not None and last.replaying and (last.failed or last.deadlocked or not last.done)


def _commands_after_mismatch(queue: TapeMatcher, mismatch: Mismatch | None) -> list[Command]:
    if mismatch is None:
        return []
    waiting = [one.command for one in queue.waiting if not one.dropped and not one.from_core]
    if mismatch.actual in waiting:
        return waiting[waiting.index(mismatch.actual) + 1 :]
    return waiting


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
