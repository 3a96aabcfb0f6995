"""The contract of an engine: what replaytool asks of one, and which parts may be absent.

An engine is a class that derives from `Engine` and overrides the parts that it has. Each part is imported by the
method that returns it, so that naming an engine costs nothing. An absent part is refused by
`replaytool.engines.require_part`, in one sentence. An engine never reads the command line, never prints and never
opens the store.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from datetime import timedelta

    from replaytool.config import Settings
    from replaytool.model.debug_state import ExpressionValue, ReplayedState, Trouble
    from replaytool.model.event_label import EventLabel
    from replaytool.model.event_role import EventRole
    from replaytool.model.history import Event, EventHead, Payload, Run
    from replaytool.model.patches import FoundCall, PatchMarker
    from replaytool.model.pending_work import WorkRecord
    from replaytool.model.pull_options import Known, PullOptions, PullProgress
    from replaytool.model.record_features import RecordFeatures
    from replaytool.model.recorded_step import RecordedStep
    from replaytool.model.reset_case import HazardCase
    from replaytool.model.reset_plan import Level, ResetItem, ResetPlan
    from replaytool.model.reset_server import FirstTask, Poller, ResetRun, ResetSettings, RunDescription
    from replaytool.model.run_facts import RunFacts
    from replaytool.model.scrub_result import ScrubResult
    from replaytool.model.server_options import ServerOptions, ServerTarget
    from replaytool.model.simulation import HistoryEdits, Simulation
    from replaytool.model.task_index import TaskIndex
    from replaytool.model.verdict import CallSite, Verdict
    from replaytool.model.workflow_state import WorkflowState
    from replaytool.replay.code.user_code import Code, CodeFinder
    from replaytool.replay.inspect_state.expressions import Expression
    from replaytool.replay.jobs import WorkerJob
    from replaytool.replay.options import Options
    from replaytool.sources import HistorySource

Strategy = Callable[["Run", "Code", "Options"], "Verdict"]
"""Replay one run in this process, which is a child of ours, and return the verdict. No real step may run."""


class ValueDecoder(Protocol):
    """Turns recorded values into plain data."""

    def decode_values(self, payloads: Sequence[Payload]) -> Sequence[object]:
        """Return the values as plain data; a value that cannot be decoded becomes a description of itself."""
        ...

    def make_readable(self, event: object) -> Any:
        """Return the JSON of an event with every encoded value decoded."""
        ...

    def decode_run(self, run: Run) -> Run:
        """Return the run with values that a codec has decoded, for `load --decode`."""
        ...


class RecordReader(Protocol):
    """What an engine's events say. Nothing here runs user code."""

    def read_history(self, run: Run, history: bytes) -> Run:
        """Return the run with its events, which the store hands over as JSON: `{"events": [...]}`."""
        ...

    def name_events(self, events: Iterable[Event]) -> Iterator[tuple[Event, str, Mapping[str, Any]]]:
        """Yield each event with the name that its user knows it by, and with its attributes."""
        ...

    def classify_event(self, event_type: str) -> EventRole:
        """Return the role of events of this type."""
        ...

    def split_event(self, whole: Mapping[str, object]) -> tuple[Mapping[str, object], Mapping[str, object]]:
        """Return what this type of event has, and the fields that every event has, from an event's JSON."""
        ...

    def label_events(self, events: Iterable[Event], decoder: ValueDecoder) -> list[EventLabel]:
        """Return what a run did, without the engine's bookkeeping, to be compared with another run."""
        ...

    def summarize_value(self, attributes: Mapping[str, object]) -> object:
        """Return what an event carried: arguments, a result, a failure's message."""
        ...

    def read_carried_values(self, attributes: Mapping[str, object]) -> str | Sequence[object]:
        """Return the values that an event carried, one by one; as text if it is a message or a duration."""
        ...

    def read_work(self, events: Sequence[Event], readable: Callable[[object], object] | None = None) -> WorkRecord:
        """Return what the run waited for at each event."""
        ...

    def index_tasks(self, events: Sequence[EventHead], builds: Mapping[int, str] | None = None) -> TaskIndex:
        """Return the moments at which user code ran to its next wait."""
        ...

    def make_decoder(self, settings: Settings) -> ValueDecoder:
        """Return what decodes recorded values with these settings."""
        ...

    def read_features(self, run: Run) -> RecordFeatures:
        """Return what a history covers without any code, for `select` and `coverage`."""
        ...

    def read_steps(self, run: Run) -> Sequence[RecordedStep]:
        """Return the run's steps for the `steps` view; nothing if the engine's views.sql computes them."""
        ...


