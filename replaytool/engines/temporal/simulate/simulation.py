"""Beyond the record: what a run becomes when it goes on from a point with other code, or with something changed.

The kept part is replayed by the code; behind it the code's commands are answered from what was recorded, and nothing
is made up. After a reset, what came from outside is there at once, as the server brings it back; in a "what if" it
comes when it came.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from replaytool.engines import Code, Options, replay
from replaytool.engines.temporal.events import rewriting as rewritten
from replaytool.engines.temporal.events.decoding import heads, until
from replaytool.engines.temporal.events.labels import attributes
from replaytool.engines.temporal.events.timestamps import nanoseconds
from replaytool.engines.temporal.replay import direct
from replaytool.engines.temporal.replay.command_fields import payload_of
from replaytool.engines.temporal.replay.drive import decoder, driving, follows
from replaytool.engines.temporal.replay.recorded_commands import from_bytes
from replaytool.engines.temporal.simulate.decisions import Change, Decision, Reader, changes, of_types
from replaytool.engines.temporal.simulate.recorded_results import Supply
from replaytool.engines.temporal.simulate.simulated_server import Beyond
from replaytool.engines.temporal.simulate.simulation_state import TASK_FAILS, End, World
from replaytool.model.history import Event, Run
from replaytool.replay.compare.drift import Decode
from replaytool.replay.inspect_state.json_state import state_of
from replaytool.replay.jobs import Asked, Job

__all__ = ["JOB", "Ask", "Change", "Decision", "Simulation", "simulate"]
_SECOND = 1_000_000_000
_SHORT = 60 * _SECOND
_MOST_RUNS = 100
_RUN_IDS = ("00000000-0000-4000-8000-00000000a11c", "00000000-0000-4000-8000-0000000005ed")
_OUTSIDE = {"WorkflowExecutionSignaled", "WorkflowExecutionUpdateAdmitted", "WorkflowExecutionCancelRequested"}
_ACCEPTED = "WorkflowExecutionUpdateAccepted"


@dataclass(frozen=True)
class Ask:
    """What to simulate of a run."""

    point: int
    """The completed workflow task that is undone, with all behind it."""
    reset: bool = True
    """Else the run goes on as it did, and only what was changed in its record is different."""
    queries: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    """What a reset is told not to bring back."""
    children: dict[str, str] = field(default_factory=dict)
    """How the workflows stand whose ids its children have."""
    bad_builds: tuple[str, ...] = ()
    """The builds whose results are not to be trusted."""
    prefix: bool = True
    """Whether the kept part gets a verdict of its own."""
    where: str | None = None
    """An expression about the state in the end."""


@dataclass(frozen=True)
class Simulation:
    """What the run becomes."""

    state: dict[str, Any] | None = None
    """The workflow's attributes in the end; None where there is no workflow to look at."""
    exact: int = 0
    """Commands with a recorded answer of the same name and input."""
    assumed: int = 0
    """Commands that were given the answer to another input under the same name."""
    stopped: str | None = None
    """Why it could not go on: nothing is invented."""
    status: str = "Running"
    result: Any = None
    again: dict[str, int] = field(default_factory=dict)
    """Activities that really run again, by type."""
    inputs: dict[str, dict[str, int]] | None = None
    """How many of these have the same input as recorded, and how many a changed one; None where nothing was driven."""
    again_local: dict[str, int] = field(default_factory=dict)
    suspect: dict[str, int] = field(default_factory=dict)
    """Activities whose recorded result a bad build had given: what they really give is another matter."""
    waiting: list[str] = field(default_factory=list)
    """Timers that nobody knows to have fired."""
    updates: dict[str, Any] = field(default_factory=dict)
    """Updates whose answer is another one than was recorded."""
    queries: dict[str, Any] = field(default_factory=dict)
    varies: list[str] = field(default_factory=list)
    """Attributes that hang on the random numbers of a run id that does not exist yet."""
    runs: int = 1
    """More than one where it continued as new."""
    prefix_verdict: str | None = None
    prefix_reason: str = ""
    changes: list[Change] = field(default_factory=list)
    same: int = 0
    """Decisions that are as recorded."""
    holds: bool | None = None
    """Whether the expression is true in the end."""
    seconds: float = 0.0

    @property
    def task_fails(self) -> bool:
        """Whether it stands still because the code fails, and not because the record knows no more."""
        return bool(self.stopped) and str(self.stopped).startswith(TASK_FAILS)


