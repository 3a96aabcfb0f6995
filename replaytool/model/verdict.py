"""The values that every replay yields and every report shows: engine-neutral, frozen, and JSON both ways."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from replaytool.model.blast_radius import BlastRadius, Stand, blast_radius
from replaytool.model.run_chart import Timeline

SCHEMA = 1
Word = Literal["ok", "drift", "diverged", "failed", "unverified", "crashed"]
WORDS: tuple[Word, ...] = ("ok", "drift", "diverged", "failed", "unverified", "crashed")
FAILING: frozenset[Word] = frozenset({"diverged", "failed", "unverified", "crashed"})
"""The verdicts that make a check fail unless somebody says otherwise."""
STILL_FAILS = "still fails"
WOULD_PROCEED = "would proceed"
UNSTABLE = "unstable"
"""How a reason begins where several replays of one run do not agree."""


@dataclass(frozen=True, slots=True)
class CallSite:
    """A line of the user's code, and the lines that were waiting for it, the innermost first."""

    file: str
    line: int
    function: str
    chain: tuple[CallSite, ...] = ()


@dataclass(frozen=True, slots=True)
class Command:
    """What the code asked the engine for: the half of a comparison that the code produced."""

    kind: str
    """In the user's words, the same for every engine: activity, timer, child_workflow, complete, …"""
    name: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    """By the names that the record uses. Values are plain data, or `Payload` as long as nobody had to read them."""
    call_site: CallSite | None = None


@dataclass(frozen=True, slots=True)
class Expected:
    """What the record holds: the other half."""

    event_id: int
    event_type: str
    kind: str
    name: str
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Match:
    """A command and the event that recorded it."""

    expected: Expected
    actual: Command


@dataclass(frozen=True, slots=True)
class Job:
    """Something that the workflow was told: it starts, a timer fired, an activity is done, a signal came."""

    kind: str
    name: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """One activation of the code: what it was told, what it asked for, and what became of that in the record."""

    event_id: int
    """The record up to and including this event was known to the code."""
    jobs: tuple[Job, ...] = ()
    commands: tuple[Command, ...] = ()
    matched: tuple[Match, ...] = ()
    replaying: bool = True
    """False past the last completed task: what the code does there is new, and compared with nothing."""
    time: str | None = None
    state: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where code and record part for the first time."""

    event_id: int
    expected: Expected | None
    """None: the record has nothing there, and the code did something."""
    actual: Command | None
    """None: the record has something there, and the code did nothing."""
    differing: tuple[str, ...] = ()
    """The fields in which the two differ, where they are of one kind."""
    call_site: CallSite | None = None
    last_matched_event_id: int | None = None
    before: tuple[Match, ...] = ()
    """Up to five pairs that still agreed, the last of them nearest."""
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Drift:
    """A difference inside a command that matches, which the engine itself does not mind."""

    event_id: int
    path: str
    recorded: Any
    produced: Any
    call_site: CallSite | None = None
    level: Literal["error", "warn"] = "warn"


@dataclass(frozen=True, slots=True)
class Hazard:
    """The code reached for the world outside, where a replay does it once more."""

    what: str
    """The audit event or the function: socket.connect, open, time.time."""
    call_site: CallSite | None = None
    detail: str = ""
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception or a deadlock that makes a task fail, again and again, until the code is mended."""

    event_id: int
    """The first event that the task should have led to; past the end of the record, the next id."""
    type: str
    message: str
    call_site: CallSite | None = None
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one replay of one run says."""

    verdict: Word
    reason: str = ""
    engine: str = "sdk"
    confirmed_by: str | None = None
    stuck: str | None = None
    """For a run whose last task failed: STILL_FAILS or WOULD_PROCEED."""
    next: tuple[Command, ...] = ()
    """What the code would ask for past the end of an open record."""
    divergence: Divergence | None = None
    further: tuple[Divergence, ...] = ()
    """What else does not fit behind the divergence, where somebody asked for it."""
    failure: Failure | None = None
    drift: tuple[Drift, ...] = ()
    hazards: tuple[Hazard, ...] = ()
    notes: tuple[str, ...] = ()
    """What does not change the verdict and should be known: a blind record, an error that the engine hides."""
    seconds: float = 0.0
    steps: tuple[Step, ...] = ()
    """Only on request, and never in the JSON: a long run has thousands."""

    @property
    def call_site(self) -> CallSite | None:
        """The line to look at first."""
        for found in (self.divergence, self.failure, *self.drift):
            if found is not None:
                return found.call_site
        return None

    @property
    def event_id(self) -> int | None:
        """The event to look at first."""
        for found in (self.divergence, self.failure, *self.drift):
            if found is not None:
                return found.event_id
        return None


@dataclass(frozen=True, slots=True)
class Subject:
    """Which run was replayed."""

    run_key: str
    source: str = ""
    workflow_id: str | None = None
    run_id: str | None = None
    workflow_type: str = ""
    events: int = 0
    started_at: str | None = None
    status: str = ""
    waits_for: str = ""
    """What an open run waits for; "" for a closed one."""
    pinned_to: str | None = None
    """The build that worker versioning keeps the run on: it never meets other code."""

    @property
    def is_open(self) -> bool:
        """Whether the run goes on."""
        return self.status == "Running"


@dataclass(frozen=True, slots=True)
class Checked:
    """A run and what its replay says."""

    subject: Subject
    verdict: Verdict
    base: Word | None = None
    """What the code before the change says, where both were asked."""
    known: bool = False
    """The finding was there before: the base has it too, or the baseline lists it."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Equal findings of many runs: people mend causes, not runs."""

    id: str
    verdict: Word
    runs: int
    message: str
    call_site: CallSite | None
    example: str
    """The run key of one of them."""
    fingerprint: str = ""
    """The cause without lines and files: it stays the same while the code around it moves."""
    known: int = 0
    """How many of the runs had the finding before."""
    pinned: int = 0
    """How many of the others are pinned to their build."""
    timeline: Timeline | None = None
    """Of the example."""


