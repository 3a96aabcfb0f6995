"""Add runs to the store: each run once, with its longest record."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import msgspec
import pyarrow as pa

from replaytool.model.history import Event, Problem, Run
from replaytool.model.recorded_step import RecordedStep, add_builds
from replaytool.store.arrow import StoredRun, build_table, event_tables, problem_table, run_table, step_table
from replaytool.store.connections import Connection
from replaytool.store.schema import engines_with_views
from replaytool.text import shorten_text

ReadSteps = Callable[[Run], Sequence[RecordedStep]]
NEW, GROWN, SAME, SHORTER = "new", "grown", "same", "shorter"


@dataclass(frozen=True, slots=True)
class AddedRun:
    """What became of one run that was to be added."""

    run_key: str
    outcome: str
    problems: tuple[str, ...] = ()
    """The codes of the problems that only the database finds."""


def add_runs(
    connection: Connection, found: Sequence[tuple[str, Run]], read_steps: ReadSteps | None = None
) -> list[AddedRun]:
    """Add these runs. The caller holds the transaction."""
    keys = [make_run_key(run) for _, run in found]
    known = _RunMerger(connection, keys, read_steps)
    added = [known.place_run(source, run, key) for (source, run), key in zip(found, keys, strict=True)]
    known.drop_superseded()
    stored = list(known.fresh.values())
    _insert_table(connection, "run", run_table(stored))
    for events in event_tables(stored):
        _insert_table(connection, "event", events)
    unreadable = _note_unreadable_times(connection, known.fresh)
    _insert_table(connection, "problem", problem_table(list(known.fresh.values())))
    _insert_table(connection, "run_build", build_table(stored))
    if any(one.steps for one in stored):
        _insert_table(connection, "step", step_table(stored))
    return [
        replace(one, problems=(_NO_TIME,)) if one.run_key in unreadable and one.outcome in (NEW, GROWN) else one
        for one in added
    ]


_NO_TIME, _MOST_NOTES = "no-event-time", 20


def _note_unreadable_times(connection: Connection, fresh: dict[str, StoredRun]) -> set[str]:
    """Add a problem for each time that is text but became NULL. Return the keys of these runs."""
    if not fresh:
        return set()
    keys = {one.id: key for key, one in fresh.items()}
    found = set()
    rows = connection.execute(
        "SELECT run, event_id FROM event WHERE run >= ? AND event_time IS NULL ORDER BY ALL", [min(keys)]
    ).fetchall()
    for run, group in groupby(rows, lambda row: int(row[0])):
        stored = fresh[keys[run]]
        times = {event.event_id: event.event_time for event in stored.run.events}
        problems = tuple(
            Problem(_NO_TIME, f"the time cannot be read: {shorten_text(str(times[event_id]), 40)!r}", event_id)
            for _, event_id in group
            if times[event_id] is not None
        )[:_MOST_NOTES]
        if problems:
            fresh[keys[run]] = replace(stored, run=replace(stored.run, problems=(*stored.run.problems, *problems)))
            found.add(keys[run])
    return found


def make_run_key(run: Run) -> str:
    """Return a short name that the same run gets wherever it is loaded from."""
    identity = run.run_id or f"{run.workflow_id or ''}\n{_first_event_digest(run)}"
    return hashlib.sha256(f"{run.engine}\n{identity}".encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _first_event_digest(run: Run) -> str:
    return hashlib.sha256(run.events[0].raw).hexdigest()


class _RunMerger:
    """Runs that are in the store under these keys, and those that join them now."""

    def __init__(self, connection: Connection, keys: Sequence[str], read_steps: ReadSteps | None) -> None:
        self.connection = connection
        self.read_steps = read_steps
        self.fresh: dict[str, StoredRun] = {}
        self.superseded: list[int] = []
        rows = connection.execute("SELECT coalesce(max(id), 0) FROM run").fetchall()
        self.next_id = rows[0][0] + 1
        self.old: dict[str, tuple[int, str, int]] = {
            key: (run, sha256, count)
            for key, run, sha256, count in connection.execute(
                "SELECT run_key, id, sha256, event_count FROM run WHERE left(run_key, 12) IN (SELECT unnest(?))",
                [list(dict.fromkeys(keys))],
            ).fetchall()
        }

    def place_run(self, source: str, run: Run, key: str) -> AddedRun:
        """Decide how this run relates to those with its key: the same, shorter, longer, or another one."""
        for candidate in (key, f"{key}-{run.sha256[:6]}"):
            outcome = self._compare_with_key(candidate, run)
            if outcome is None:
                run = replace(run, problems=(*run.problems, _SAME_IDS)) if candidate == key else run
                continue
            if outcome in (NEW, GROWN):
                self._take_run(candidate, source, run)
            return AddedRun(candidate, outcome)
        return AddedRun(candidate, SAME)

    def _compare_with_key(self, key: str, run: Run) -> str | None:
        """Return NEW, SAME, GROWN or SHORTER; None if the same ids have other content."""
        if key in self.fresh:
            return _compare_events(self.fresh[key].run.events, run.events)
        if key not in self.old:
            return NEW
        old_id, sha256, count = self.old[key]
        if sha256 == run.sha256 and count == len(run.events):
            return SAME
        return _compare_events(self._read_stored_events(old_id), run.events)

    def _take_run(self, key: str, source: str, run: Run) -> None:
        if key in self.old and key not in self.fresh:
            self.superseded.append(self.old[key][0])
        # An engine with views of its own has its steps computed by SQL: a row for each would cost time and room.
        with_steps = self.read_steps is not None and run.engine not in engines_with_views()
        steps = self.read_steps(run) if self.read_steps is not None and with_steps else ()
        self.fresh[key] = StoredRun(self.next_id, key, source, add_builds(run, steps), run.history_bytes, steps)
        self.next_id += 1

    def _read_stored_events(self, run: int) -> list[Event]:
        rows = self.connection.execute(
            "SELECT event_id, event_type, build_id, raw FROM event WHERE run = ? ORDER BY event_id", [run]
        ).fetchall()
        return [Event(event_id, kind, None, build, raw.encode()) for event_id, kind, build, raw in rows]

    def drop_superseded(self) -> None:
        """Delete the shorter records that longer ones replace."""
        for table in ("event", "problem", "run_build", "step", "run"):
            column = "id" if table == "run" else "run"
            if self.superseded:
                self.connection.execute(f"DELETE FROM {table} WHERE {column} IN (SELECT unnest(?))", [self.superseded])


_SAME_IDS = Problem("same-ids", "another history with the same ids and other content is loaded too")


def _compare_events(old: Sequence[Event], new: Sequence[Event]) -> str | None:
    for before, after in zip(old, new, strict=False):
        if before.raw != after.raw and _without_spelling(before.raw) != _without_spelling(after.raw):
            return None
    if len(old) == len(new):
        return SAME
    return GROWN if len(new) > len(old) else SHORTER


def _without_spelling(raw: bytes) -> object:
    """Return an event without what tools write differently: explicit defaults, numbers as text."""
    return _prune_defaults(msgspec.json.decode(raw))


def _prune_defaults(value: object) -> object:
    if isinstance(value, dict):
        items = ((key, _prune_defaults(item)) for key, item in value.items())
        return {key: item for key, item in items if item not in (None, {}, [], "", "0", "0s")}
    if isinstance(value, list):
        return [_prune_defaults(item) for item in value]
    if isinstance(value, bool):
        return value or None
    if isinstance(value, int | float):
        return str(value)
    return None if isinstance(value, str) and value.endswith("_UNSPECIFIED") else value


def _insert_table(connection: Connection, table: str, rows: pa.Table) -> None:
    columns = [_CASTS.get(name, name) for name in rows.column_names]
    # DuckDB finds `rows` by its name here. A registered table would stay in memory until the transaction ends.
    connection.execute(f"INSERT INTO {table} BY NAME SELECT {', '.join(columns)} FROM rows")


# Times arrive as text. One that cannot be read becomes NULL; the event itself keeps it. DuckDB also reads the year
# 99999 and "infinity", which no datetime can hold.
_CASTS = {
    name: f"CASE WHEN TRY_CAST({name} AS TIMESTAMP) BETWEEN TIMESTAMP '0001-01-01' AND "
    f"TIMESTAMP '9999-12-31 23:59:59.999999' THEN TRY_CAST({name} AS TIMESTAMP) END AS {name}"
    for name in ("scheduled_at", "started_at", "closed_at", "event_time", "first_seen", "last_seen")
}
