"""The values that every replay yields: frozen, without a word of any engine, and JSON both ways."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from replaytool.model.blast_radius import BlastRadius, RunImpact, measure_blast_radius
from replaytool.model.check_origin import CheckOrigin, ExitStatus
from replaytool.model.guilty import GuiltySearch
from replaytool.model.run_chart import RunChart

SCHEMA = 1
Word = Literal["ok", "drift", "diverged", "failed", "unverified", "crashed"]
WORDS: tuple[Word, ...] = ("ok", "drift", "diverged", "failed", "unverified", "crashed")
EditWord = Literal["inserted", "removed", "moved", "renamed", "replaced", "other"]
"""What an edit did to a step. "other": it became a step of another kind, or nobody knows."""
FAILING: frozenset[Word] = frozenset({"diverged", "failed", "unverified", "crashed"})
"""The verdicts that make a check fail by default."""
ADDED_COMMAND = "command"
"""The path of a drift that is a command which no event records."""
STILL_FAILS = "still fails"
WOULD_PROCEED = "would proceed"
UNSTABLE = "unstable"
"""The beginning of the reason if several replays of one run disagree."""


@dataclass(frozen=True, slots=True)
class CallSite:
    """A line of user code, and its callers, innermost first."""

    file: str
    line: int
    function: str
    chain: tuple[CallSite, ...] = ()


@dataclass(frozen=True, slots=True)
class Command:
    """What the code asked the engine for: the produced half of a comparison."""

    kind: str
    """The same word for every engine: activity, timer, child_workflow, complete, …"""
    name: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    """By the record's field names. Values are plain data, or `Payload` as long as nobody has decoded them."""
    call_site: CallSite | None = None


@dataclass(frozen=True, slots=True)
class ExpectedEvent:
    """What the record holds: the recorded half of a comparison."""

    event_id: int
    event_type: str
    kind: str
    name: str
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MatchedPair:
    """A command and the event that recorded it."""

    expected: ExpectedEvent
    actual: Command


@dataclass(frozen=True, slots=True)
class ActivationJob:
    """A job of an activation: start, timer fired, activity resolved, signal, and so on."""

    kind: str
    name: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReplayStep:
    """One activation of the code: its jobs, the commands it issued, and the events that matched them."""

    event_id: int
    """The code knew the record up to and including this event."""
    jobs: tuple[ActivationJob, ...] = ()
    commands: tuple[Command, ...] = ()
    matched: tuple[MatchedPair, ...] = ()
    replaying: bool = True
    """False after the last completed task: what the code does there is new and is compared with nothing."""
    time: str | None = None
    state: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first place where code and record disagree."""

    event_id: int
    expected: ExpectedEvent | None
    """None: the record has no event here, and the code issued a command."""
    actual: Command | None
    """None: the record has an event here, and the code issued no command."""
    differing: tuple[str, ...] = ()
    """The fields that differ, if both are of one kind."""
    call_site: CallSite | None = None
    last_matched_event_id: int | None = None
    before: tuple[MatchedPair, ...] = ()
    """Up to five pairs that still matched, the nearest last."""
    advice: str = ""
    edit: EditWord = "other"


@dataclass(frozen=True, slots=True)
class Drift:
    """A difference inside a matched command that the engine itself accepts."""

    event_id: int
    path: str
    recorded: object
    produced: object
    call_site: CallSite | None = None
    level: Literal["error", "warn"] = "warn"


@dataclass(frozen=True, slots=True)
class Hazard:
    """A side effect in workflow code, which a replay would repeat."""

    what: str
    """The audit event or the function: socket.connect, open, time.time."""
    call_site: CallSite | None = None
    detail: str = ""
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception or a deadlock that fails the task on every attempt until the code is fixed."""

    event_id: int
    """The first event that the task should have led to; at the end of the record, the next id."""
    type: str
    message: str
    call_site: CallSite | None = None
    traceback: str = ""
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of one replay of one run."""

    verdict: Word
    reason: str = ""
    engine: str = "sdk"
    confirmed_by: str | None = None
    stuck: str | None = None
    """For a run whose last task failed: STILL_FAILS or WOULD_PROCEED."""
    next: tuple[Command, ...] = ()
    """What the code would issue after the end of an open record."""
    divergence: Divergence | None = None
    further: tuple[Divergence, ...] = ()
    """Mismatches after the first one, if they were asked for."""
    failure: Failure | None = None
    drift: tuple[Drift, ...] = ()
    hazards: tuple[Hazard, ...] = ()
    notes: tuple[str, ...] = ()
    """Facts that do not change the verdict: the record lacks details, the engine hides an error."""
    cannot_see: tuple[str, ...] = ()
    """What the run's record does not hold, so that no change to it is found."""
    seconds: float = 0.0
    steps: tuple[ReplayStep, ...] = ()
    """Filled on request and never in the JSON: a long run has thousands."""

    @property
    def call_site(self) -> CallSite | None:
        """Return the line to look at first."""
        for found in (self.divergence, self.failure, *self.drift):
            if found is not None:
                return found.call_site
        return None

    @property
    def event_id(self) -> int | None:
        """Return the event to look at first."""
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
    """What an open run waits for; "" for a closed run."""
    pinned_to: str | None = None
    """The build that worker versioning keeps the run on: it never meets other code."""

    @property
    def is_open(self) -> bool:
        """Return whether the run is still open."""
        return self.status == "Running"


