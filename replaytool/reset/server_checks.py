"""What a server adds to a plan: its own reset points, later events, and the workers that poll."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from replaytool.engines.base import ResetConnection
from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.model.reset_case import HazardCase
from replaytool.model.reset_plan import BLOCK, NOTE, WARN, PlanWarning, ResetPlan, ResetPoint
from replaytool.model.reset_server import RunDescription, ServerPoint
from replaytool.model.run_facts import RunFacts, first_activity_of_build, list_build_entries
from replaytool.model.server_options import ServerOptions
from replaytool.reset.apply import find_bad_pollers
from replaytool.reset.engine_jobs import find_reset_executor
from replaytool.reset.planner import PlanDraft, add_known_children, finish_plan

_AT_ONCE = 20
_MOST_POINTS = 20
_SOON = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class ServerAnswers:
    """The server's answers about one item."""

    base: RunDescription | None
    current: RunDescription | None


def plan_with_server(
    made: PlanDraft, options: ServerOptions, foresee: Callable[[PlanDraft], PlanDraft] = lambda made: made
) -> ResetPlan:
    """Return the plan with the server's answers. The simulation runs after them, as it depends on the children."""
    return asyncio.run(_plan_with_server(made, options, foresee))


async def _plan_with_server(
    made: PlanDraft, options: ServerOptions, foresee: Callable[[PlanDraft], PlanDraft]
) -> ResetPlan:
    if not made.cases:
        return finish_plan(made)
    server = await find_reset_executor(made.cases[0].base.engine).connect_to_server(options)
    namespace = server.target.namespace
    if made.namespace not in (None, namespace):
        raise ReplaytoolError(
            f"the histories are from namespace {made.namespace}, not from {namespace}",
            f"add --namespace {made.namespace}",
            code=ErrorCode.RESET_NAMESPACE,
        )
    made = replace(made, namespace=namespace)
    answers = await _ask_about_items(server, made)
    made = await asyncio.to_thread(foresee, add_known_children(made, await _ask_about_children(server, made)))
    retention = await server.fetch_retention()
    plan = finish_plan(
        made,
        lambda case: [*_server_warnings(case, answers[case.base.run_key], retention)],
        lambda case: server_facts_of(case, answers[case.base.run_key]),
    )
    alive = await find_bad_pollers(server, plan, plan.items)
    if not alive:
        return plan
    queues = sorted({one.task_queue for one in alive})
    text = (
        f"workers of build {', '.join(sorted({one.build_id for one in alive}))} polled {', '.join(queues)} "
        "within the last minute: stop them, or they may run the new runs"
    )
    warning = PlanWarning("bad-poller-alive", WARN, text)
    return finish_plan(
        made,
        lambda case: [
            *_server_warnings(case, answers[case.base.run_key], retention),
            *([warning] if case.base.task_queue in queues else []),
        ],
        lambda case: server_facts_of(case, answers[case.base.run_key]),
        [warning],
    )


async def _ask_about_items(server: ResetConnection, made: PlanDraft) -> dict[str, ServerAnswers]:
    async def describe_item(case: HazardCase) -> tuple[str, ServerAnswers]:
        workflow_id, run_id = case.base.workflow_id or "", case.base.run_id or ""
        base = await server.describe_run(workflow_id, run_id)
        return case.base.run_key, ServerAnswers(base, await server.describe_run(workflow_id))

    return dict(await _ask_concurrently(describe_item, made.cases))


async def _ask_about_children(server: ResetConnection, made: PlanDraft) -> dict[str, tuple[str | None, str]]:
    """Return the state of the children that would start again. Deleted children keep their loaded state."""

    async def describe_child(workflow_id: str) -> tuple[str, RunDescription | None]:
        return workflow_id, await server.describe_run(workflow_id)

    ids = sorted({child.workflow_id for case in made.cases for child in case.effects.children_again})
    found = {name: (one.run_id, one.status) for name, one in await _ask_concurrently(describe_child, ids) if one}
    known = dict(made.cases[0].children) if made.cases else {}
    return known | found


