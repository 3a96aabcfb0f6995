"""List what the code asks for from a workflow task on, so that it can be compared with what the history records.

The task is replayed as a worker replays it: `workflow.patched` is true only for recorded patches. Commands get their
recorded results. A command without one gets no value, or the next recorded result of its kind: a guess that is good
enough to see which steps follow, and that no verdict uses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from temporalio.bridge.proto.workflow_activation import NotifyHasPatch, WorkflowActivation, WorkflowActivationJob

from replaytool.engines.temporal.core.state_machines.local_activity import (
    LOCAL_ACTIVITY,
    LocalActivityMarkerData,
    LocalActivityResolution,
)
from replaytool.engines.temporal.events import event_types as types
from replaytool.engines.temporal.events.decoding import event_heads, take_events_before
from replaytool.engines.temporal.events.event_structs import (
    ActivityCompleted,
    ChildClosed,
    ChildStarted,
    EventPart,
    MarkerRecorded,
    WorkflowExecution,
)
from replaytool.engines.temporal.events.timestamps import parse_nanoseconds
from replaytool.engines.temporal.replay.drive import drive_past_end, get_payload_decoder
from replaytool.engines.temporal.replay.recorded_commands import RecordedHistory
from replaytool.engines.temporal.sdk.workflow_instance import ActivationAnswer, InstanceDriver
from replaytool.engines.temporal.simulate.decisions import DecisionReader
from replaytool.engines.temporal.simulate.recorded_results import FollowUpEvent, Match, RecordedResult, RecordedResults
from replaytool.engines.temporal.simulate.simulated_server import SimulatedServer
from replaytool.engines.temporal.simulate.simulation import collect_inbox
from replaytool.engines.temporal.simulate.simulation_state import SimulationState
from replaytool.model.history import Run
from replaytool.model.simulation import TASK_FAILS, Decision
from replaytool.replay.code.user_code import Code
from replaytool.replay.compare.drift import Decode
from replaytool.replay.isolation.state_keeper import restore_module_state
from replaytool.replay.options import Options

MOST_STEPS = 80
_FOR_EVER = 2**62
_CHILD = WorkflowExecution("guessed", "guessed")


@dataclass(frozen=True, slots=True)
class StepsOfTask:
    """The steps from one workflow task on: recorded, and of the code."""

    recorded: tuple[Decision, ...] = ()
    produced: tuple[Decision, ...] = ()
    fails: bool = False
    """Whether the code fails behind its last step: it was given no value, or a wrong one."""


@dataclass
class GuessedResults(RecordedResults):
    """Recorded results, and guesses for the commands that have none."""

    decode: Decode
    takes_next: bool
    """Guess the next result of this kind instead of no value."""
    listed: list[RecordedResult] = field(default_factory=list)
    asked: int = 0

    def __post_init__(self) -> None:
        """Start without results."""
        super().__init__(self.decode)

    def _index_result(self, found: RecordedResult) -> None:
        super()._index_result(found)
        self.listed.append(found)

    def take_result(self, kind: str, keys: tuple[str, str]) -> tuple[RecordedResult, Match] | None:
        """Return the recorded result, or a guess; None once the code has asked for enough steps."""
        self.asked += 1
        if self.asked > MOST_STEPS:
            return None
        found = super().take_result(kind, keys)
        if found is not None and (found[0].follows or found[0].marker is not None):
            return found
        if found is not None or kind == "timer":
            return found
        same_name = [one for one in self._named.get((kind, keys[0]), ()) if one.follows or one.marker is not None]
        following = [one for one in self.listed if one.kind == kind and not one.is_taken]
        if same_name:
            return same_name[-1], "assumed"  # one turn of a loop more
        if following and (self.takes_next or kind == "local_activity"):
            return following[0], "assumed"
        return self._guess_local_value(keys[0]) if kind == "local_activity" else _guess_no_value(kind), "assumed"

    def _guess_local_value(self, name: str) -> RecordedResult:
        """Return the result that an activity of this name has in the history, as the marker of a local one."""
        ends = (one.said for known in self._named.get(("activity", name), ()) for one in known.follows)
        value = next((said.result for said in ends if isinstance(said, ActivityCompleted) and said.result), None)
        marker = MarkerRecorded(LOCAL_ACTIVITY, {} if value is None else {"result": value})
        data = LocalActivityMarkerData(0, 1, "", name)
        return RecordedResult("local_activity", 0, 0, marker=LocalActivityResolution(data, marker))


def _guess_no_value(kind: str) -> RecordedResult:
    events: dict[str, list[tuple[str, EventPart]]] = {
        "activity": [(types.ACTIVITY_STARTED, ActivityCompleted()), ("ActivityTaskCompleted", ActivityCompleted())],
        "child_workflow": [
            (types.CHILD_STARTED, ChildStarted(0, _CHILD)),
            ("ChildWorkflowExecutionCompleted", ChildClosed()),
        ],
        "signal_workflow": [("ExternalWorkflowExecutionSignaled", ActivityCompleted())],
        "nexus_operation": [("NexusOperationCompleted", ChildClosed())],
    }
    return RecordedResult(kind, 0, 0, [FollowUpEvent(name, said, 0, 0) for name, said in events.get(kind, ())])


class _ReplayingDriver:
    """Tells the code that each activation is a replay, and which patches the whole history records."""

    def __init__(self, driver: InstanceDriver, patches: Sequence[str]) -> None:
        self._driver = driver
        self._patches = list(patches)

    def __getattr__(self, name: str) -> object:
        return getattr(self._driver, name)

    def activate(self, activation: WorkflowActivation) -> ActivationAnswer:
        """Send an activation as a replay."""
        activation.is_replaying = True
        for patch in self._patches:
            activation.jobs.append(WorkflowActivationJob(notify_has_patch=NotifyHasPatch(patch_id=patch)))
        self._patches.clear()
        return self._driver.activate(activation)


def list_steps_of_task(run: Run, code: Code, options: Options, event_id: int, *, takes_next: bool) -> StepsOfTask:
    """Return the recorded and the produced steps of the workflow task that wrote this event, and of those after it."""
    heads = list(event_heads(run.events))
    done = [one for one in heads if one.event_id < event_id and one.event_type == types.TASK_COMPLETED]
    if not done:
        return StepsOfTask()
    point, last = done[-1], heads[-1]
    decode = get_payload_decoder(code, options)
    supply = GuessedResults(decode, takes_next)
    supply.add_run(run.events, point.event_id)
    now = parse_nanoseconds(point.event_time) or parse_nanoseconds(last.event_time) or 0
    world = SimulationState(supply, now, _FOR_EVER, {}, collect_inbox([run], point.event_id), is_reset=False)
    record, reader = RecordedHistory(run), DecisionReader(decode)
    patches = [one.name for one in record.recorded_commands() if one.kind == "patch"]
    restore_module_state()
    begun = replace(run, events=take_events_before(run.events, point.event_id))
    with drive_past_end(begun, code, options) as course:
        course.driver = _ReplayingDriver(course.driver, patches)  # type: ignore[assignment]
        end = SimulatedServer(course, world).run_past_record()
        produced = tuple(reader.read_sent(world.sent[: 2 * MOST_STEPS]))
    recorded = tuple(reader.read_recorded(run.events, point.event_id))
    return StepsOfTask(recorded[:MOST_STEPS], produced[:MOST_STEPS], str(end.stopped).startswith(TASK_FAILS))
