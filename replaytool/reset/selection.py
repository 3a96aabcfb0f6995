"""Which workflows a plan is about, and their loaded runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from replaytool.engines import engine_of, require_part
from replaytool.errors import NOTHING, ErrorCode, ReplaytoolError
from replaytool.model.history import Event
from replaytool.model.run_facts import RunFacts
from replaytool.store import Store

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
    conditions, parameters = ["true"], []
    if choice.build is not None:
        conditions.append("run_key IN (SELECT run_key FROM events WHERE build_id = ?)")
        parameters.append(choice.build)
    if choice.namespace is not None:
        conditions.append("coalesce(namespace, ?) = ?")
        parameters += [choice.namespace, choice.namespace]
    for ids, sense in ((choice.ids, ""), (choice.skip or None, "NOT ")):
        if ids is not None:
            names = "list_contains(?, run_key) OR list_contains(?, workflow_id) OR list_contains(?, run_id)"
            conditions.append(f"{sense}coalesce({names}, false)")
            parameters += [list(ids)] * 3  # type: ignore[list-item]
    if choice.only is not None:
        conditions.append("list_contains(?, run_key)")
        parameters.append(sorted(choice.only))  # type: ignore[arg-type]
    if choice.where:
        conditions.append(f"({choice.where}\n)")
    return [row.values for row in store.list_runs(" AND ".join(conditions), parameters)]


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
    found = store.list_runs("run_id IS NOT NULL AND list_contains(?, workflow_id)", [ids])
    return [row.values for row in found if row.namespace in spaces and row.engine in engines]


def _read_records(store: Store, rows: Sequence[dict[str, Any]]) -> Iterator[RunFacts]:
    by_key = {row["run_key"]: row for row in rows}
    problems = _problem_codes_by_run(store)
    engine = engine_of(_single_engine(rows)) if rows else None
    if engine is None:
        return
    model = require_part(engine, engine.reset_model(), "reset")
    # A reset depends on nothing in these events, so they are not parsed.
    silent = ", ".join(f"'{name}'" for name in (*model.silent_events, ""))
    ordered = sorted(by_key)
    for keys in (ordered[start : start + _AT_ONCE] for start in range(0, len(ordered), _AT_ONCE)):
        found = store.query_rows(
            "SELECT run_key, event_id, event_type, strftime(event_time, '%Y-%m-%dT%H:%M:%S.%fZ') AS at, build_id, "
            f"CASE WHEN event_type NOT IN ({silent}) THEN CAST(raw AS VARCHAR) ELSE '{{}}' END AS raw "
            "FROM events WHERE run_key IN (SELECT unnest(?)) ORDER BY run_key, event_id",
            [keys],
        )
        for key, events in groupby(found, lambda one: str(one["run_key"])):
            yield model.read_facts(by_key[key], map(_event_from_row, events), problems.get(key, ()))


def _single_engine(rows: Sequence[dict[str, Any]]) -> str:
    found = sorted({row["engine"] for row in rows})
    if len(found) > 1:
        raise ReplaytoolError(
            f"the chosen runs are of several engines: {', '.join(found)}",
            'a plan is for one: add --where "engine = …"',
            code=ErrorCode.RESET_NAMESPACES,
        )
    name: str = found[0]
    return name


def _event_from_row(row: dict[str, Any]) -> Event:
    return Event(row["event_id"], row["event_type"], row["at"], row["build_id"], row["raw"].encode())


def _problem_codes_by_run(store: Store) -> dict[str, tuple[str, ...]]:
    found = store.query_rows(
        "SELECT run_key, list(DISTINCT code ORDER BY code) AS codes FROM problems GROUP BY run_key"
    )
    return {row["run_key"]: tuple(row["codes"]) for row in found}


def find_loaded_children(store: Store, workflow_ids: Sequence[str]) -> dict[str, tuple[str | None, str]]:
    """Return run id and status of the newest loaded run of each workflow id."""
    found = store.query_rows(
        "SELECT workflow_id, arg_max(run_id, started_at) AS run_id, arg_max(status, started_at) AS status FROM runs "
        "WHERE list_contains(?, workflow_id) GROUP BY workflow_id",
        [list(workflow_ids)],
    )
    return {row["workflow_id"]: (row["run_id"], row["status"]) for row in found}


def nothing_selected_error() -> ReplaytoolError:
    """Return the error for a selection without runs."""
    return ReplaytoolError(
        "no loaded run matches the choice",
        "`replaytool builds` and `replaytool runs` list what is loaded; `replaytool pull` fetches more",
        NOTHING,
        code=ErrorCode.RESET_NO_RUN,
    )