class RecordedStates(Protocol):
    """One run replayed with one code: the state after each of its tasks."""

    trouble: Trouble | None
    """Why the run could not be driven, or what ended the replay early."""

    def record_states(self) -> None:
        """Replay the run once, and keep what each task leaves behind."""
        ...

    def moment_at(self, event_id: int) -> ReplayedState:
        """Return the replayed side just after an event."""
        ...

    def encode_states(self) -> list[tuple[int, bytes]]:
        """Return the state after each task as bytes, to be compared with another build's."""
        ...

    def evaluate_at_events(self, expression: Expression) -> list[ExpressionValue]:
        """Return the expression's value at each step."""
        ...

    def find_changing_line(
        self, expression: Expression, task_event_id: int, *, truth: bool
    ) -> tuple[CallSite | None, int | None]:
        """Return the line that made the expression what it is after a task, and the task in which it ran."""
        ...


StateRecorder = Callable[["Run", "Code", "Options", Mapping[int, str], Callable[[int], None]], RecordedStates]
"""Prepare one run with one code for questions; the last argument is told how many events the replay is past."""
Debugger = Callable[["Run", "Code", int], str]
"""Stop in pdb where the task of an event begins to run, and return how that ended."""


Export = Callable[[Sequence["Event"]], bytes]
"""Return a history as the bytes of a file."""
Hazard = Callable[["HazardCase"], Iterator[tuple["Level", str]]]
"""Return the level and the text of each warning about one planned reset."""


class ResetModel(Protocol):
    """How runs of the engine go back to an earlier point. The planner finds points and effects in the facts."""

    @property
    def action(self) -> str:
        """`reset` if the engine ends the run and goes on from the point; `fork` if it starts another run there."""
        ...

    @property
    def silent_events(self) -> Sequence[str]:
        """Event types whose content a plan never needs."""
        ...

    @property
    def hazards(self) -> Mapping[str, Hazard]:
        """What may go wrong, by the code of the warning."""
        ...

    def read_facts(
        self, row: Mapping[str, object], events: Iterable[Event], problems: tuple[str, ...] = ()
    ) -> RunFacts:
        """Return what a plan needs to know of a run; `row` is its row of the view `runs`."""
        ...


class ResetExecutor(Protocol):
    """How a plan is executed on a server, and how the result is verified."""

    @property
    def solved_by_pin(self) -> Set[str]:
        """The codes of warnings that block a reset, unless the new run is pinned to a build."""
        ...

    def format_command(self, plan: ResetPlan, item: ResetItem, how: ResetSettings, address: str | None) -> list[str]:
        """Return the words of the command with which the engine's own command line makes this reset."""
        ...

    async def connect_to_server(self, options: ServerOptions) -> ResetConnection:
        """Connect to the server that executes resets, and check that it has the namespace."""
        ...


class ResetConnection(Protocol):
    """The calls of a reset to a server: a few reads, and the reset itself."""

    target: ServerTarget

    async def fetch_retention(self) -> timedelta | None:
        """Return how long the server keeps closed runs."""
        ...

    async def describe_run(self, workflow_id: str, run_id: str = "") -> RunDescription | None:
        """Return the run, or the newest run of the workflow; None if the server no longer has it."""
        ...

    async def fetch_run(self, workflow_id: str, run_id: str) -> Run:
        """Return the run as the server has it now."""
        ...

    async def fetch_run_facts(self, workflow_id: str, run_id: str) -> RunFacts:
        """Return the facts of the run as the server has it now."""
        ...

    async def find_first_task(self, workflow_id: str, run_id: str, reset_event: int) -> FirstTask | None:
        """Return the task after the reset that decides, or None if none has ended yet."""
        ...

    async def is_reset_run(self, workflow_id: str, run_id: str, reset_event: int, token: str) -> bool:
        """Return whether the reset with this token made the run."""
        ...

    async def read_reset_run(self, workflow_id: str, run_id: str, reset_event: int, token: str) -> ResetRun | None:
        """Return what the run did since the reset; None if no reset with this token made it."""
        ...

    async def count_messages(self, workflow_id: str, run_id: str) -> int:
        """Return how many signals and updates a run has."""
        ...

    async def query_workflow(self, workflow_id: str, name: str) -> tuple[Payload | None, str | None]:
        """Return a worker's answer to a query, or why there is none."""
        ...

    async def list_pollers(self, task_queue: str) -> list[Poller]:
        """Return the workers that polled the queue in the last minutes."""
        ...

    async def reset_run(self, workflow_id: str, run_id: str, event_id: int, token: str, how: ResetSettings) -> str:
        """Reset a run once, without a retry, and return the ID of the new run.

        Raise `ResetRefused` if nothing happened, and `AnswerLost` if the reset may have happened.
        """
        ...


