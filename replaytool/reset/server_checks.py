"""What a server adds to a plan: its own reset points, what has happened since, and who waits for the workflows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from replaytool.engines.temporal.reset.hazards import HazardCase
from replaytool.engines.temporal.reset.points import first_activity_of_build, list_build_entries
from replaytool.engines.temporal.reset.run_facts import RunFacts
from replaytool.engines.temporal.reset.server_calls import ResetClient, RunDescription, ServerPoint
from replaytool.engines.temporal.server.options import ServerOptions
from replaytool.errors import ReplaytoolError
from replaytool.model.reset_plan import BLOCK, NOTE, WARN, PlanWarning, Point, ResetPlan
from replaytool.reset.apply import bad_pollers
from replaytool.reset.planner import Draft, finished, with_children

_AT_ONCE = 20
_MOST_POINTS = 20
_SOON = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Asked:
    """The server's answers about one item."""

    base: RunDescription | None
    current: RunDescription | None


def planned(made: Draft, options: ServerOptions, foresee: Callable[[Draft], Draft] = lambda made: made) -> ResetPlan:
    """The plan with the server's answers in it; what is foreseen hangs on how the children stand there."""
    return asyncio.run(_planned(made, options, foresee))


async def _planned(made: Draft, options: ServerOptions, foresee: Callable[[Draft], Draft]) -> ResetPlan:
    server = await ResetClient.connect_to_server(options)
    namespace = server.target.namespace
    if made.namespace not in (None, namespace):
        raise ReplaytoolError(
            f"the histories are of namespace {made.namespace}, and this is {namespace}",
            f"give --namespace {made.namespace}",
        )
    made = replace(made, namespace=namespace)
    answers = await _asked(server, made)
    made = await asyncio.to_thread(foresee, with_children(made, await _children(server, made)))
    retention = await server.fetch_retention()
    plan = finished(
        made,
        lambda case: [*_warned(case, answers[case.base.run_key], retention)],
        lambda case: shown(case, answers[case.base.run_key]),
    )
    alive = await bad_pollers(server, plan, plan.items)
    if not alive:
        return plan
    queues = sorted({one.task_queue for one in alive})
    text = (
        f"workers of build {', '.join(sorted({one.build_id for one in alive}))} asked for tasks of {', '.join(queues)} "
        "within the last minute: stop them, or they may take the reset runs"
    )
    warning = PlanWarning("bad-poller-alive", WARN, text)
    return finished(
        made,
        lambda case: [
            *_warned(case, answers[case.base.run_key], retention),
            *([warning] if case.base.task_queue in queues else []),
        ],
        lambda case: shown(case, answers[case.base.run_key]),
        [warning],
    )


async def _asked(server: ResetClient, made: Draft) -> dict[str, Asked]:
    async def ask(case: HazardCase) -> tuple[str, Asked]:
        workflow_id, run_id = case.base.workflow_id or "", case.base.run_id or ""
        base = await server.describe_run(workflow_id, run_id)
        return case.base.run_key, Asked(base, await server.describe_run(workflow_id))

    return dict(await _gathered(ask, made.cases))


async def _children(server: ResetClient, made: Draft) -> dict[str, tuple[str | None, str]]:
    """How the children stand now that would be started again; what the server has forgotten stays as it is loaded."""

    async def ask(workflow_id: str) -> tuple[str, RunDescription | None]:
        return workflow_id, await server.describe_run(workflow_id)

    ids = sorted({child.workflow_id for case in made.cases for child in case.effects.children_again})
    found = {name: (one.run_id, one.status) for name, one in await _gathered(ask, ids) if one}
    known = dict(made.cases[0].children) if made.cases else {}
    return known | found


