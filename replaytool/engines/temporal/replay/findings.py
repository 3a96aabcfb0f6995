"""What a tape shows when it is laid beside the record: pairs, the first mismatch, what is left over, and the tail."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from replaytool.engines.temporal.replay.recorded_commands import Record
from replaytool.engines.temporal.replay.tape_matching import CommandQueue
from replaytool.engines.temporal.sdk.recorder import Activation
from replaytool.model.verdict import Command, Expected, Step
from replaytool.replay.compare.mismatch import MatchedPairs, Mismatch


@dataclass
class Findings:
    """The result of laying one beside the other."""

    pairs: MatchedPairs
    mismatch: Mismatch | None = None
    leftovers: list[Command] = field(default_factory=list)
    """Commands of completed tasks that no event records."""
    next: list[Command] = field(default_factory=list)
    """Commands of the tail, where the record has nothing to say yet."""
    steps: list[Step] = field(default_factory=list)
    same_task: list[Command] = field(default_factory=list)
    """What the code asked for in the task that the mismatch is in, behind the command that did not fit."""


def lay_beside(record: Record, activations: Iterable[Activation], *, strict: bool = True) -> Findings:
    """Match what was done against what was recorded, as the core does, up to the first mismatch."""
    queue = CommandQueue(record, strict)
    found = Findings(queue.pairs)
    events = list(record.commands())
    place = 0
    for activation in activations:
        if found.mismatch is None:
            place = _take(queue, events, place, activation.event_id, found)
        queue.tell(activation.jobs)
        commands = _issue(queue, activation, found)
        jobs = tuple(queue.translator.translate_job(job) for job in activation.jobs)
        state = activation.state
        step = Step(activation.event_id, jobs, tuple(commands), (), activation.replaying, activation.time, state)
        found.steps.append(step)
    if found.mismatch is None and not _broke_off(found.steps, activations):
        _take(queue, events, place, record.last_id, found)
    found.leftovers = queue.leftovers() if found.mismatch is None else []
    found.same_task = _behind(queue, found.mismatch)
    return found


def _take(queue: CommandQueue, events: list[Expected], place: int, until: int, found: Findings) -> int:
    while place < len(events) and events[place].event_id <= until and found.mismatch is None:
        found.mismatch = queue.take(events[place])
        place += 1
    return place


def _issue(queue: CommandQueue, activation: Activation, found: Findings) -> list[Command]:
    if activation.replaying:
        return queue.issue(activation.commands, activation.sites, activation.event_id, True)
    before = len(queue.waiting)
    made = queue.issue(activation.commands, activation.sites, activation.event_id, False)
    while len(queue.waiting) > before:
        entry = queue.waiting.pop()
        if not entry.dropped and not entry.from_core and entry.command.kind != "patch":
            found.next.insert(0, entry.command)
    return made


def _broke_off(steps: list[Step], activations: Iterable[Activation]) -> bool:
    """Whether the code failed in a task that the record completes: the events behind it were never asked for."""
    last = next(reversed(list(activations)), None)
    return last is not None and last.replaying and (last.failed or last.deadlocked or not last.done)


def _behind(queue: CommandQueue, mismatch: Mismatch | None) -> list[Command]:
    if mismatch is None:
        return []
    waiting = [one.command for one in queue.waiting if not one.dropped and not one.from_core]
    if mismatch.actual in waiting:
        return waiting[waiting.index(mismatch.actual) + 1 :]
    return waiting


def with_matches(found: Findings) -> tuple[Step, ...]:
    """The steps, each with the pairs that its commands are in."""
    by_command = {id(pair.actual): pair for pair in found.pairs.matched}
    return tuple(
        Step(
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
