"""A reset plan: what will be reset, to where, and what that does. Written to be read, reviewed and applied unchanged.

The JSON is a contract. Its order is stable, so that two plans can be compared line by line, and it carries a hash
of its own content: whoever edits a plan has to make it again, for what it says about effects would not be true.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import msgspec

from replaytool.errors import ReplaytoolError
from replaytool.model.token_usage import Table, added
from replaytool.text import visible

SCHEMA = 1
Level = Literal["block", "warn", "note"]
BLOCK: Level = "block"
WARN: Level = "warn"
NOTE: Level = "note"
TOKEN = "replaytool"
_MAKE_AGAIN = "make it again with `replaytool reset plan`; it takes seconds"


@dataclass(frozen=True, slots=True)
class Point:
    """Where a run is reset to: this event and all behind it are undone."""

    event_id: int
    """Of a WorkflowTaskCompleted, which the server accepts in every case."""
    build_id: str | None
    """The build that completed this task."""
    rule: str
    """Why here, in words."""
    ordinal: int | None = None
    """The how-manieth time that the build came to this run; None where the rule is not about builds."""
    at: str | None = None


@dataclass(frozen=True, slots=True)
class PlanWarning:
    """What a reset would do that a person may not expect."""

    code: str
    level: Level
    message: str


@dataclass(frozen=True, slots=True)
class ChildAgain:
    """A child that the reset run would start a second time."""

    workflow_id: str
    workflow_type: str
    random_id: bool
    state: str
    """Running, Completed, …, as far as the loaded histories know."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A workflow that was chosen and is not in the plan, and why."""

    workflow_id: str | None
    run_id: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class ResetItem:
    """One workflow: the run to reset, the point, and what follows from it."""

    id: str
    workflow_id: str
    run_id: str
    """The base: the run that is forked."""
    run_key: str
    workflow_type: str
    task_queue: str | None
    status: str
    events: int
    """How long the history was when the plan was made."""
    current_run_id: str
    """The workflow's newest run then: the base, or a later one of its chain."""
    current_events: int
    point: Point
    undone_events: int
    undone_runs: list[str]
    """Later runs of the chain, which are undone as a whole."""
    reapplied: dict[str, int]
    repeats: dict[str, int]
    """Activities that ran and run again, by type."""
    repeats_local: dict[str, int]
    pending_activities: dict[str, int]
    """Activities that were under way when the history was taken: nobody knows whether they have run."""
    updates_may_change: list[str]
    children_again: list[ChildAgain]
    warnings: list[PlanWarning]
    included: bool
    """Whether `apply` resets it: nothing blocks it, or it was named."""
    server: dict[str, Any] | None = None
    """What the server said when it was asked (--address)."""
    prefix_verdict: str | None = None
    simulation: dict[str, Any] | None = None
    repeats_inputs: dict[str, dict[str, int]] | None = None
    """By type, how many have the same input as recorded and how many a changed one; only simulating tells."""
    repeats_usage: Table = field(default_factory=dict)
    """Tokens that language models spent in these activities, by type and model, as far as recorded results tell."""

    def blocks(self) -> set[str]:
        """The codes of the warnings that keep it out."""
        return {warning.code for warning in self.warnings if warning.level == BLOCK}


