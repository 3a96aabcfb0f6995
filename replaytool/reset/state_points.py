"""Find points and workflows by replaying: where the state changed, how far code follows, what is true at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from replaytool.engines import CodeSpec, Options
from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.model.run_facts import RunFacts
from replaytool.model.workflow_state import WorkflowState
from replaytool.replay.code.builds import CodeMap
from replaytool.replay.inspect_state.expressions import parse_expression
from replaytool.reset.engine_jobs import final_state_job
from replaytool.store import Store
from replaytool.store.read_histories import HistoryReader
from replaytool.workers.pool import WorkerLimits, WorkItem, run_job

NO_CODE = "add --workflows MODULE-OR-PATH, or --code BUILD=MODULE-OR-PATH for each build"


@dataclass(frozen=True, slots=True)
class StateSearch:
    """With which code of which build to replay, and how."""

    code: CodeMap
    options: Options = field(default_factory=Options)
    limits: WorkerLimits = field(default_factory=WorkerLimits)
    progress: Callable[[str], None] | None = None


@dataclass(frozen=True, slots=True)
class StatePoints:
    """What was found, by run key."""

    points: Mapping[str, int]
    """The completed workflow task to reset to."""
    troubles: Mapping[str, str]
    """Why there is none, if something went wrong."""


def find_state_changes(store: Store, records: Sequence[RunFacts], text: str, looking: StateSearch) -> StatePoints:
    """Find the first task of each run after which the expression is true, with the code of each task's build."""
    parse_expression(text)
    points: dict[str, int] = {}
    troubles: dict[str, str] = {}
    by_run = _replay_by_build(store, records, {"where": text}, looking)
    for one in records:
        held = _values_after_tasks(one, by_run.get(one.run_key, {}))
        before = False
        for task, holds in held:
            if holds and not before:
                points[one.run_key] = task
                break
            before = holds
        else:
            trouble = next((stand.trouble or stand.unsure for stand in by_run.get(one.run_key, {}).values()), "")
            if trouble:
                troubles[one.run_key] = trouble
    return StatePoints(points, troubles)


def find_runs_where_true(store: Store, records: Sequence[RunFacts], text: str, looking: StateSearch) -> frozenset[str]:
    """Return the keys of the runs at whose end the expression is true, with the code of the last task's build."""
    parse_expression(text)
    by_run = _replay_by_build(store, records, {"where": text}, looking)
    held = {one.run_key: _values_after_tasks(one, by_run.get(one.run_key, {})) for one in records}
    return frozenset(key for key, found in held.items() if found and found[-1][1])


def find_clean_prefixes(store: Store, records: Sequence[RunFacts], looking: StateSearch) -> StatePoints:
    """Find the last task of each run up to which the new code follows the record."""
    if looking.code.default is None:
        raise ReplaytoolError(
            "--latest-clean needs the new workflow code",
            "add --workflows MODULE-OR-PATH",
            code=ErrorCode.CODE_NOT_NAMED,
        )
    found = _replay_runs(store, [one.run_key for one in records], looking.code.default, {"clean": True}, looking)
    points = {key: one.clean for key, one in found.items() if one.clean is not None}
    return StatePoints(points, {key: one.trouble for key, one in found.items() if one.trouble})


def _values_after_tasks(record: RunFacts, stands: Mapping[str | None, WorkflowState]) -> list[tuple[int, bool]]:
    """Return whether it is true after each task, with the code of the build that completed it."""
    answers = {build: dict(stand.holds) for build, stand in stands.items()}
    held: list[tuple[int, bool]] = []
    for task in record.tasks:
        of_build = answers.get(task.build_id, answers.get(None, {}))
        if task.event_id in of_build:
            held.append((task.event_id, of_build[task.event_id]))
    return held


def _replay_by_build(
    store: Store, records: Sequence[RunFacts], argument: dict[str, object], looking: StateSearch
) -> dict[str, dict[str | None, WorkflowState]]:
    code = looking.code
    found: dict[str, dict[str | None, WorkflowState]] = {one.run_key: {} for one in records}
    specs: list[tuple[str | None, CodeSpec]] = [*code.builds.items()]
    if code.default is not None:
        specs.append((None, code.default))
    for build, spec in specs:
        keys = [one.run_key for one in records if _is_replayed_by(one, build, code)]
        for key, stand in _replay_runs(store, keys, spec, argument, looking).items():
            found[key][build] = stand
    return found


def _is_replayed_by(record: RunFacts, build: str | None, code: CodeMap) -> bool:
    builds = {task.build_id for task in record.tasks}
    return build in builds if build is not None else not builds <= set(code.builds)


def _replay_runs(
    store: Store, keys: Iterable[str], spec: CodeSpec, argument: dict[str, object], looking: StateSearch
) -> dict[str, WorkflowState]:
    wanted = list(keys)
    if not wanted:
        return {}
    rows = store.read_runs(wanted)
    histories = HistoryReader(store, {key: row.history_bytes for key, row in rows.items()})

    def make_work(key: str) -> WorkItem:
        row = rows[key]
        return WorkItem(
            key, store.read_run(row, with_events=False), row.history_bytes, lambda: histories.take_history(key)
        )

    def report_progress(key: str, _: WorkflowState) -> None:
        if looking.progress:
            looking.progress(key)

    works = [make_work(key) for key in wanted]
    job = final_state_job(works)
    return run_job(job, works, spec, looking.options, looking.limits, argument, report_progress).found
