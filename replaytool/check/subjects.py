"""What a report says about each run besides its verdict: what it waits for, and which build it is pinned to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from replaytool.engines import engine_names, engine_of
from replaytool.model.recorded_step import ACTIVITY_KINDS
from replaytool.model.verdict import Subject
from replaytool.store import OpenStep, RunRow, Store

_MOST_WAITS = 3
_IDLE = "a signal, an update or a condition"
_UNNAMED = {"timer": "a timer", "wait": "a timer", "workflow task": "a workflow task"}


def load_subjects(store: Store, rows: Sequence[RunRow]) -> dict[str, Subject]:
    """Return a `Subject` for each run, by run key."""
    if not rows:
        return {}
    # A closed run waits for nothing, even if activities are open where its history ends.
    waits = _load_waits(store, [row.run_key for row in rows if row.status == "Running"])
    pins = _load_pinned_builds(store, rows)
    return {row.run_key: _build_subject(row, waits.get(row.run_key, ""), pins.get(row.run_key)) for row in rows}


def _build_subject(row: RunRow, waits_for: str, pinned_to: str | None) -> Subject:
    return Subject(
        row.run_key, row.source, row.workflow_id, row.run_id, row.workflow_type, row.event_count,
        f"{row.started_at.isoformat(timespec='microseconds')}Z" if row.started_at else None,
        row.status, waits_for, pinned_to,
    )  # fmt: skip


def _load_waits(store: Store, run_keys: Sequence[str]) -> dict[str, str]:
    found: dict[str, set[str]] = {key: set() for key in run_keys}
    for step in store.list_open_steps(run_keys):
        found[step.run_key].add(_name_step(step))
    return {key: _describe_waits(sorted(names)) for key, names in found.items()}


def _name_step(step: OpenStep) -> str:
    kind = "activity" if step.kind in ACTIVITY_KINDS else step.kind
    return _UNNAMED.get(kind) or f"{kind} {step.name or ''}".rstrip()


def _describe_waits(names: Sequence[str]) -> str:
    """Name at most three waits: a run that waits for more would get a group of its own anyway."""
    more = " and more" if len(names) > _MOST_WAITS else ""
    return " and ".join(names[:_MOST_WAITS]) + more if names else _IDLE


def _load_pinned_builds(store: Store, rows: Sequence[RunRow]) -> dict[str, str]:
    keys: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        keys[row.engine].append(row.run_key)
    found = {}
    for name in keys.keys() & set(engine_names()):
        engine = engine_of(name)
        for key, facts in store.read_pin_facts(name, keys[name]).items():
            if (build := engine.find_pinned_build(facts)) is not None:
                found[key] = build
    return found
