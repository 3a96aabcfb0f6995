"""A reset plan: which runs are reset, to which event, and with what effects.

The JSON is a contract. Its order is stable, so that two plans can be compared line by line. It carries a hash of its
own content: an edited plan is refused, because its effects would no longer be true.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import msgspec

from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.model.token_usage import Table, add_usage_tables
from replaytool.text import escape_controls

SCHEMA = 1
Level = Literal["block", "warn", "note"]
BLOCK: Level = "block"
WARN: Level = "warn"
NOTE: Level = "note"
TOKEN = "replaytool"
_MAKE_AGAIN = "make a new plan with `replaytool reset plan`"


@dataclass(frozen=True, slots=True)
class ResetPoint:
    """The event that a run is reset to. This event and all later ones are undone."""

    event_id: int
    """The event that completes a workflow task: the server accepts a reset to it in every case."""
    build_id: str | None
    """The build that completed this task."""
    rule: str
    """The reason for this point, in words."""
    ordinal: int | None = None
    """Which of the build's takeovers of this run this is, from 1; None if the rule is not about builds."""
    at: str | None = None


@dataclass(frozen=True, slots=True)
class PlanWarning:
    """An effect of a reset that the user may not expect."""

    code: str
    level: Level
    message: str


@dataclass(frozen=True, slots=True)
class RepeatedChild:
    """A child workflow that the reset run would start a second time."""

    workflow_id: str
    workflow_type: str
    random_id: bool
    state: str
    """Running, Completed, …, as far as the loaded histories know."""


@dataclass(frozen=True, slots=True)
class SkippedWorkflow:
    """A selected workflow that is not in the plan, and why."""

    workflow_id: str | None
    run_id: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class ResetItem:
    """One workflow: the run to reset, the point, and the effects."""

    id: str
    workflow_id: str
    run_id: str
    """The base: the run that is forked."""
    run_key: str
    workflow_type: str
    task_queue: str | None
    status: str
    events: int
    """The length of the history when the plan was made."""
    current_run_id: str
    """The workflow's newest run at that time: the base, or a later run of its chain."""
    current_events: int
    point: ResetPoint
    undone_events: int
    undone_runs: list[str]
    """Later runs of the chain. A reset undoes them completely."""
    reapplied: dict[str, int]
    repeats: dict[str, int]
    """Activities that ran and will be re-executed, by type."""
    repeats_local: dict[str, int]
    pending_activities: dict[str, int]
    """Activities that were pending when the history was taken. Nobody knows whether they have run."""
    updates_may_change: list[str]
    children_again: list[RepeatedChild]
    warnings: list[PlanWarning]
    included: bool
    """Whether `apply` resets it: no warning blocks it, or it was named."""
    server: dict[str, Any] | None = None
    """What the server answered (--address)."""
    prefix_verdict: str | None = None
    simulation: dict[str, Any] | None = None
    repeats_inputs: dict[str, dict[str, int]] | None = None
    """By type, how many re-executed activities get the recorded input and how many a changed one (simulated)."""
    repeats_usage: Table = field(default_factory=dict)
    engine: str = "temporal"
    """Plans of earlier versions do not name it, and are all for this one."""
    """Tokens that these activities spent, by type and model, as far as recorded results tell."""

    def blocks(self) -> set[str]:
        """Return the codes of the warnings that exclude it."""
        return {warning.code for warning in self.warnings if warning.level == BLOCK}


@dataclass(frozen=True, slots=True)
class ResetPlan:
    """A reset plan with all its items."""

    namespace: str | None
    rule: dict[str, object]
    created_at: str
    totals: dict[str, Any]
    items: list[ResetItem]
    skipped: list[SkippedWorkflow] = field(default_factory=list)
    warnings: list[PlanWarning] = field(default_factory=list)
    """Warnings about all items, such as workers that still poll their queues."""
    code: dict[str, Any] | None = None
    tool: dict[str, object] = field(default_factory=dict)
    schema: int = SCHEMA
    sha256: str = ""

    @property
    def plan_id(self) -> str:
        """Return a short name for the plan, which goes into the reason of each reset."""
        return self.sha256[:12]

    def reset_token(self, item: ResetItem) -> str:
        """Return the text that identifies this reset in histories. The server stores no other text of ours."""
        return f"{TOKEN}:{self.plan_id}:{item.id}"

    def bad_builds(self) -> frozenset[str]:
        """Return the builds that must not get the workflows again."""
        return frozenset({str(self.rule["build"])} if "build" in self.rule else ())