def simulate(runs: Sequence[Run], ask: Ask, code: Code, options: Options) -> Simulation:
    """The base and the runs that followed it, simulated in this process from the point in the base."""
    base = runs[0]
    trouble = _impossible(base, ask, code)
    if trouble:
        return Simulation(stopped=trouble)
    first = _Simulating(runs, ask, code, options, _RUN_IDS[0])
    found = first.simulation()
    verdict, reason = _prefix(base, ask, code, options, follows=first.follows) if ask.prefix else (None, "")
    if verdict in ("diverged", "failed", "crashed"):
        text = f"the kept part does not replay with this code: {reason}"
        return Simulation(stopped=text, prefix_verdict=verdict, prefix_reason=reason)
    if first.has_drawn and ask.reset:
        other = _Simulating(runs, ask, code, options, _RUN_IDS[1]).simulation()
        found = replace(found, varies=_differing(found.state or {}, other.state or {}))
    return replace(found, prefix_verdict=verdict, prefix_reason=reason)


def _impossible(base: Run, ask: Ask, code: Code) -> str:
    if code.workflow(base.workflow_type) is None:
        return f"no code for workflow type {base.workflow_type!r}"
    at = next((event for event in heads(base.events) if event.event_id == ask.point), None)
    if at is None or at.event_type != "WorkflowTaskCompleted":
        return f"event {ask.point} is no completed workflow task of this history"
    handed = direct.cannot_judge(base, code)
    return handed.reason if handed is not None else ""


def _prefix(base: Run, ask: Ask, code: Code, options: Options, *, follows: bool) -> tuple[str, str]:
    """The verdict on the kept part; where it was followed to the letter there is nothing more to find out."""
    if follows:
        return "ok", ""
    kept = replace(base, events=until(base.events, ask.point))
    found = replay(kept, code, options)
    return found.verdict, found.reason


def _differing(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))


class _Simulating:
    """One way through: the chain of runs from the point on."""

    def __init__(self, runs: Sequence[Run], ask: Ask, code: Code, options: Options, run_id: str) -> None:
        self._runs = runs
        self._ask = ask
        self._code = code
        self._options = options
        self._run_id = run_id
        decode = decoder(code, options)
        self._reader = Reader(decode)
        self._world = _world(runs, ask, decode)
        self._time = _text(self._world.now)
        self.has_drawn = False
        self.follows = False
        """Whether the code did all that the kept part holds."""

    def simulation(self) -> Simulation:
        """Drive one run after the other until there is no next one."""
        base = self._runs[0]
        run = replace(base, events=self._begun(base), run_id=self._run_id if self._ask.reset else base.run_id)
        found = Simulation()
        for number in range(1, _MOST_RUNS + 1):
            end, found = self._driven(run, is_first=number == 1)
            found = replace(found, runs=number)
            if end.status != "ContinuedAsNew":
                return found
            run = self._next(run, end, number)
            if self._code.workflow(run.workflow_type) is None:
                return replace(found, stopped=f"no code for workflow type {run.workflow_type!r}")
        return replace(found, stopped=f"it continued as new {_MOST_RUNS} times")

    def _begun(self, base: Run) -> Sequence[Event]:
        if not self._ask.reset:
            return until(base.events, self._ask.point)
        how = rewritten.Reset(self._ask.point, base.run_id or "", self._run_id, self._ask.exclude)
        return rewritten.reset(base.events, [run.events for run in self._runs[1:]], how, self._time)

    def _next(self, run: Run, end: End, number: int) -> Run:
        new_id = f"{self._run_id[:-4]}{number:04x}"
        events = rewritten.continued(run.events, end.command, run.run_id or "", new_id, _text(self._world.now))
        kind = end.command.workflow_type or run.workflow_type
        return replace(run, events=events, run_id=new_id, workflow_type=kind)

    def _driven(self, run: Run, *, is_first: bool) -> tuple[End, Simulation]:
        with driving(run, self._code, self._options) as course:
            beyond = Beyond(course, self._world)
            end = beyond.run()
            self.has_drawn |= beyond.has_drawn
            instance = course.driven.innermost
            workflow = getattr(instance, "_object", None)
            state = state_of(workflow) if workflow is not None else None
            queries = {}
            if not str(end.stopped).startswith(TASK_FAILS) and end.status != "ContinuedAsNew":
                queries = {name: beyond.query(name) for name in self._ask.queries}
        if is_first:
            self.follows = follows(course, run, self._code, self._options)
        return end, self._told(end, state, {name: self._answered(*found) for name, found in queries.items()})

    def _answered(self, payload: Any, trouble: str | None) -> Any:
        if payload is None:
            return {"error": trouble}
        return self._reader.plain(payload_of(payload))

    def _told(self, end: End, state: dict[str, Any] | None, queries: dict[str, Any]) -> Simulation:
        world = self._world
        changed, same = ([], 0) if self._ask.reset else self._changes()
        return Simulation(
            state=state,
            exact=world.exact,
            assumed=world.assumed,
            stopped=end.stopped,
            status=end.status,
            result=self._result(end),
            again=dict(sorted(world.again.items())),
            inputs={name: dict(counts) for name, counts in sorted(world.inputs.items())},
            again_local=dict(sorted(world.again_local.items())),
            suspect=dict(sorted(world.suspect.items())),
            waiting=list(end.waiting),
            updates=self._updates(),
            queries=queries,
            changes=changed,
            same=same,
        )

    def _result(self, end: End) -> Any:
        if end.status == "Completed" and end.command.HasField("result"):
            return self._reader.plain(payload_of(end.command.result))
        return end.command.failure.message if end.status == "Failed" else None

    def _changes(self) -> tuple[list[Change], int]:
        base, *later = self._runs
        recorded = list(self._reader.recorded(base.events, self._ask.point))
        recorded += [one for run in later for one in self._reader.recorded(run.events)]
        return changes(recorded, self._reader.sent(self._world.sent))

    def _updates(self) -> dict[str, Any]:
        """Answers to updates that differ from the recorded ones."""
        recorded: dict[str, Any] = {}
        for run in self._runs:
            recorded |= self._reader.recorded_answers(run.events)
        return {
            update_id: {"recorded": recorded[update_id], "simulated": answer}
            for update_id, answer in sorted(self._reader.answers(self._world.answers).items())
            if update_id in recorded and recorded[update_id] != answer
        }