class Simulator(Protocol):
    """How a run goes on past its record."""

    @property
    def job(self) -> WorkerJob[Simulation]:
        """The job of a worker process. Its argument is the `SimulationRequest`, and the runs that followed."""
        ...

    def apply_edits(self, events: Sequence[Event], edits: HistoryEdits, point: int) -> list[Event]:
        """Return the edited history. Events up to the point cannot be edited."""
        ...


class HistoryServer(Protocol):
    """A server that holds histories of the engine."""

    def pull_histories(self, options: PullOptions, known: Known, progress: PullProgress) -> Iterator[HistorySource]:
        """Yield the histories that the options name, each as a source."""
        ...


class ChangeGuard(Protocol):
    """How new code keeps the old path for runs that were recorded before it."""

    module_name: str
    """The name that a condition needs in its file."""
    import_line: str

    def write_condition(self, change_id: str) -> str:
        """Return the expression that is false for runs that were recorded without it."""
        ...

    def find_hindrance(self, functions: Sequence[ast.FunctionDef | ast.AsyncFunctionDef]) -> str:
        """Return why code inside of these functions cannot be guarded; "" if it can."""
        ...


class PatchModel(Protocol):
    """How histories record patches, and how code asks for them."""

    marker_types: Sequence[str]
    """The types of the events that can be a marker."""
    deprecating: str
    """The function that marks a patch as deprecated, as people write it."""

    def read_markers(self, events: Iterable[Event]) -> Iterator[PatchMarker]:
        """Yield the patch markers among these events."""
        ...

    def find_calls(self, tree: ast.Module) -> Iterator[FoundCall]:
        """Yield the calls about patches in a file."""
        ...


class Engine:
    """One engine."""

    name: str
    """As runs have it in their column `engine`."""
    title: str
    """As people write it."""
    extra: str = ""
    """What installs its library: `pip install 'replaytool[EXTRA]'`; "" where nothing is needed."""
    cannot_see: Sequence[str] = ()
    """What its record does not hold, so that no replay can compare it."""

    def list_unseen_parts(self, run: Run) -> Sequence[str]:
        """Return what this run's record does not hold; an engine may know it for each run."""
        return self.cannot_see

    def record_reader(self) -> RecordReader:
        """Return what reads its events. Every engine has this part."""
        raise NotImplementedError

    def code_finder(self) -> CodeFinder | None:
        """Return how its workflow code is found."""
        return None

    def strategies(self) -> Mapping[str, Strategy]:
        """Return the ways to replay a run, by the name that `--engine` takes; the default is `auto`."""
        return {}

    def state_recorder(self) -> StateRecorder | None:
        """Return what records states for `debug`."""
        return None

    def debugger(self) -> Debugger | None:
        """Return what stops in pdb inside the user's code."""
        return None

    def reset_model(self) -> ResetModel | None:
        """Return how its runs are reset or forked."""
        return None

    def reset_executor(self) -> ResetExecutor | None:
        """Return how plans are executed on a server."""
        return None

    def simulator(self) -> Simulator | None:
        """Return how its runs are simulated."""
        return None

    def change_guard(self) -> ChangeGuard | None:
        """Return how `check --fix` guards a change."""
        return None

    def patch_model(self) -> PatchModel | None:
        """Return how its patches are found, for `patches`."""
        return None

    def final_state_job(self) -> WorkerJob[WorkflowState] | None:
        """Return the job that replays a run to its end, for plans that depend on states."""
        return None

    def server(self) -> HistoryServer | None:
        """Return how histories are fetched from a server."""
        return None

    def scrub_job(self) -> WorkerJob[ScrubResult] | None:
        """Return the job that replaces personal data in a history."""
        return None

    def exports(self) -> Mapping[str, Export]:
        """Return the formats in which its own tools read a history, by the name that `export --format` takes."""
        return {}

    def find_pinned_build(self, facts: Mapping[str, str]) -> str | None:
        """Return the build that a run is pinned to. `facts` are the newest of each kind in its view `pin_facts`."""
        return None

    def check_installation(self, settings: Settings) -> Iterable[tuple[str, bool, str, str]]:
        """Yield for `doctor`: a name, whether it is fine, what was found, and what to do."""
        return ()

    def prepare_child(self) -> AbstractContextManager[object]:
        """Set up a child process in which runs of this engine are replayed."""
        return nullcontext()