INTENDED, DONE, FAILED, REFUSED, LOST = "intended", "done", "failed", "refused", "lost"
NOT_CALLED = "not called"
"""States of an item, in the order of the constants: about to be reset; reset; the server refused; not called, because
the workflow is no longer as planned; called, but the answer is lost and no reset was found; stopped before the call."""


@dataclass(frozen=True, slots=True)
class ItemOutcome:
    """The newest ledger entry of an item."""

    item_id: str
    workflow_id: str
    run_id: str
    event_id: int
    state: str
    attempt: int = 0
    new_run_id: str | None = None
    message: str | None = None
    at: str | None = None


def make_item_id(namespace: str | None, workflow_id: str, run_id: str, event_id: int) -> str:
    """Return the item's id; the same reset has the same id in every plan."""
    text = json.dumps([namespace, workflow_id, run_id, event_id])
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def sum_totals(items: list[ResetItem]) -> dict[str, Any]:
    """Return sums over the items that `apply` resets, and how many are blocked."""
    taken = [item for item in items if item.included]
    usage = add_usage_tables(item.repeats_usage for item in taken)
    return {
        "items": len(items),
        "blocked": len(items) - len(taken),
        "repeats": add_counts(item.repeats for item in taken),
        "signals": sum(item.reapplied.get("signals", 0) for item in taken),
        "updates": sum(item.reapplied.get("updates", 0) for item in taken),
        **({"repeats_usage": usage} if usage else {}),
    }


def add_counts(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Add up counts by name; return them sorted by name."""
    total: dict[str, int] = {}
    for one in counts:
        for name, count in one.items():
            total[name] = total.get(name, 0) + count
    return dict(sorted(total.items()))


def seal_plan(plan: ResetPlan) -> ResetPlan:
    """Return the plan with its hash."""
    return replace(plan, sha256=_digest_plan(_plan_to_object(plan)))


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


def plan_to_text(plan: ResetPlan) -> str:
    """Return the plan as its file holds it: one value a line, in ASCII, so that a review sees every character."""
    found = _plan_to_object(plan)
    return json.dumps({name: found[name] for name in _ORDER}, indent=1) + "\n"


def plan_from_text(text: str, name: str = "the plan") -> ResetPlan:
    """Parse a plan; refuse an edited one and one of another schema."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ReplaytoolError(
            f"{escape_controls(name)} is not a plan: it is not JSON ({error})",
            _MAKE_AGAIN,
            code=ErrorCode.RESET_PLAN_INVALID,
        ) from error
    if not isinstance(found, dict) or "items" not in found or "schema" not in found:
        raise ReplaytoolError(
            f"{escape_controls(name)} is not a plan of replaytool",
            "`replaytool reset plan -o FILE` writes one",
            code=ErrorCode.RESET_PLAN_INVALID,
        )
    if found["schema"] != SCHEMA:
        raise ReplaytoolError(
            f"{escape_controls(name)} is a plan of schema {escape_controls(str(found['schema']))}; "
            f"this replaytool reads {SCHEMA}",
            _MAKE_AGAIN,
            code=ErrorCode.RESET_PLAN_SCHEMA,
        )
    if found.get("sha256") != _digest_plan(found):
        raise ReplaytoolError(
            f"{escape_controls(name)} was edited: its hash does not match",
            _MAKE_AGAIN,
            code=ErrorCode.RESET_PLAN_EDITED,
        )
    try:
        return msgspec.convert(found, ResetPlan)
    except msgspec.ValidationError as error:
        raise ReplaytoolError(
            f"{escape_controls(name)} is not a plan of this version: {error}",
            _MAKE_AGAIN,
            code=ErrorCode.RESET_PLAN_INVALID,
        ) from error


def read_plan(path: Path) -> ResetPlan:
    """Read the plan in a file."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ReplaytoolError(
            f"cannot read the plan {path}: {error}",
            "`replaytool reset plan -o FILE`",
            code=ErrorCode.RESET_PLAN_UNREADABLE,
        ) from error
    return plan_from_text(text, str(path))


def _plan_to_object(plan: ResetPlan) -> dict[str, object]:
    found: dict[str, object] = msgspec.to_builtins(plan)
    return found


def _digest_plan(found: Mapping[str, object]) -> str:
    """Return a digest of the content: formatting may change, values may not."""
    content = {name: value for name, value in found.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
