"""The job that replaces personal data in a history, so that the history can be shared.

Values from outside are replaced. Then the code is replayed on them, and what it produces (activity inputs, IDs, the
result) is written into the history. The result is accepted if verdict and commands are the same as before. If not,
delta debugging finds the fewest fields that have to stay.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from replaytool.engines import replay
from replaytool.engines.temporal.events.labels import name_events
from replaytool.engines.temporal.replay.recorded_commands import run_from_json
from replaytool.engines.temporal.scrub import rewrite_outputs as produced
from replaytool.engines.temporal.scrub.scrubbable_fields import OpaqueValue, change_fields, list_fields, read_event_type
from replaytool.model.history import Run
from replaytool.model.scrub_result import KeptField, ScrubbableField, ScrubResult
from replaytool.model.verdict import Verdict
from replaytool.replay.jobs import JobRequest, WorkerJob
from replaytool.replay.scrub import rules
from replaytool.replay.scrub.delta_debugging import find_fewest
from replaytool.replay.scrub.pseudonyms import Pseudonyms

DECIDES, WRITTEN = "the verdict depends on it", "the code produces it"
HIDDEN = "its encoding cannot be read"
_SHORT = 4
"""Shorter texts occur in any ID by chance."""
_ROUNDS = 4
# Events that record commands: the code produces their values from the other events.
_COMMANDS = (
    "ActivityTaskScheduled", "StartChildWorkflowExecutionInitiated", "SignalExternalWorkflowExecutionInitiated",
    "NexusOperationScheduled", "UpsertWorkflowSearchAttributes", "WorkflowPropertiesModified",
    "WorkflowExecutionCompleted", "WorkflowExecutionFailed", "WorkflowExecutionContinuedAsNew",
    "WorkflowExecutionUpdateCompleted",
)  # fmt: skip


Unit = tuple[str, object]
"""A field's label and one value in it; None means all its values."""


