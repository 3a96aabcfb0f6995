"""Which workflows a plan is about, and their loaded runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from replaytool.errors import NOTHING, ErrorCode, ReplaytoolError
from replaytool.model.run_facts import RunFacts
from replaytool.reset.engine_jobs import find_reset_model
from replaytool.store import RunFilter, Store, filter_runs

_AT_ONCE = 400


@dataclass(frozen=True, slots=True)
class RunSelection:
    """What the user selected."""

    build: str | None = None
    where: str | None = None
    ids: tuple[str, ...] | None = None
    """Workflow ids, run ids or run keys; None if none were given."""
    skip: tuple[str, ...] = ()
    namespace: str | None = None
    only: frozenset[str] | None = None
    """Run keys that a replay has found; None if none was asked."""


@dataclass(frozen=True, slots=True)
class SelectedRuns:
    """The runs of the selected workflows."""

    namespace: str | None
    records: tuple[RunFacts, ...]
    matched: frozenset[str]
    """Keys of the runs that match the selection. The other runs belong to the same workflows."""
    named: frozenset[str]
    """Keys of runs that were named by run id or key."""
    unknown: tuple[str, ...]
    """Ids that no loaded run has."""
    nameless: tuple[Any, ...]
    """Rows of matching runs whose record does not name their workflow."""


def select_runs(store: Store, choice: RunSelection) -> SelectedRuns:
    """Return all runs of each workflow that has a matching run."""
    rows = _find_matching_rows(store, choice)
    unknown = _ids_without_row(rows, choice.ids or ())
    known = [row for row in rows if row["workflow_id"] and row["run_id"]]
    nameless = tuple(row for row in rows if not (row["workflow_id"] and row["run_id"]))
    whole = _add_other_runs(store, known)
    return SelectedRuns(
        namespace=choice.namespace or _single_namespace(known),
        records=tuple(_read_records(store, whole)),
        matched=frozenset(row["run_key"] for row in known),
        named=frozenset(row["run_key"] for row in known if {row["run_key"], row["run_id"]} & set(choice.ids or ())),
        unknown=unknown,
        nameless=nameless,
    )


def find_unknown_ids(store: Store, ids: Sequence[str]) -> tuple[str, ...]:
    """Return which of these ids no loaded run has."""
    return _ids_without_row(_find_matching_rows(store, RunSelection(ids=tuple(ids))), ids)


def _find_matching_rows(store: Store, choice: RunSelection) -> list[dict[str, Any]]:
    conditions: dict[str, str | Sequence[str] | None] = {
        "build": choice.build,
        "namespace": choice.namespace,
        "ids": choice.ids,
        "except_ids": choice.skip or None,
        "run_keys": None if choice.only is None else sorted(choice.only),
    }
    wanted = [(name, value) for name, value in conditions.items() if value is not None]
    return [row.values for row in store.list_runs(RunFilter(wanted, choice.where))]


def _ids_without_row(rows: Sequence[dict[str, Any]], ids: Sequence[str]) -> tuple[str, ...]:
    found = {row[name] for row in rows for name in ("run_key", "workflow_id", "run_id")}
    return tuple(one for one in dict.fromkeys(ids) if one not in found)


def _single_namespace(rows: Sequence[dict[str, Any]]) -> str | None:
    found = sorted({row["namespace"] for row in rows if row["namespace"]})
    if len(found) > 1:
        raise ReplaytoolError(
            f"the chosen runs are from several namespaces: {', '.join(found)}",
            "a plan covers one namespace: add --namespace NAME",
            code=ErrorCode.RESET_NAMESPACES,
        )
    return found[0] if found else None


def _add_other_runs(store: Store, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return every run of these workflows: continue-as-new and resets decide which of them is the base."""
    ids = sorted({row["workflow_id"] for row in rows})
    spaces = {row["namespace"] for row in rows} | {None}
    engines = {row["engine"] for row in rows}
    found = store.list_runs(filter_runs(workflow_ids=ids))
    return [row.values for row in found if row.namespace in spaces and row.engine in engines]


def _read_records(store: Store, rows: Sequence[dict[str, Any]]) -> Iterator[RunFacts]:
    by_key = {row["run_key"]: row for row in rows}
    problems = store.read_problem_codes()
    model = find_reset_model(row["engine"] for row in rows)
    if model is None:
        return
    ordered = sorted(by_key)
    for keys in (ordered[start : start + _AT_ONCE] for start in range(0, len(ordered), _AT_ONCE)):
        # A reset depends on nothing in the silent events, so they are not parsed.
        for key, events in store.read_events_of_runs(keys, model.silent_events):
            yield model.read_facts(by_key[key], events, problems.get(key, ()))


def nothing_selected_error() -> ReplaytoolError:
    """Return the error for a selection without runs."""
    return ReplaytoolError(
        "no loaded run matches the choice",
        "`replaytool builds` and `replaytool runs` list what is loaded; `replaytool pull` fetches more",
        NOTHING,
        code=ErrorCode.RESET_NO_RUN,
    )
