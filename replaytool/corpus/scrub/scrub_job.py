"""The job of replacing what users said in a history by stand-ins, so that the history can be given away.

The values that came from outside are replaced; the code is replayed on them, and what it says on the way (inputs of
activities, ids, the result) is written where the record has it. The result is accepted if the verdict and the commands
are what they were. If not, delta debugging finds the fewest fields that have to stay.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from replaytool.corpus.scrub import rewrite_outputs as produced
from replaytool.corpus.scrub import rules
from replaytool.corpus.scrub.delta_debugging import fewest
from replaytool.corpus.scrub.pseudonyms import Standins
from replaytool.engines import replay
from replaytool.engines.temporal.events.labels import name_events
from replaytool.engines.temporal.events.scrubbable_fields import (
    OpaqueValue,
    ScrubbableField,
    change_fields,
    list_fields,
    read_event_type,
)
from replaytool.engines.temporal.replay.recorded_commands import from_bytes
from replaytool.model.history import Run
from replaytool.model.verdict import Verdict
from replaytool.replay.jobs import Asked, Job

DECIDES, WRITTEN = "the verdict depends on it", "the code writes it itself"
HIDDEN = "it is encoded so that it cannot be looked into"
_SHORT = 4
"""Shorter texts are found in any id."""
_ROUNDS = 4
# Events that record what the code asked for: what they say comes from the rest.
_COMMANDS = (
    "ActivityTaskScheduled", "StartChildWorkflowExecutionInitiated", "SignalExternalWorkflowExecutionInitiated",
    "NexusOperationScheduled", "UpsertWorkflowSearchAttributes", "WorkflowPropertiesModified",
    "WorkflowExecutionCompleted", "WorkflowExecutionFailed", "WorkflowExecutionContinuedAsNew",
    "WorkflowExecutionUpdateCompleted",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kept:
    """A field in which an original value stands as before."""

    field: str
    why: str


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """What became of one history."""

    verdict: str
    """With the code, before as well as after."""
    reason: str = ""
    """Why it was not accepted; "" where it was."""
    history: str = ""
    workflow_id: str | None = None
    replaced: int = 0
    """Values that are others now."""
    kept: tuple[Kept, ...] = ()


Unit = tuple[str, Any]
"""A field's label and a value in it; None stands for all of its values."""


