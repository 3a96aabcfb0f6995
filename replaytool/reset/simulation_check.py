"""Compare a workflow with what the plan simulated: queries, state, re-executed activities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from replaytool.engines.base import ResetConnection, ValueDecoder
from replaytool.model.history import Payload, Run
from replaytool.model.reset_plan import ResetItem
from replaytool.replay.inspect_state.json_state import to_plain_json
from replaytool.reset.engine_jobs import final_state_job
from replaytool.reset.simulate_plan import PlanSimulationRequest
from replaytool.workers.pool import run_job, work_from_run


def why_incomparable(item: ResetItem, sent_later: int, *, grown: bool) -> str | None:
    """Return why the result need not equal the simulation; None if it must."""
    found = item.simulation
    if found is None:
        return "nothing was simulated"
    if found["stopped"]:
        return f"the simulation stopped: {found['stopped']}"
    if grown:
        return "more messages arrived between plan and reset"
    return f"{sent_later} signals and updates were sent after the reset" if sent_later else None


def compare_activities(item: ResetItem, ran: Mapping[str, int]) -> Iterator[str]:
    """Yield where re-executed activities differ from the simulated ones."""
    expected = (item.simulation or {})["again"]
    for name in sorted({*expected, *ran}):
        if expected.get(name, 0) != ran.get(name, 0):
            yield f"activity {name} was re-executed {ran.get(name, 0)} times, not {expected.get(name, 0)} as simulated"


async def compare_query_answers(
    server: ResetConnection, item: ResetItem, decoder: ValueDecoder
) -> tuple[list[str], list[str]]:
    """Return differences between query answers and the simulated ones, and notes on queries without an answer."""
    differences: list[str] = []
    notes: list[str] = []
    found = item.simulation or {}
    for name, expected in found["queries"].items():
        payload, trouble = await server.query_workflow(item.workflow_id, name)
        if trouble is not None:
            notes.append(f"query {name} was not answered: {trouble}")
            continue
        answer = _decode_answer(payload, decoder)
        if answer != expected:
            text = f"query {name} answers {answer!r}, not {expected!r} as simulated"
            (notes if found["varies"] else differences).append(text)
    return differences, notes


def _decode_answer(payload: Payload | None, decoder: ValueDecoder) -> Any:
    return to_plain_json(decoder.decode_values([payload])[0]) if payload is not None else None


def compare_final_states(
    runs: Mapping[str, Run], items: Mapping[str, ResetItem], wanted: PlanSimulationRequest
) -> dict[str, list[str]]:
    """Return differences between final states and the simulated ones, by item id."""
    works = [work_from_run(item_id, run) for item_id, run in runs.items()]
    if not works:
        return {}
    done = run_job(final_state_job(works), works, wanted.spec, wanted.options, wanted.limits)
    return {
        key: list(_describe_state_differences(items[key], one.state, one.trouble)) for key, one in done.found.items()
    }


def _describe_state_differences(item: ResetItem, state: dict[str, Any] | None, trouble: str | None) -> Iterator[str]:
    found = item.simulation or {}
    expected, varies = found["state"] or {}, set(found["varies"])
    if trouble is not None or state is None:
        yield f"its state is unknown: {trouble or 'the run has no workflow yet'}"
        return
    for name in sorted({*expected, *state} - varies):
        if expected.get(name) != state.get(name):
            yield f"{name} is {state.get(name)!r}, not {expected.get(name)!r} as simulated"