async def _ask_concurrently(ask: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    gate = asyncio.Semaphore(_AT_ONCE)

    async def ask_when_free(item: Any) -> Any:
        async with gate:
            return await ask(item)

    return list(await asyncio.gather(*(ask_when_free(item) for item in items)))


def _server_warnings(case: HazardCase, asked: ServerAnswers, retention: timedelta | None) -> Iterable[PlanWarning]:
    if asked.base is None or asked.current is None:
        yield PlanWarning("gone", BLOCK, "the server no longer has this run: its retention is over")
        return
    newest = case.line.newest_run
    if asked.current.run_id != newest.run_id:
        yield PlanWarning(
            "newer-run", BLOCK, f"the newest run is {asked.current.run_id}, which is not loaded: pull it and plan again"
        )
    elif asked.current.events > newest.last_event_id:
        more = asked.current.events - newest.last_event_id
        yield PlanWarning("grown", WARN, f"it has {more} more events than the loaded history: pull it and plan again")
    yield from _warn_of_retention(asked.base, retention)


def _warn_of_retention(base: RunDescription, retention: timedelta | None) -> Iterable[PlanWarning]:
    if retention is None or base.closed_at is None:
        return
    left = base.closed_at + retention - datetime.now(UTC).replace(tzinfo=None)
    if left < _SOON:
        hours = max(left.total_seconds() / 3600, 0)
        level = WARN if left < retention / 4 else NOTE
        yield PlanWarning("retention", level, f"the server deletes the base run in about {hours:.0f} hours")


def server_facts_of(case: HazardCase, asked: ServerAnswers) -> dict[str, Any]:
    """Return the server's reset point and why it differs from the plan's."""
    points = asked.current.points if asked.current else ()
    mine = case.point.build_id if case.rule.kind != "build" else case.rule.value
    theirs = next((one for one in points if one.build_id == mine), None)
    return {
        "current_run_id": asked.current.run_id if asked.current else None,
        "status": asked.current.status if asked.current else None,
        "point": None
        if theirs is None
        else {"build_id": theirs.build_id, "run_id": theirs.run_id, "event_id": theirs.event_id},
        "differs": explain_server_point(case, theirs, len(points)),
    }


def explain_server_point(case: HazardCase, theirs: ServerPoint | None, count: int) -> str | None:
    """Return why the server would reset to another event, or to none."""
    if case.rule.kind != "build":
        return "the server lists points by build only"
    if theirs is None:
        return _explain_missing_point(case, count)
    if (theirs.run_id, theirs.event_id) == (case.base.run_id, case.point.event_id):
        return (
            None
            if theirs.resettable
            else "the server refuses this point by type because of pending work, and accepts it by event ID"
        )
    if case.rule.ordinal > 1:
        return "the server keeps only the first entry of a build"
    activity = first_activity_of_build(case.base, case.rule.value)
    if activity is not None and activity.task_id == case.point.event_id:
        return "the server ignores which build executed an activity"
    return f"the server's point is run {theirs.run_id}, event {theirs.event_id}"


def _explain_missing_point(case: HazardCase, count: int) -> str:
    tasks = [task for task, _ in list_build_entries(case.base) if task.build_id == case.rule.value]
    if not tasks:
        return "the server ignores which build executed an activity"
    if count >= _MOST_POINTS:
        return f"the server keeps only the newest {_MOST_POINTS} builds, and this one is older"
    return "the server no longer has this point"


def fetch_retention(engine_name: str, options: ServerOptions) -> timedelta | None:
    """Return how long a server keeps closed runs."""

    async def ask_server() -> timedelta | None:
        server = await find_reset_executor(engine_name).connect_to_server(options)
        return await server.fetch_retention()

    return asyncio.run(ask_server())


def list_server_points(record: RunFacts, options: ServerOptions) -> list[ResetPoint]:
    """Return the server's own reset points of this run, each with a comment."""
    return asyncio.run(_list_server_points(record, options))


async def _list_server_points(record: RunFacts, options: ServerOptions) -> list[ResetPoint]:
    server = await find_reset_executor(record.engine).connect_to_server(options)
    found = await server.describe_run(record.workflow_id or "", record.run_id or "")
    ours = {(task.build_id, task.event_id) for task, ordinal in list_build_entries(record) if ordinal == 1}
    return [
        ResetPoint(
            one.event_id, one.build_id, _describe_server_point(one, (one.build_id, one.event_id) in ours, record.run_id)
        )
        for one in (found.points if found else ())
    ]


def _describe_server_point(point: ServerPoint, is_ours: bool, run_id: str | None) -> str:
    if point.run_id != run_id:
        return f"in earlier run {point.run_id}, expires {point.expires_at}"
    text = "same as in the history" if is_ours else "not the first task of this build in the history"
    return text if point.resettable else f"{text}; refused by type because of pending work, accepted by event ID"