async def _gathered(ask: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(item: Any) -> Any:
        async with gate:
            return await ask(item)

    return list(await asyncio.gather(*(one(item) for item in items)))


def _warned(case: HazardCase, asked: Asked, retention: timedelta | None) -> Iterable[PlanWarning]:
    if asked.base is None or asked.current is None:
        yield PlanWarning("gone", BLOCK, "the server does not have this run any longer: it is past its retention")
        return
    newest = case.line.newest_run
    if asked.current.run_id != newest.run_id:
        yield PlanWarning(
            "newer-run", BLOCK, f"its newest run is {asked.current.run_id}, which is not loaded: pull it and plan again"
        )
    elif asked.current.events > newest.last_event_id:
        more = asked.current.events - newest.last_event_id
        yield PlanWarning("grown", WARN, f"{more} events have come since it was loaded: pull it and plan again")
    yield from _ending(asked.base, retention)


def _ending(base: RunDescription, retention: timedelta | None) -> Iterable[PlanWarning]:
    if retention is None or base.closed_at is None:
        return
    left = base.closed_at + retention - datetime.now(UTC).replace(tzinfo=None)
    if left < _SOON:
        hours = max(left.total_seconds() / 3600, 0)
        level = WARN if left < retention / 4 else NOTE
        yield PlanWarning("retention", level, f"the server deletes its base run in about {hours:.0f} hours")


def shown(case: HazardCase, asked: Asked) -> dict[str, Any]:
    """What the server says, beside what the history says, and why these differ."""
    points = asked.current.points if asked.current else ()
    mine = case.point.build_id if case.rule.kind != "build" else case.rule.value
    theirs = next((one for one in points if one.build_id == mine), None)
    return {
        "current_run_id": asked.current.run_id if asked.current else None,
        "status": asked.current.status if asked.current else None,
        "point": None
        if theirs is None
        else {"build_id": theirs.build_id, "run_id": theirs.run_id, "event_id": theirs.event_id},
        "differs": difference(case, theirs, len(points)),
    }


def difference(case: HazardCase, theirs: ServerPoint | None, count: int) -> str | None:
    """Why the server would go somewhere else, or nowhere."""
    if case.rule.kind != "build":
        return "the server knows points by build only"
    if theirs is None:
        return _missing(case, count)
    if (theirs.run_id, theirs.event_id) == (case.base.run_id, case.point.event_id):
        return None if theirs.resettable else "the server refuses it: something was pending then; by event id it goes"
    if case.rule.ordinal > 1:
        return "the server keeps the first entry of a build only"
    activity = first_activity_of_build(case.base, case.rule.value)
    if activity is not None and activity.task_id == case.point.event_id:
        return "the server does not look at which build ran an activity"
    return f"the server has run {theirs.run_id}, event {theirs.event_id}"


def _missing(case: HazardCase, count: int) -> str:
    tasks = [task for task, _ in list_build_entries(case.base) if task.build_id == case.rule.value]
    if not tasks:
        return "the server does not look at which build ran an activity"
    if count >= _MOST_POINTS:
        return f"the server keeps the newest {_MOST_POINTS} builds only, and this one is older"
    return "the server does not have this point any longer"


def server_points(record: RunFacts, options: ServerOptions) -> list[Point]:
    """The server's own points of this run, each with what sets it apart."""
    return asyncio.run(_server_points(record, options))


async def _server_points(record: RunFacts, options: ServerOptions) -> list[Point]:
    server = await ResetClient.connect_to_server(options)
    found = await server.describe_run(record.workflow_id or "", record.run_id or "")
    ours = {(task.build_id, task.event_id) for task, ordinal in list_build_entries(record) if ordinal == 1}
    return [
        Point(one.event_id, one.build_id, _about(one, (one.build_id, one.event_id) in ours, record.run_id))
        for one in (found.points if found else ())
    ]


def _about(point: ServerPoint, is_ours: bool, run_id: str | None) -> str:
    if point.run_id != run_id:
        return f"in earlier run {point.run_id}, expires {point.expires_at}"
    text = "the same as the history's" if is_ours else "not the first task of this build in the history"
    return text if point.resettable else f"{text}; refused by type, accepted by event id: something was pending then"