@dataclass(frozen=True, slots=True)
class ResetPlan:
    """All of it."""

    namespace: str | None
    rule: dict[str, Any]
    created_at: str
    totals: dict[str, Any]
    items: list[ResetItem]
    skipped: list[Skipped] = field(default_factory=list)
    warnings: list[PlanWarning] = field(default_factory=list)
    """About all items: who polls their queues."""
    code: dict[str, Any] | None = None
    tool: dict[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA
    sha256: str = ""

    @property
    def id(self) -> str:
        """A short name for the plan, which goes into the reason of each reset."""
        return self.sha256[:12]

    def token(self, item: ResetItem) -> str:
        """What identifies a reset of this plan in the histories: the only text of ours that a server keeps."""
        return f"{TOKEN}:{self.id}:{item.id}"

    def bad_builds(self) -> frozenset[str]:
        """The builds that must not get the workflows again."""
        return frozenset({str(self.rule["build"])} if "build" in self.rule else ())


INTENDED, DONE, FAILED, REFUSED, LOST = "intended", "done", "failed", "refused", "lost"
NOT_CALLED = "not called"
"""What an item's newest entry in the ledger says: about to be reset; reset; the server said no; not asked for, because
the workflow is no longer what was planned; asked for without an answer that anybody could find; or
stopped just before the call."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where an item stands: the newest entry of the ledger about it."""

    item_id: str
    workflow_id: str
    run_id: str
    event_id: int
    state: str
    attempt: int = 0
    new_run_id: str | None = None
    message: str | None = None
    at: str | None = None


def item_id(namespace: str | None, workflow_id: str, run_id: str, event_id: int) -> str:
    """The same reset has the same id in every plan."""
    text = json.dumps([namespace, workflow_id, run_id, event_id])
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def totals(items: list[ResetItem]) -> dict[str, Any]:
    """Sums over what will be applied; how many are kept out is told beside them."""
    taken = [item for item in items if item.included]
    usage = added(item.repeats_usage for item in taken)
    return {
        "items": len(items),
        "blocked": len(items) - len(taken),
        "repeats": summed(item.repeats for item in taken),
        "signals": sum(item.reapplied.get("signals", 0) for item in taken),
        "updates": sum(item.reapplied.get("updates", 0) for item in taken),
        **({"repeats_usage": usage} if usage else {}),
    }


def summed(counts: Any) -> dict[str, int]:
    """Counts by name, added up, in order of the names."""
    total: dict[str, int] = {}
    for one in counts:
        for name, count in one.items():
            total[name] = total.get(name, 0) + count
    return dict(sorted(total.items()))


def sealed(plan: ResetPlan) -> ResetPlan:
    """The plan with its hash."""
    return replace(plan, sha256=_digest(_as_object(plan)))


_ORDER = (
    "schema",
    "tool",
    "namespace",
    "rule",
    "created_at",
    "code",
    "sha256",
    "totals",
    "warnings",
    "skipped",
    "items",
)


def dumps(plan: ResetPlan) -> str:
    """The plan as a file holds it: one line for each value, ASCII, so that nothing hides in a review."""
    found = _as_object(plan)
    return json.dumps({name: found[name] for name in _ORDER}, indent=1) + "\n"


def loads(text: str, name: str = "the plan") -> ResetPlan:
    """A plan as it was written; an edited one, or one that nobody understands, is refused."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ReplaytoolError(f"{visible(name)} is no plan: it is not JSON ({error})", _MAKE_AGAIN) from error
    if not isinstance(found, dict) or "items" not in found or "schema" not in found:
        raise ReplaytoolError(f"{visible(name)} is no plan of replaytool", "`replaytool reset plan -o FILE` writes one")
    if found["schema"] != SCHEMA:
        raise ReplaytoolError(
            f"{visible(name)} is a plan of schema {visible(str(found['schema']))}; this replaytool reads {SCHEMA}",
            _MAKE_AGAIN,
        )
    if found.get("sha256") != _digest(found):
        raise ReplaytoolError(f"{visible(name)} was edited: its content does not have its hash", _MAKE_AGAIN)
    try:
        return msgspec.convert(found, ResetPlan)
    except msgspec.ValidationError as error:
        raise ReplaytoolError(f"{visible(name)} is no plan of this version: {error}", _MAKE_AGAIN) from error


def read(path: Path) -> ResetPlan:
    """The plan in a file."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ReplaytoolError(f"cannot read the plan {path}: {error}", "`replaytool reset plan -o FILE`") from error
    return loads(text, str(path))


def _as_object(plan: ResetPlan) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(plan)
    return found


def _digest(found: Mapping[str, Any]) -> str:
    """Of the content and not of the spelling: a formatter may touch the file, a person may not."""
    content = {name: value for name, value in found.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