@dataclass(frozen=True, slots=True)
class CheckedRun:
    """A run and its verdict."""

    subject: Subject
    verdict: Verdict
    base: Word | None = None
    """The verdict with the code before the change, if that was replayed too."""
    known: bool = False
    """The finding is older: it also exists at the base, or the baseline lists it."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Equal findings of many runs. People fix causes, not runs."""

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
    timeline: RunChart | None = None
    """The chart of the example."""


@dataclass(frozen=True, slots=True)
class CodeInfo:
    """Which code was replayed."""

    modules: tuple[str, ...] = ()
    fingerprint: str = ""
    loaded: tuple[str, ...] = ()
    """The files that were loaded, relative to their checkout; `files` in the JSON."""
    files: Mapping[str, str] = field(default_factory=dict)
    """The loaded user modules and their files. This field and all below are never in the JSON."""
    types: Mapping[str, str] = field(default_factory=dict)
    """Workflow types and the modules of their classes; "" is the dynamic workflow."""
    roots: tuple[str, ...] = ()
    """The folders of the code."""
    loading: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Lines of functions that ran while the code was loaded, by file, if that was traced."""
    read: tuple[str, ...] = ()
    """Files that were opened while the code was loaded."""
    not_imported: tuple[str, ...] = ()
    """Files with workflows that could not be imported, and why. In the JSON if there are any."""
    renamed: tuple[str, ...] = ()
    """Loaded files whose imports of their neighbours were rewritten, as another folder has modules of these names."""


@dataclass(frozen=True, slots=True)
class BaseCode:
    """The code before the change."""

    ref: str
    commit: str
    trouble: str = ""
    """Why it could not be replayed. Then every finding is new."""
    left_out: int = 0
    """Runs that were not replayed with it, because no line they reach has changed."""
    files: tuple[str, ...] = ()
    """The files that were loaded, relative to the repository."""


@dataclass(frozen=True, slots=True)
class Shard:
    """A share of the runs, chosen by run key, so that a run is always in the same one."""

    number: int
    of: int
    all_runs: int = 0
    """The number of runs in all shares together."""

    def contains_run(self, run_key: str) -> bool:
        """Return whether the run is in this share."""
        return int(hashlib.sha256(run_key.encode()).hexdigest()[:12], 16) % self.of == self.number - 1


@dataclass(frozen=True, slots=True)
class CheckReport:
    """All that one `check` found, in an order that does not depend on timing."""

    code: CodeInfo
    runs: Sequence[CheckedRun]
    causes: Sequence[Cause] = ()
    seconds: float = 0.0
    complete: bool = True
    """False if the check was interrupted: then this is what was known by then."""
    failing: frozenset[Word] = FAILING
    include_pinned: bool = False
    base: BaseCode | None = None
    shard: Shard | None = None
    guilty: GuiltySearch | None = None
    """The edits of the change that break runs, if they were searched."""
    origin: CheckOrigin = field(default_factory=CheckOrigin)
    exit: ExitStatus | None = None
    """How the command ends. Never in the JSON."""

    def is_failing(self, one: CheckedRun) -> bool:
        """Return whether this run makes the check fail. Drift that the configuration calls an error does so too."""
        if one.known or self.is_counted_apart(one):
            return False
        return one.verdict.verdict in self.failing or any(drift.level == "error" for drift in one.verdict.drift)

    def repaired_runs(self) -> list[CheckedRun]:
        """Return the runs that failed with the code before the change and pass with the code after it."""
        return [one for one in self.runs if one.base in self.failing and one.verdict.verdict not in self.failing]

    def is_counted_apart(self, one: CheckedRun) -> bool:
        """Return whether the run is counted apart, because it will never meet this code."""
        return one.subject.pinned_to is not None and not self.include_pinned

    def count_blast_radius(self) -> BlastRadius:
        """Return how many runs fail with this code, and which."""
        stands = [
            RunImpact(
                one.subject.workflow_type,
                one.subject.waits_for,
                one.subject.is_open,
                one.verdict.verdict != "unverified" and self.is_failing(one),
                self.is_counted_apart(one),
            )
            for one in self.runs
        ]
        return measure_blast_radius(stands, sum(self._is_breaking_cause(cause) for cause in self.causes))

    def blast_radius_sentence(self) -> str:
        """Return the first line of every report. A change breaks only runs whose verdict before it is known."""
        is_compared = self.base is not None and not self.base.trouble
        against_base = is_compared and all(one.base is not None for one in self.runs if self.is_failing(one))
        return self.count_blast_radius().sentence(against_base=against_base)

    def _is_breaking_cause(self, cause: Cause) -> bool:
        apart = 0 if self.include_pinned else cause.pinned
        return cause.verdict != "unverified" and cause.verdict in self.failing and cause.runs > cause.known + apart

    def count_verdicts(self) -> dict[str, Any]:
        """Return how many runs have which verdict."""
        counts = Counter(one.verdict.verdict for one in self.runs)
        return {
            "runs": len(self.runs),
            **{word: counts[word] for word in WORDS},
            "seconds": round(self.seconds, 3),
            "events": sum(one.subject.events for one in self.runs),
        }


def to_report_json(value: object, version: str = "") -> Any:
    """Return plain data for the JSON report."""
    if isinstance(value, CheckReport):
        return {
            "schema": SCHEMA,
            "tool": {"name": "replaytool", "version": version},
            "code": {
                "modules": list(value.code.modules),
                "fingerprint": value.code.fingerprint,
                "files": list(value.code.loaded),
                **({"not_imported": list(value.code.not_imported)} if value.code.not_imported else {}),
            },
            "complete": value.complete,
            "failing": [word for word in WORDS if word in value.failing],
            "include_pinned": value.include_pinned,
            "base": _to_plain_data(value.base),
            "shard": _to_plain_data(value.shard),
            **_guilty_to_json(value.guilty),
            **({"origin": _to_plain_data(value.origin)} if value.origin != CheckOrigin() else {}),
            "summary": value.count_verdicts(),
            "blast_radius": _to_plain_data(value.count_blast_radius()),
            "causes": [_to_plain_data(cause) for cause in value.causes],
            "repaired": [one.subject.run_key for one in value.repaired_runs()],
            "runs": [to_report_json(one) for one in value.runs],
        }
    if isinstance(value, CheckedRun):
        return {
            **_to_plain_data(value.subject), **to_report_json(value.verdict), "base": value.base, "known": value.known
        }  # fmt: skip
    plain = _to_plain_data(value)
    if isinstance(value, Verdict):
        plain.pop("steps")
        plain["seconds"] = round(value.seconds, 6)
    return plain


def _guilty_to_json(found: GuiltySearch | None) -> dict[str, Any]:
    """Return the guilty edits and how they were searched; nothing if nobody asked for them."""
    if found is None:
        return {}
    plain = _to_plain_data(found)
    return {"guilty": plain.pop("found"), "guilty_search": plain}


def _guilty_from_json(plain: Mapping[str, Any]) -> GuiltySearch | None:
    if "guilty" not in plain:
        return None
    return msgspec.convert({**plain.get("guilty_search", {}), "found": plain["guilty"]}, GuiltySearch)


def verdict_from_json(plain: Mapping[str, object]) -> Verdict:
    """Read a verdict that `to_report_json` wrote; other keys are ignored."""
    return msgspec.convert(dict(plain), Verdict)


def report_from_json(plain: Mapping[str, Any]) -> CheckReport:
    """Read a report that `to_report_json` wrote. Raise msgspec.ValidationError if it is none."""
    runs = [
        CheckedRun(msgspec.convert(one, Subject), verdict_from_json(one), one.get("base"), one.get("known", False))
        for one in msgspec.convert(plain["runs"], list[dict[str, Any]])
    ]
    return CheckReport(
        _code_from_json(plain["code"]),
        runs,
        msgspec.convert(plain["causes"], tuple[Cause, ...]),
        msgspec.convert(plain["summary"], dict[str, float])["seconds"],
        plain["complete"],
        msgspec.convert(plain.get("failing", FAILING), frozenset[Word]),
        plain.get("include_pinned", False),
        msgspec.convert(plain.get("base"), BaseCode | None),
        msgspec.convert(plain.get("shard"), Shard | None),
        _guilty_from_json(plain),
        msgspec.convert(plain.get("origin", {}), CheckOrigin),
    )


def _code_from_json(plain: Any) -> CodeInfo:
    """Read the code's part of a report; reports of older releases name no files."""
    kept = {key: value for key, value in msgspec.convert(plain, dict[str, Any]).items() if key != "files"}
    return msgspec.convert({**kept, "loaded": plain.get("files", ())}, CodeInfo)


def _to_plain_data(value: object) -> Any:
    return msgspec.to_builtins(value, enc_hook=repr, str_keys=True)