@dataclass
class _HistoryScrubber:
    """Scrubs one history."""

    asked: JobRequest
    rules: rules.ScrubRules
    standins: Pseudonyms
    events: list[dict[str, object]] = field(default_factory=list)
    about: list[str] = field(default_factory=list)
    tried: dict[tuple[Unit, ...], tuple[list[dict[str, object]], str | None] | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        run = run_from_json(self.asked.run, self.asked.history)
        self.about = [name for _, name, _ in name_events(run.events)]
        self.events = [json.loads(event.raw) for event in run.events]
        self.before = self.replay_events(self.events, run.workflow_id)
        self.signature = _verdict_signature(self.before)
        self.left = {(one.event_id, one.path.partition("[")[0].partition(".")[0]) for one in self.before.drift}
        self.parted = {str(event_id) for event_id, _ in self.left}

    def replay_events(
        self, events: Sequence[dict[str, object]], workflow_id: str | None, engine: str = "direct"
    ) -> Verdict:
        options = replace(self.asked.options, steps=True)
        return replay(self._make_run(events, workflow_id), self.asked.code, options, engine)

    def _make_run(self, events: Sequence[dict[str, object]], workflow_id: str | None) -> Run:
        return run_from_json(replace(self.asked.run, workflow_id=workflow_id), _history_json(events).encode())

    def candidate_fields(self) -> list[Unit]:
        """Return the fields from outside that would be replaced, in the order of the history."""
        found: dict[Unit, None] = {}
        for event, about in zip(self.events, self.about, strict=True):
            is_told = event["eventId"] not in self.parted and read_event_type(event) in _COMMANDS
            if not is_told:
                found |= {
                    (one.label, None): None
                    for one in list_fields(event, about)
                    if self._replace_field(one) != one.value
                }
        return list(found)

    def values_in_fields(self, kept: Iterable[Unit]) -> list[Unit]:
        """Return the values in these fields, one by one."""
        labels = {label for label, _ in kept}
        found: dict[Unit, None] = {}
        for event, about in zip(self.events, self.about, strict=True):
            found |= {(one.label, one.value): None for one in list_fields(event, about) if one.label in labels}
        return list(found)

    def _replace_field(self, one: ScrubbableField) -> object:
        return self.rules.replace_field(one, self.standins.replace_value)

    def is_accepted(self, keep: Sequence[Unit]) -> bool:
        """Return whether the history with only these fields kept gives the same verdict and commands."""
        return self.try_replacement(keep) is not None

    def try_replacement(self, keep: Sequence[Unit]) -> tuple[list[dict[str, object]], str | None] | None:
        """Return the events and workflow ID with only these fields kept, if they are accepted."""
        key = tuple(keep)
        if key not in self.tried:
            self.tried[key] = self._replace_all_but(set(keep))
        return self.tried[key]

    def _replace_all_but(self, keep: set[Unit]) -> tuple[list[dict[str, object]], str | None] | None:
        texts: dict[str, str] = {}

        def replace_unless_kept(one: ScrubbableField) -> object:
            if (one.label, None) in keep or (one.label, one.value) in keep:
                return one.value
            made = self._replace_field(one)
            if isinstance(one.value, str) and isinstance(made, str) and made != one.value and len(one.value) >= _SHORT:
                texts[one.value] = made
            return made

        events = [
            change_fields(event, about, replace_unless_kept)
            for event, about in zip(self.events, self.about, strict=True)
        ]
        events = [produced.replace_ids(event, texts) for event in events]
        workflow_id = self.asked.run.workflow_id
        workflow_id = produced.replace_id(workflow_id, texts) if workflow_id else workflow_id
        for _ in range(_ROUNDS):
            verdict = self.replay_events(events, workflow_id)
            again = produced.rewrite_events(events, verdict, self.left)
            others = (
                produced.find_changed_ids(verdict) if verdict.verdict != self.before.verdict or verdict.drift else {}
            )
            again = [produced.replace_ids(event, others) for event in again]
            if again == events:
                return (events, workflow_id) if _verdict_signature(verdict) == self.signature else None
            events = again
        return None

    def find_kept_fields(self, events: Sequence[dict[str, object]], keep: Sequence[Unit]) -> list[KeptField]:
        """Return the fields that still have their original value, and why."""
        decides = {label for label, _ in keep}
        found: dict[KeptField, None] = {}
        for before, after, about in zip(self.events, events, self.about, strict=True):
            for one, other in zip(list_fields(before, about), list_fields(after, about), strict=False):
                if isinstance(one.value, OpaqueValue):
                    found[KeptField(one.label, f"{HIDDEN}: {one.value.encoding}")] = None
                elif self._replace_field(one) != one.value and one.value == other.value:
                    found[KeptField(one.label, DECIDES if one.label in decides else WRITTEN)] = None
        return list(found)

    def count_replaced(self, events: Sequence[dict[str, object]]) -> int:
        """Count the values that changed."""
        return sum(
            one.value != other.value
            for before, after, about in zip(self.events, events, self.about, strict=True)
            for one, other in zip(list_fields(before, about), list_fields(after, about), strict=False)
        )


def _verdict_signature(verdict: Verdict) -> tuple[object, ...]:
    """Return what must stay the same: the verdict, its event, and the commands in order."""
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


def _history_json(events: Sequence[Mapping[str, object]]) -> str:
    return '{"events":[' + ",\n".join(json.dumps(event, separators=(",", ":")) for event in events) + "]}\n"


def _scrub_history(asked: JobRequest) -> ScrubResult:
    given = asked.argument
    work = _HistoryScrubber(
        asked, rules.parse_rules(given["only"], given["keep"]), Pseudonyms(bytes.fromhex(given["key"]))
    )
    word = work.before.verdict
    if word in ("unverified", "crashed"):
        return ScrubResult(word, f"its verdict cannot be compared: {work.before.reason}")
    labels = work.candidate_fields()
    if not work.is_accepted(labels):
        return ScrubResult(word, "two replays of this history with the same code differ")
    keep = find_fewest(labels, work.is_accepted)
    values = work.values_in_fields(keep)
    keep = find_fewest(values, work.is_accepted) if work.is_accepted(values) else keep
    events, workflow_id = work.try_replacement(keep) or (work.events, asked.run.workflow_id)
    before = work.replay_events(work.events, asked.run.workflow_id, "auto")
    after = work.replay_events(events, workflow_id, "auto")
    if after.verdict != before.verdict:
        return ScrubResult(
            before.verdict, f"after scrubbing, the SDK's replayer reports {after.verdict}: {after.reason}"
        )
    kept = work.find_kept_fields(events, keep)
    return ScrubResult(word, "", _history_json(events), workflow_id, work.count_replaced(events), tuple(kept))


SCRUB: WorkerJob[ScrubResult] = WorkerJob(
    name="replaytool.engines.temporal.scrub.scrub_job:SCRUB",
    answer=ScrubResult,
    work=_scrub_history,
    crashed=lambda reason, seconds: ScrubResult("crashed", reason),
    fault=lambda reason, place: ScrubResult("unverified", f"{reason} ({place})"),
    is_last=lambda one: one.verdict == "crashed",
    is_shaky=lambda one: one.verdict in ("crashed", "failed"),
)