@dataclass(frozen=True, slots=True)
class CodeInfo:
    """Which code was replayed."""

    modules: tuple[str, ...] = ()
    fingerprint: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    """The user's modules that are loaded, by name. This and what follows is never in the JSON."""
    types: Mapping[str, str] = field(default_factory=dict)
    """Workflow types, and the modules that their classes stand in; "" is the dynamic workflow."""
    roots: tuple[str, ...] = ()
    """The folders that the code lives in."""
    loading: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Lines of functions that ran while the code was loaded, by file, where that was watched."""
    read: tuple[str, ...] = ()
    """Files that were opened meanwhile."""


@dataclass(frozen=True, slots=True)
class Base:
    """The code before the change."""

    ref: str
    commit: str
    trouble: str = ""
    """Why it could not be asked; then every finding is new."""
    left_out: int = 0
    """Runs that were not replayed after it, as nothing that they come by has changed."""


@dataclass(frozen=True, slots=True)
class Shard:
    """A share of the runs, chosen by their keys, so that a run is always in the same one."""

    number: int
    of: int
    all_runs: int = 0
    """How many there are in all the shares together."""

    def has(self, run_key: str) -> bool:
        """Whether a run is in this share."""
        return int(hashlib.sha256(run_key.encode()).hexdigest()[:12], 16) % self.of == self.number - 1


@dataclass(frozen=True, slots=True)
class Report:
    """All that one `check` found, in an order that does not depend on timing."""

    code: CodeInfo
    runs: Sequence[Checked]
    causes: Sequence[Cause] = ()
    seconds: float = 0.0
    complete: bool = True
    """False when it was interrupted: what is known so far."""
    failing: frozenset[Word] = FAILING
    include_pinned: bool = False
    base: Base | None = None
    shard: Shard | None = None

    def fails(self, one: Checked) -> bool:
        """Whether this run makes the check fail. Drift that the configuration calls an error does so by itself."""
        if one.known or self.is_apart(one):
            return False
        return one.verdict.verdict in self.failing or any(drift.level == "error" for drift in one.verdict.drift)

    def repaired(self) -> list[Checked]:
        """The runs that failed with the code before the change, and do not with the code after it."""
        return [one for one in self.runs if one.base in self.failing and one.verdict.verdict not in self.failing]

    def is_apart(self, one: Checked) -> bool:
        """Whether the run is counted apart: it will never meet this code."""
        return one.subject.pinned_to is not None and not self.include_pinned

    def blast_radius(self) -> BlastRadius:
        """How many runs the change breaks, and which."""
        stands = [
            Stand(
                one.subject.workflow_type,
                one.subject.waits_for,
                one.subject.is_open,
                one.verdict.verdict != "unverified" and self.fails(one),
                self.is_apart(one),
            )
            for one in self.runs
        ]
        return blast_radius(stands, sum(self._breaks(cause) for cause in self.causes))

    def _breaks(self, cause: Cause) -> bool:
        apart = 0 if self.include_pinned else cause.pinned
        return cause.verdict != "unverified" and cause.verdict in self.failing and cause.runs > cause.known + apart

    def summary(self) -> dict[str, Any]:
        """How many runs have which verdict."""
        counts = Counter(one.verdict.verdict for one in self.runs)
        return {
            "runs": len(self.runs),
            **{word: counts[word] for word in WORDS},
            "seconds": round(self.seconds, 3),
            "events": sum(one.subject.events for one in self.runs),
        }


def as_json(value: Report | Checked | Verdict | Any, version: str = "") -> Any:
    """Plain data for the JSON report, whichever of the values above it is."""
    if isinstance(value, Report):
        return {
            "schema": SCHEMA,
            "tool": {"name": "replaytool", "version": version},
            "code": {"modules": list(value.code.modules), "fingerprint": value.code.fingerprint},
            "complete": value.complete,
            "failing": [word for word in WORDS if word in value.failing],
            "include_pinned": value.include_pinned,
            "base": _plain(value.base),
            "shard": _plain(value.shard),
            "summary": value.summary(),
            "blast_radius": _plain(value.blast_radius()),
            "causes": [_plain(cause) for cause in value.causes],
            "repaired": [one.subject.run_key for one in value.repaired()],
            "runs": [as_json(one) for one in value.runs],
        }
    if isinstance(value, Checked):
        return {
            **_plain(value.subject), **as_json(value.verdict), "base": value.base, "known": value.known
        }  # fmt: skip
    plain = _plain(value)
    if isinstance(value, Verdict):
        plain.pop("steps")
        plain["seconds"] = round(value.seconds, 6)
    return plain


def verdict_from_json(plain: Mapping[str, Any]) -> Verdict:
    """The verdict that `as_json` wrote; what else stands beside it is passed over."""
    return msgspec.convert(dict(plain), Verdict)


def report_from_json(plain: Mapping[str, Any]) -> Report:
    """The report that `as_json` wrote; raises msgspec.ValidationError where it is none."""
    runs = [
        Checked(msgspec.convert(one, Subject), verdict_from_json(one), one.get("base"), one.get("known", False))
        for one in msgspec.convert(plain["runs"], list[dict[str, Any]])
    ]
    return Report(
        msgspec.convert(plain["code"], CodeInfo),
        runs,
        msgspec.convert(plain["causes"], tuple[Cause, ...]),
        msgspec.convert(plain["summary"], dict[str, float])["seconds"],
        plain["complete"],
        msgspec.convert(plain.get("failing", FAILING), frozenset[Word]),
        plain.get("include_pinned", False),
        msgspec.convert(plain.get("base"), Base | None),
        msgspec.convert(plain.get("shard"), Shard | None),
    )


def _plain(value: Any) -> Any:
    return msgspec.to_builtins(value, enc_hook=repr, str_keys=True)
