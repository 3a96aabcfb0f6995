"""Ask all runs when an expression over the state first held, with the code of each build.

First all runs are replayed in the worker pool, which finds the task. Then the runs that match are stepped through for
the line: that costs more, and only what matched pays for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from replaytool.debug.time_travel import TimeTravel
from replaytool.errors import ReplaytoolError
from replaytool.model.debug_state import ExpressionHit, ReplayedState
from replaytool.model.found_states import FoundState, FoundStates, UnreplayedRun
from replaytool.model.history import Run
from replaytool.model.run_facts import RunFacts
from replaytool.replay.code.builds import CodeMap
from replaytool.replay.inspect_state.expressions import parse_expression
from replaytool.reset.selection import RunSelection, select_runs
from replaytool.reset.state_points import StatePoints, StateSearch, find_state_changes
from replaytool.store import Store

Progress = Callable[[str], None]


def find_states(
    store: Store, expression: str, where: str | None, names: Sequence[str], how: StateSearch, progress: Progress
) -> FoundStates:
    """Return the first event of each run after which the expression holds."""
    parse_expression(expression)
    chosen = select_runs(store, RunSelection(where=where, ids=tuple(names) or None))
    records = [one for one in chosen.records if one.run_key in chosen.matched]
    # Code from git is checked out for one run at a time: there is no first part.
    seen = None if how.code.git else find_state_changes(store, records, expression, how)
    matches: list[FoundState] = []
    unreplayed = [
        UnreplayedRun(row["run_key"], row["workflow_id"] or "", "its record does not name its workflow and run")
        for row in chosen.nameless
    ]
    for one in records:
        is_candidate = seen is None or one.run_key in seen.points
        answer = (
            _find_in_run(store, one, expression, how.code) if is_candidate else _describe_silence(one, seen, how.code)
        )
        if isinstance(answer, FoundState):
            matches.append(answer)
        elif answer is not None:
            unreplayed.append(answer)
        progress(one.run_key)
    return FoundStates(expression, len(records) + len(chosen.nameless), tuple(matches), tuple(unreplayed))


def _describe_silence(record: RunFacts, seen: StatePoints | None, code: CodeMap) -> UnreplayedRun | None:
    """Return why nobody knows whether the expression held in a run without a match; None if it never did."""
    why = seen.troubles.get(record.run_key, "") if seen is not None else ""
    missing = _list_builds_without_code(record, code)
    if not why and missing:
        why = f"no code for {', '.join(missing)}: add --code BUILD=MODULE-OR-PATH"
    if not why and not record.tasks:
        why = "no workflow task was completed"
    return UnreplayedRun(record.run_key, record.workflow_id or "", why) if why else None


def _list_builds_without_code(record: RunFacts, code: CodeMap) -> list[str]:
    if code.default is not None or code.git:
        return []
    builds = dict.fromkeys(task.build_id for task in record.tasks)
    return [build or "tasks without a build" for build in builds if build not in code.builds]


def _find_in_run(store: Store, record: RunFacts, expression: str, code: CodeMap) -> FoundState | UnreplayedRun | None:
    try:
        history = store.read_histories([record.run_key])[record.run_key]
        run = store.read_run(store.find_run(record.run_key))
        with TimeTravel(run, history, code) as walk:
            hit = walk.find_first_holding(expression)
            if hit.event_id is None:
                why = hit.error or (hit.trouble.message if hit.trouble is not None else "")
                return UnreplayedRun(record.run_key, record.workflow_id or "", why) if why else None
            before = walk.state_at(hit.last_false) if hit.last_false is not None else None
            after = walk.state_at(hit.event_id)
    except ReplaytoolError as error:
        return UnreplayedRun(record.run_key, record.workflow_id or "", error.message)
    missing = _list_builds_without_code(record, code)
    note = f"it may have held before: no code for {', '.join(missing)}" if missing else ""
    return _describe_match(record.run_key, run, hit, (before, after), note)


def _describe_match(
    run_key: str, run: Run, hit: ExpressionHit, states: tuple[ReplayedState | None, ReplayedState], note: str
) -> FoundState:
    assert hit.event_id is not None
    old, new = (_list_attributes(one) for one in states)
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    site = hit.call_site
    if site is None and not note:
        note = hit.trouble.message if hit.trouble is not None else "no line of the workflow made it true"
    return FoundState(
        run_key,
        run.workflow_id or "",
        run.run_id or "",
        hit.event_id,
        next((event.event_time for event in run.events if event.event_id == hit.event_id), None),
        hit.build_id,
        site.file if site else "",
        site.line if site else None,
        {name: old[name] for name in names if name in old},
        {name: new[name] for name in names if name in new},
        note,
    )


def _list_attributes(state: ReplayedState | None) -> dict[str, object]:
    plain = state.state.to_plain_data() if state is not None else None
    return plain if isinstance(plain, dict) else {}