@dataclass
class _Scrub:
    """One history on its way."""

    asked: Asked
    rules: rules.Rules
    standins: Standins
    events: list[dict[str, Any]] = field(default_factory=list)
    about: list[str] = field(default_factory=list)
    tried: dict[tuple[Unit, ...], tuple[list[dict[str, Any]], str | None] | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        run = from_bytes(self.asked.run, self.asked.history)
        self.about = [name for _, name, _ in name_events(run.events)]
        self.events = [json.loads(event.raw) for event in run.events]
        self.before = self._verdict(self.events, run.workflow_id)
        self.signature = _signature(self.before)
        self.left = {(one.event_id, one.path.partition("[")[0].partition(".")[0]) for one in self.before.drift}
        self.parted = {str(event_id) for event_id, _ in self.left}

    def _verdict(self, events: Sequence[dict[str, Any]], workflow_id: str | None, engine: str = "direct") -> Verdict:
        options = replace(self.asked.options, steps=True)
        return replay(self._run(events, workflow_id), self.asked.code, options, engine)

    def _run(self, events: Sequence[dict[str, Any]], workflow_id: str | None) -> Run:
        return from_bytes(replace(self.asked.run, workflow_id=workflow_id), _history(events).encode())

    def candidates(self) -> list[Unit]:
        """The fields from outside that would be replaced, in the order of the record."""
        found: dict[Unit, None] = {}
        for event, about in zip(self.events, self.about, strict=True):
            is_told = event["eventId"] not in self.parted and read_event_type(event) in _COMMANDS
            if not is_told:
                found |= {
                    (one.label, None): None for one in list_fields(event, about) if self._replaced(one) != one.value
                }
        return list(found)

    def values_of(self, kept: Iterable[Unit]) -> list[Unit]:
        """The values in these fields, one by one."""
        labels = {label for label, _ in kept}
        found: dict[Unit, None] = {}
        for event, about in zip(self.events, self.about, strict=True):
            found |= {(one.label, one.value): None for one in list_fields(event, about) if one.label in labels}
        return list(found)

    def _replaced(self, one: ScrubbableField) -> Any:
        return self.rules.replaced(one, self.standins.of)

    def accepted(self, keep: Sequence[Unit]) -> bool:
        """Whether the history without all but these says the same about the code."""
        return self.made(keep) is not None

    def made(self, keep: Sequence[Unit]) -> tuple[list[dict[str, Any]], str | None] | None:
        """The history without all but these and its workflow id, if it is accepted."""
        key = tuple(keep)
        if key not in self.tried:
            self.tried[key] = self._made(set(keep))
        return self.tried[key]

    def _made(self, keep: set[Unit]) -> tuple[list[dict[str, Any]], str | None] | None:
        texts: dict[str, str] = {}

        def change(one: ScrubbableField) -> Any:
            if (one.label, None) in keep or (one.label, one.value) in keep:
                return one.value
            made = self._replaced(one)
            if isinstance(one.value, str) and made != one.value and len(one.value) >= _SHORT:
                texts[one.value] = made
            return made

        events = [change_fields(event, about, change) for event, about in zip(self.events, self.about, strict=True)]
        events = [produced.with_ids(event, texts) for event in events]
        workflow_id = self.asked.run.workflow_id
        workflow_id = produced.id_of(workflow_id, texts) if workflow_id else workflow_id
        for _ in range(_ROUNDS):
            verdict = self._verdict(events, workflow_id)
            again = produced.rewritten(events, verdict, self.left)
            others = produced.other_ids(verdict) if verdict.verdict != self.before.verdict or verdict.drift else {}
            again = [produced.with_ids(event, others) for event in again]
            if again == events:
                return (events, workflow_id) if _signature(verdict) == self.signature else None
            events = again
        return None

    def still_there(self, events: Sequence[dict[str, Any]], keep: Sequence[Unit]) -> list[Kept]:
        """Original texts that stand where they stood, and why."""
        decides = {label for label, _ in keep}
        found: dict[Kept, None] = {}
        for before, after, about in zip(self.events, events, self.about, strict=True):
            for one, other in zip(list_fields(before, about), list_fields(after, about), strict=False):
                if isinstance(one.value, OpaqueValue):
                    found[Kept(one.label, f"{HIDDEN}: {one.value.encoding}")] = None
                elif self._replaced(one) != one.value and one.value == other.value:
                    found[Kept(one.label, DECIDES if one.label in decides else WRITTEN)] = None
        return list(found)

    def replaced_in(self, events: Sequence[dict[str, Any]]) -> int:
        """How many values are others now."""
        return sum(
            one.value != other.value
            for before, after, about in zip(self.events, events, self.about, strict=True)
            for one, other in zip(list_fields(before, about), list_fields(after, about), strict=False)
        )


def _signature(verdict: Verdict) -> tuple[Any, ...]:
    """What must not change: the verdict, where it is found, and the commands in their order."""
    place = verdict.divergence or verdict.failure
    return (
        verdict.verdict,
        verdict.stuck,
        place.event_id if place else None,
        verdict.failure.type if verdict.failure else None,
        tuple((one.event_id, one.path) for one in verdict.drift),
        tuple((step.event_id, one.kind, one.name) for step in verdict.steps for one in step.commands),
        tuple((one.kind, one.name) for one in verdict.next),
    )


def _history(events: Sequence[Mapping[str, Any]]) -> str:
    return '{"events":[' + ",\n".join(json.dumps(event, separators=(",", ":")) for event in events) + "]}\n"


def _work(asked: Asked) -> Scrubbed:
    given = asked.argument
    work = _Scrub(asked, rules.parsed(given["only"], given["keep"]), Standins(bytes.fromhex(given["key"])))
    word = work.before.verdict
    if word in ("unverified", "crashed"):
        return Scrubbed(word, f"what it shows cannot be compared: {work.before.reason}")
    labels = work.candidates()
    if not work.accepted(labels):
        return Scrubbed(word, "the code does not do the same twice on this history")
    keep = fewest(labels, work.accepted)
    values = work.values_of(keep)
    keep = fewest(values, work.accepted) if work.accepted(values) else keep
    events, workflow_id = work.made(keep) or (work.events, asked.run.workflow_id)
    before = work._verdict(work.events, asked.run.workflow_id, "auto")
    after = work._verdict(events, workflow_id, "auto")
    if after.verdict != before.verdict:
        return Scrubbed(before.verdict, f"the SDK's replayer says {after.verdict} then: {after.reason}")
    kept = work.still_there(events, keep)
    return Scrubbed(word, "", _history(events), workflow_id, work.replaced_in(events), tuple(kept))


SCRUB: Job[Scrubbed] = Job(
    name="replaytool.corpus.scrub.scrub_job:SCRUB",
    answer=Scrubbed,
    work=_work,
    crashed=lambda reason, seconds: Scrubbed("crashed", reason),
    fault=lambda reason, place: Scrubbed("unverified", f"{reason} ({place})"),
    is_last=lambda one: one.verdict == "crashed",
    is_shaky=lambda one: one.verdict in ("crashed", "failed"),
)
