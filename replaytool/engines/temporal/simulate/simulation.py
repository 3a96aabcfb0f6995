"""Simulate a run from a point on, with other code or an edited history.

The code replays the events before the point. After it, recorded results answer the commands. After a reset, all
re-applied signals and updates are there at once, as on the server; in a "what if", each comes at its recorded time.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Sequence
from dataclasses import replace

import msgspec
from temporalio.api.common.v1 import Payload as ProtoPayload
from temporalio.bridge.proto.workflow_commands import (
    CompleteWorkflowExecution,
    ContinueAsNewWorkflowExecution,
    FailWorkflowExecution,
)

from replaytool.engines import Code, Options, replay
from replaytool.engines.temporal.events import event_types as types
from replaytool.engines.temporal.events import rewriting as rewritten
from replaytool.engines.temporal.events.decoding import event_heads, select_events, take_events_before
from replaytool.engines.temporal.events.labels import decode_attributes, find_update_request
from replaytool.engines.temporal.events.timestamps import parse_nanoseconds
from replaytool.engines.temporal.replay import direct
from replaytool.engines.temporal.replay.command_fields import payload_from_proto
from replaytool.engines.temporal.replay.drive import drive_past_end, follows_record, get_payload_decoder
from replaytool.engines.temporal.replay.recorded_commands import run_from_json
from replaytool.engines.temporal.replay.sandbox_refusals import refuse_sandboxed_code
from replaytool.engines.temporal.simulate.decisions import DecisionReader, compare_decisions
from replaytool.engines.temporal.simulate.recorded_results import RecordedResults
from replaytool.engines.temporal.simulate.simulated_server import SimulatedServer
from replaytool.engines.temporal.simulate.simulation_state import SimulationEnd, SimulationState
from replaytool.model.history import Event, Run
from replaytool.model.simulation import TASK_FAILS, Decision, DecisionChange, Simulation, SimulationRequest
from replaytool.replay.compare.drift import Decode
from replaytool.replay.inspect_state.json_state import workflow_state
from replaytool.replay.jobs import JobRequest, WorkerJob

__all__ = ["JOB", "Decision", "DecisionChange", "Simulation", "SimulationRequest", "simulate_runs"]
_SECOND = 1_000_000_000
_SHORT = 60 * _SECOND
_MOST_RUNS = 100
# Two, because a reset run's seed comes from its ID: what differs between two simulations depends on chance.
_RUN_IDS = ("00000000-0000-4000-8000-00000000a11c", "00000000-0000-4000-8000-0000000005ed")
_OUTSIDE = frozenset({types.SIGNALED, types.ADMITTED, types.ACCEPTED, types.CANCEL_REQUESTED})


def simulate_runs(runs: Sequence[Run], ask: SimulationRequest, code: Code, options: Options) -> Simulation:
    """Simulate a run and the runs that followed it, in this process, from the point in the first run on."""
    base = runs[0]
    trouble = _find_simulation_obstacle(base, ask, code)
    if trouble:
        return Simulation(stopped=trouble)
    refused = refuse_sandboxed_code(base, code, options, "direct")
    if refused is not None:
        return _stop_before_point(refused.verdict, refused.reason)
    first = _ChainSimulator(runs, ask, code, options, _RUN_IDS[0])
    found = first.simulate_chain()
    verdict, reason = _judge_prefix(base, ask, code, options, follows=first.follows) if ask.prefix else (None, "")
    if verdict in ("diverged", "failed", "crashed"):
        return _stop_before_point(verdict, reason)
    if first.has_drawn and ask.reset:
        other = _ChainSimulator(runs, ask, code, options, _RUN_IDS[1]).simulate_chain()
        found = replace(found, varies=_differing_names(found.state or {}, other.state or {}))
    return replace(found, prefix_verdict=verdict, prefix_reason=reason)


def _stop_before_point(verdict: str, reason: str) -> Simulation:
    text = f"this code does not replay the events before the point: {reason}"
    return Simulation(stopped=text, prefix_verdict=verdict, prefix_reason=reason)


def _find_simulation_obstacle(base: Run, ask: SimulationRequest, code: Code) -> str:
    if code.workflow_class(base.workflow_type) is None:
        return code.explain_missing(base.workflow_type)
    at = next((event for event in event_heads(base.events) if event.event_id == ask.point), None)
    if at is None or at.event_type != types.TASK_COMPLETED:
        return f"event {ask.point} is not a completed workflow task of this history"
    handed = direct.find_handover_reason(base, code)
    return handed.reason if handed is not None else ""


def _judge_prefix(base: Run, ask: SimulationRequest, code: Code, options: Options, *, follows: bool) -> tuple[str, str]:
    """Return the verdict on the events before the point. If the simulation matched all of them, the verdict is "ok"."""
    if follows:
        return "ok", ""
    kept = replace(base, events=take_events_before(base.events, ask.point))
    found = replay(kept, code, options)
    return found.verdict, found.reason


def _differing_names(one: dict[str, object], other: dict[str, object]) -> list[str]:
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))


class _ChainSimulator:
    """Simulates the chain of runs from the point on."""

    def __init__(self, runs: Sequence[Run], ask: SimulationRequest, code: Code, options: Options, run_id: str) -> None:
        self._runs = runs
        self._ask = ask
        self._code = code
        self._options = options
        self._run_id = run_id
        decode = get_payload_decoder(code, options)
        self._reader = DecisionReader(decode)
        self._world = _build_state(runs, ask, decode)
        self._time = _format_nanoseconds(self._world.now)
        self.has_drawn = False
        self.follows = False
        """Whether the code matched every event before the point."""

    def simulate_chain(self) -> Simulation:
        """Simulate run after run, until one is not continued as new."""
        base = self._runs[0]
        run = replace(base, events=self._starting_events(base), run_id=self._run_id if self._ask.reset else base.run_id)
        found = Simulation()
        for number in range(1, _MOST_RUNS + 1):
            end, found = self._drive_run(run, is_first=number == 1)
            found = replace(found, runs=number)
            if end.status != "ContinuedAsNew":
                return found
            run = self._build_next_run(run, end, number)
            if self._code.workflow_class(run.workflow_type) is None:
                return replace(found, stopped=f"no code for workflow type {run.workflow_type!r}")
            refused = refuse_sandboxed_code(run, self._code, self._options, "direct")
            if refused is not None:
                return replace(found, stopped=refused.reason)
        return replace(found, stopped=f"it continued as new {_MOST_RUNS} times")

    def _starting_events(self, base: Run) -> Sequence[Event]:
        if not self._ask.reset:
            return take_events_before(base.events, self._ask.point)
        how = rewritten.ResetRewrite(self._ask.point, base.run_id or "", self._run_id, self._ask.exclude)
        return rewritten.rewrite_as_reset(base.events, [run.events for run in self._runs[1:]], how, self._time)

    def _build_next_run(self, run: Run, end: SimulationEnd, number: int) -> Run:
        new_id = f"{self._run_id[:-4]}{number:04x}"
        assert isinstance(end.command, ContinueAsNewWorkflowExecution)
        events = rewritten.start_continued_history(
            run.events, end.command, run.run_id or "", new_id, _format_nanoseconds(self._world.now)
        )
        kind = end.command.workflow_type or run.workflow_type
        return replace(run, events=events, run_id=new_id, workflow_type=kind)

    def _drive_run(self, run: Run, *, is_first: bool) -> tuple[SimulationEnd, Simulation]:
        with drive_past_end(run, self._code, self._options) as course:
            beyond = SimulatedServer(course, self._world)
            end = beyond.run_past_record()
            self.has_drawn |= beyond.has_drawn_random
            instance = course.driver.sdk_instance
            workflow = getattr(instance, "_object", None)
            state = workflow_state(workflow) if workflow is not None else None
            queries = {}
            if not str(end.stopped).startswith(TASK_FAILS) and end.status != "ContinuedAsNew":
                queries = {name: beyond.run_query(name) for name in self._ask.queries}
        if is_first:
            self.follows = follows_record(course, run, self._code, self._options)
        return end, self._build_simulation(
            end, state, {name: self._read_query_answer(*found) for name, found in queries.items()}
        )

    def _read_query_answer(self, payload: ProtoPayload | None, trouble: str | None) -> object:
        if payload is None:
            return {"error": trouble}
        return self._reader.to_plain(payload_from_proto(payload))

    def _build_simulation(
        self, end: SimulationEnd, state: dict[str, object] | None, queries: dict[str, object]
    ) -> Simulation:
        world = self._world
        changed, same = ([], 0) if self._ask.reset else self._compare_with_record()
        return Simulation(
            state=state,
            exact=world.exact,
            assumed=world.assumed,
            stopped=end.stopped,
            status=end.status,
            result=self._read_result(end),
            again=dict(sorted(world.again.items())),
            inputs={name: dict(counts) for name, counts in sorted(world.inputs.items())},
            again_local=dict(sorted(world.again_local.items())),
            suspect=dict(sorted(world.suspect.items())),
            waiting=list(end.waiting),
            updates=self._changed_updates(),
            queries=queries,
            changes=changed,
            same=same,
        )

    def _read_result(self, end: SimulationEnd) -> object:
        if isinstance(end.command, CompleteWorkflowExecution) and end.command.HasField("result"):
            return self._reader.to_plain(payload_from_proto(end.command.result))
        return end.command.failure.message if isinstance(end.command, FailWorkflowExecution) else None

    def _compare_with_record(self) -> tuple[list[DecisionChange], int]:
        base, *later = self._runs
        recorded = list(self._reader.read_recorded(base.events, self._ask.point))
        recorded += [one for run in later for one in self._reader.read_recorded(run.events)]
        return compare_decisions(recorded, self._reader.read_sent(self._world.sent))

    def _changed_updates(self) -> dict[str, object]:
        """Return answers to updates that differ from the recorded ones."""
        recorded: dict[str, object] = {}
        for run in self._runs:
            recorded |= self._reader.read_recorded_answers(run.events)
        return {
            update_id: {"recorded": recorded[update_id], "simulated": answer}
            for update_id, answer in sorted(self._reader.read_answers(self._world.answers).items())
            if update_id in recorded and recorded[update_id] != answer
        }


def _build_state(runs: Sequence[Run], ask: SimulationRequest, decode: Decode) -> SimulationState:
    base = runs[0]
    supply = RecordedResults(decode, ask.bad_builds)
    supply.add_run(base.events, ask.point)
    for run in runs[1:]:
        supply.add_run(run.events)
    last = max(parse_nanoseconds(event_heads(run.events)[-1].event_time) or 0 for run in runs)
    at = next(event for event in event_heads(base.events) if event.event_id == ask.point)
    began = parse_nanoseconds(at.event_time) or last
    if ask.reset:
        # Nobody knows whether a timer that never fired would have. It may fire for as long as the undone part took.
        return SimulationState(supply, last, last + max(last - began, _SHORT), dict(ask.children))
    return SimulationState(supply, began, last, {}, collect_inbox(runs, ask.point), is_reset=False)


def collect_inbox(runs: Sequence[Run], point: int) -> list[Event]:
    """Return signals, updates and cancel requests after the point."""
    found: list[Event] = []
    for run in runs:
        # An admitted update is delivered by Admitted; its Accepted event must not deliver it again.
        known = {_read_update_id(event) for event in select_events(run.events, types.ADMITTED.__eq__)}
        for event in select_events(run.events, _OUTSIDE.__contains__):
            if run is runs[0] and event.event_id <= point:
                continue
            if event.event_type != types.ACCEPTED or _read_update_id(event) not in known | {""}:
                found.append(event)
    return found


def _read_update_id(event: Event) -> str:
    return str((find_update_request(decode_attributes(event)).get("meta") or {}).get("updateId") or "")


def _format_nanoseconds(nanos: int) -> str:
    moment = datetime.datetime.fromtimestamp(nanos // _SECOND, datetime.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanos % _SECOND:09d}Z"


def _run_simulation_job(asked: JobRequest) -> Simulation:
    began = time.monotonic()
    followed = msgspec.convert(asked.argument["later"], list[Run])
    histories = msgspec.json.decode(asked.history, type=list[msgspec.Raw])
    runs = [run_from_json(run, bytes(raw)) for run, raw in zip([asked.run, *followed], histories, strict=True)]
    ask = msgspec.convert(asked.argument["ask"], SimulationRequest)
    found = simulate_runs(runs, ask, asked.code, asked.options)
    return replace(found, seconds=time.monotonic() - began)


JOB: WorkerJob[Simulation] = WorkerJob(
    name="replaytool.engines.temporal.simulate.simulation:JOB",
    answer=Simulation,
    work=_run_simulation_job,
    crashed=lambda reason, seconds: Simulation(
        stopped=reason, prefix_verdict="crashed", prefix_reason=reason, seconds=seconds
    ),
    fault=lambda reason, place: Simulation(stopped=f"{reason} ({place})"),
    is_last=lambda one: one.prefix_verdict == "crashed",
    is_shaky=lambda one: one.prefix_verdict == "crashed",
)