def _world(runs: Sequence[Run], ask: Ask, decode: Decode) -> World:
    base = runs[0]
    supply = Supply(decode, ask.bad_builds)
    supply.add(base.events, ask.point)
    for run in runs[1:]:
        supply.add(run.events)
    last = max(nanoseconds(heads(run.events)[-1].event_time) or 0 for run in runs)
    at = next(event for event in heads(base.events) if event.event_id == ask.point)
    began = nanoseconds(at.event_time) or last
    if ask.reset:
        return World(supply, last, last + max(last - began, _SHORT), dict(ask.children))
    return World(supply, began, last, {}, _inbox(runs, ask.point), is_reset=False)


def _inbox(runs: Sequence[Run], point: int) -> list[Event]:
    """What came from outside behind the point."""
    found: list[Event] = []
    for run in runs:
        known = {_request_id(event) for event in of_types(run.events, {"WorkflowExecutionUpdateAdmitted"})}
        for event in of_types(run.events, _OUTSIDE | {_ACCEPTED}):
            if run is runs[0] and event.event_id <= point:
                continue
            if event.event_type != _ACCEPTED or _request_id(event) not in known | {""}:
                found.append(event)
    return found


def _request_id(event: Event) -> str:
    found = attributes(msgspec.json.decode(event.raw))
    request = found.get("request") or found.get("acceptedRequest") or {}
    return str((request.get("meta") or {}).get("updateId") or "")


def _text(nanos: int) -> str:
    moment = datetime.datetime.fromtimestamp(nanos // _SECOND, datetime.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanos % _SECOND:09d}Z"


def _job(asked: Asked) -> Simulation:
    began = time.monotonic()
    followed = msgspec.convert(asked.argument["later"], list[Run])
    histories = msgspec.json.decode(asked.history, type=list[msgspec.Raw])
    runs = [from_bytes(run, bytes(raw)) for run, raw in zip([asked.run, *followed], histories, strict=True)]
    ask = msgspec.convert(asked.argument["ask"], Ask)
    found = simulate(runs, ask, asked.code, asked.options)
    return replace(found, seconds=time.monotonic() - began)


JOB: Job[Simulation] = Job(
    name="replaytool.engines.temporal.simulate.simulation:JOB",
    answer=Simulation,
    work=_job,
    crashed=lambda reason, seconds: Simulation(
        stopped=reason, prefix_verdict="crashed", prefix_reason=reason, seconds=seconds
    ),
    fault=lambda reason, place: Simulation(stopped=f"{reason} ({place})"),
    is_last=lambda one: one.prefix_verdict == "crashed",
    is_shaky=lambda one: one.prefix_verdict == "crashed",
)
