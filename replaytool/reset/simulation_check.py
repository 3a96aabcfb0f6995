"""Compare a workflow with what the plan simulated: queries, state, re-executed activities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from replaytool.engines.temporal.reset.server_calls import ResetClient
from replaytool.model.history import Payload, Run
from replaytool.model.reset_plan import ResetItem
from replaytool.replay.inspect_state.json_state import to_plain_json
from replaytool.reset.engine_jobs import final_state_job
from replaytool.reset.simulate_plan import PlanSimulationRequest
from replaytool.workers.pool import run_job, work_from_run

if TYPE_CHECKING:
    from temporalio.api.history.v1 import HistoryEvent

    from replaytool.engines.temporal.events.payloads import PayloadDecoder

_SENT = {"workflow_execution_signaled_event_attributes", "workflow_execution_update_accepted_event_attributes"}


def why_incomparable(
    item: ResetItem, events: Sequence[HistoryEvent], later: Sequence[HistoryEvent], *, grown: bool
) -> str | None:
    """Return why the result need not equal the simulation; None if it must. `later` is another run after it."""
    found = item.simulation
    if found is None:
        return "nothing was simulated"
    if found["stopped"]:
        return f"the simulation stopped: {found['stopped']}"
    if grown:
        return "more messages arrived between plan and reset"
    count = _count_sent_since(events, item.point.event_id) + sum(one.WhichOneof("attributes") in _SENT for one in later)
    return f"{count} signals and updates were sent after the reset" if count else None


def _count_sent_since(events: Sequence[HistoryEvent], point: int) -> int:
    """Count what was sent after the re-applied part. An update that this part admits is not counted."""
    is_back, admitted, count = True, set(), 0
    for event in events:
        kind = event.WhichOneof("attributes") or ""
        if event.event_id <= point:
            continue
        if kind == "workflow_execution_update_admitted_event_attributes" and is_back:
            admitted.add(event.workflow_execution_update_admitted_event_attributes.request.meta.update_id)
        is_back = is_back and kind != "workflow_task_scheduled_event_attributes"
        if is_back or kind not in _SENT:
            continue
        accepted = event.workflow_execution_update_accepted_event_attributes.protocol_instance_id
        count += kind.startswith("workflow_execution_signaled") or accepted not in admitted
    return count


def compare_activities(item: ResetItem, ran: Mapping[str, int]) -> Iterator[str]:
    """Yield where re-executed activities differ from the simulated ones."""
    expected = (item.simulation or {})["again"]
    for name in sorted({*expected, *ran}):
        if expected.get(name, 0) != ran.get(name, 0):
            yield f"activity {name} was re-executed {ran.get(name, 0)} times, not {expected.get(name, 0)} as simulated"


async def compare_query_answers(
    server: ResetClient, item: ResetItem, decoder: PayloadDecoder
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


def _decode_answer(payload: Payload | None, decoder: PayloadDecoder) -> Any:
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
