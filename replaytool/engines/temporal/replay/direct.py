"""The direct engine: one run replayed by driving the SDK's own workflow instance, without the SDK's core.

A run is driven once at full speed. Only where there is something to tell it is driven a second time by a watched
instance, which knows the line of each command; what that shows is judged as what the SDK's replayer shows is.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import msgspec
import temporalio
from temporalio.worker import UnsandboxedWorkflowRunner, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from replaytool.engines.temporal.core.activations import Replay
from replaytool.engines.temporal.core.initialize_job import Beginning
from replaytool.engines.temporal.core.task_batches import unknown
from replaytool.engines.temporal.replay.fast_compare import Likeness
from replaytool.engines.temporal.replay.plain_values import decode_with
from replaytool.engines.temporal.replay.recorded_commands import Record
from replaytool.engines.temporal.replay.stepper import Course
from replaytool.engines.temporal.replay.unseen import unseen
from replaytool.engines.temporal.replay.verdicts import Case, judge
from replaytool.engines.temporal.sdk import fast_paths as lean
from replaytool.engines.temporal.sdk import recorder
from replaytool.engines.temporal.sdk.quiet_runtime import quiet, unhurried
from replaytool.engines.temporal.sdk.recording_runner import OFF, AsRecorded, recording
from replaytool.engines.temporal.sdk.shared_sandbox import SharedSandbox, entered, shared
from replaytool.engines.temporal.sdk.versions import NEWEST, OLDEST, RELEASE, differs
from replaytool.engines.temporal.sdk.workflow_instance import Driven, Worker, worker_of
from replaytool.model.history import Run
from replaytool.model.verdict import Verdict
from replaytool.replay import call_site as callsite
from replaytool.replay.code.user_code import Code
from replaytool.replay.compare.drift import Level
from replaytool.replay.compare.unstable import combine_verdicts
from replaytool.replay.isolation import side_effects as guard
from replaytool.replay.isolation.limits import DEADLOCK
from replaytool.replay.options import Options

SHARED = "shared"
_LOOKS, _PATIENCE = 8, 2.0
"""How often, and for how many seconds, what the first pass met by luck is looked for."""
_BOTTOM = Driven.activate.__code__
"""What is beneath this on a stack is not the run's."""


@dataclass(frozen=True, slots=True)
class HandOver:
    """A run that this engine cannot judge for certain: the SDK's replayer has to, and this is why."""

    reason: str


_PASSED = Verdict("ok", engine="direct")


def replay(run: Run, code: Code, options: Options) -> Verdict | HandOver:
    """The verdict on one run, or why somebody else must give it."""
    began = time.monotonic()
    outcome = _replayed(run, code, options)
    seconds = time.monotonic() - began
    if outcome is _PASSED:
        return Verdict("ok", engine="direct", seconds=seconds)
    return outcome if isinstance(outcome, HandOver) else replace(outcome, seconds=seconds)


def _replayed(run: Run, code: Code, options: Options) -> Verdict | HandOver:
    record = Record(run)
    malformed = record.malformed()
    if malformed:
        return Verdict("unverified", f"the history is malformed: {malformed}", engine="direct")
    cannot = cannot_judge(run, code)
    if cannot is not None:
        return cannot
    workflow = code.workflow_class(run.workflow_type)
    if workflow is None:
        known = ", ".join(code.definitions) or "none"
        text = f"no code for workflow type {run.workflow_type!r} (there is: {known})"
        return Verdict("unverified", text, engine="direct")
    callsite.claim_user_folders(code.roots)
    try:
        return _judged(record, workflow, code, options)
    except msgspec.ValidationError as error:
        return HandOver(f"an event does not read as the SDK would read it: {error}")


def cannot_judge(run: Run, code: Code) -> HandOver | None:
    """What this engine leaves to the SDK's replayer."""
    odd = unknown(run.events)
    if odd is not None:
        return HandOver(f"event {odd.event_id} is of a type that this engine does not know: {odd.event_type}")
    if not OLDEST <= RELEASE <= NEWEST:
        return HandOver(
            f"temporalio {temporalio.__version__} is not among the releases that this engine is tested with"
        )
    earlier = differs(run.events)
    if earlier:
        return HandOver(earlier)
    if any(type(one).run_replayer is not _PLUGIN_REPLAYER for one in code.settings.get("plugins", ())):
        return HandOver("a plugin takes part in replaying")
    return None


def course(run: Run, code: Code, options: Options, *, keep: bool = False) -> Course:
    """A run to be driven by the caller, step by step; kept, it can be gone on with past the end of its record."""
    bench = bench_of(code, options)
    worker, *runners = bench.worker("plain")
    return bench.begun(run, worker, *runners, keep=keep)


def _plugin_replayer() -> Any:
    from temporalio.worker import Plugin

    return getattr(Plugin, "run_replayer", None)


_PLUGIN_REPLAYER = _plugin_replayer()


def _judged(record: Record, workflow: type, code: Code, options: Options) -> Verdict:
    bench = bench_of(code, options)
    keeps = options.steps or options.snapshot is not None
    first = None if keeps else bench.first(record, workflow, options)
    if first is not None and bench.is_plain(record, first):
        first.course.let_go()
        return _PASSED
    verdict, second = _watched(record, bench, options, keeps)
    if first is None or bench.end_alike(record, first.course, second):
        return verdict
    return _unstable(record, bench, options, first.course, verdict)


def _watched(record: Record, bench: _Bench, options: Options, keeps: bool) -> tuple[Verdict, Course]:
    tape = recorder.Tape(snapshot=options.snapshot, guard=_watch(options))
    recorder.use(tape)
    try:
        course = bench.watched(record, tape)
    finally:
        recorder.use(None)
    return judge(Case(record, tape, course.says, bench.decode, bench.policy, engine="direct", steps=keeps)), course


def _unstable(record: Record, bench: _Bench, options: Options, first: Course, second: Verdict) -> Verdict:
    """Two passes that do not end alike: what the first one met is looked for again, to tell its lines."""
    verdicts, until = [second], time.monotonic() + _PATIENCE
    while len(verdicts) <= _LOOKS and time.monotonic() < until:
        verdict, course = _watched(record, bench, options, False)
        verdicts.append(verdict)
        if bench.end_alike(record, first, course):
            return combine_verdicts(verdicts)
    site = next((one.call_site for one in second.hazards if not one.refused), None)
    return combine_verdicts([*verdicts, unseen(record, first.says, first.replay.line, bench.decode, site)])


def _watch(options: Options) -> guard.SideEffectWatch | None:
    return (
        guard.SideEffectWatch(partial(callsite.site_of_stack, until=_BOTTOM), options.guard)
        if options.watch or options.guard
        else None
    )


@dataclass
class _Bench:
    """What is kept from one run to the next: workers, the way to read values, and what is known of pairs."""

    code: Code
    sandbox: str
    policy: Mapping[str, Level]
    workers: dict[str, tuple[Worker, AsRecorded, AsRecorded]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.decode = decode_with(self.worker("plain")[0].converter)
        self.likeness = Likeness(self.decode, self.policy)

    def worker(self, kind: str) -> tuple[Worker, AsRecorded, AsRecorded]:
        """The worker for full speed, the one that is watched, or the one whose runs are walked through."""
        if kind not in self.workers:
            make = {"plain": self._plain, "watched": recording, "walked": self._walked}[kind]
            settings = dict(self.code.settings)
            inside = AsRecorded(make(settings.get("workflow_runner"), self.sandbox), _NO_RUN)
            outside = AsRecorded(make(settings.get("unsandboxed_workflow_runner"), OFF), _NO_RUN)
            types = [*self.code.definitions.values(), *([self.code.dynamic] if self.code.dynamic else [])]
            settings |= {"workflow_runner": inside, "unsandboxed_workflow_runner": outside, "workflows": types}
            worker = worker_of(settings)
            if kind != "watched":
                lean.shorten(worker.inner)
            self.workers[kind] = (worker, inside, outside)
        return self.workers[kind]

    @staticmethod
    def _plain(given: WorkflowRunner | None, sandbox: str) -> WorkflowRunner:
        if sandbox == OFF:
            return UnsandboxedWorkflowRunner()
        return shared(given) if sandbox == SHARED else given or SandboxedWorkflowRunner()

    @staticmethod
    def _walked(given: WorkflowRunner | None, sandbox: str) -> WorkflowRunner:
        runner = recording(given, sandbox)
        return shared(runner) if sandbox == SHARED else runner

    def first(self, record: Record, workflow: type, options: Options) -> First:
        """Drive it at full speed."""
        worker, inside, outside = self.worker("plain")
        watch = _watch(options)
        runner = inside.inner
        with quiet(), guard.watch_side_effects(watch), entered(runner, workflow), unhurried(), lean.short_waits():
            course = self._drive(record.run, worker, inside, outside, brief=True)
        if isinstance(runner, SharedSandbox):
            runner.look_after(workflow)
        return First(course, bool(watch and watch.found))

    def is_plain(self, record: Record, first: First) -> bool:
        """Whether the run passes and nothing more is to be told of it."""
        return first.course.is_plain and not first.reached_out and self._is_alike(record, first.course)

    def _is_alike(self, record: Record, course: Course) -> bool:
        return self.likeness.is_plain(record, course.replay.tape, course.replay.line.matched)

    def end_alike(self, record: Record, one: Course, other: Course) -> bool:
        """Whether two passes came to the same end, as two passes of code that keeps to its inputs do."""
        if DEADLOCK in (one.says.message, other.says.message):
            return True  # a machine that is busy says nothing about the code
        return self._ending(record, one) == self._ending(record, other)

    def _ending(self, record: Record, course: Course) -> tuple[object, ...]:
        if course.says.word != "ok":
            return course.says.word, course.says.event_id
        return "ok", course.replay.line.has_leftovers, self._is_alike(record, course)

    def watched(self, record: Record, tape: recorder.Tape) -> Course:
        """Drive it with the recorder in place."""
        worker, inside, outside = self.worker("watched")

        def remember_place(thread: int) -> None:
            if tape.current is not None:
                tape.current.kept_at = callsite.site_of_thread(thread, _BOTTOM)

        if worker.watchdog is not None:
            worker.watchdog.on_interrupt = remember_place
        with quiet(), unhurried():
            return self._drive(record.run, worker, inside, outside)

    def _drive(self, run: Run, worker: Worker, *runners: AsRecorded, brief: bool = False) -> Course:
        course = self.begun(run, worker, *runners)
        course.is_brief = brief and not course.driven.converts
        for _ in course.steps():
            pass
        return course

    def begun(self, run: Run, worker: Worker, *runners: AsRecorded, keep: bool = False) -> Course:
        """A run that is about to be driven."""
        for runner in runners:
            runner.run = run
            runner.errors.clear()
        worker.place(run.namespace, run.task_queue)
        beginning = Beginning(run.workflow_id or "")
        driven = Driven(worker, run.workflow_id or "")
        return Course(Replay(run.events, beginning, worker.own_build), driven, keep=keep)


@dataclass(frozen=True, slots=True)
class First:
    """The pass at full speed."""

    course: Course
    reached_out: bool
    """Whether there are hazards to be told."""


_NO_RUN = Run("temporal", "", (), "", "", "", "")
_benches: list[_Bench] = []
_KEPT = 4


def bench_of(code: Code, options: Options) -> _Bench:
    """What is kept of this code under these options."""
    own: dict[str, Level] = {} if code.settings.get("interceptors") or code.settings.get("plugins") else _NO_HEADERS
    policy = {**own, **options.policy}
    for bench in _benches:
        if bench.code is code and bench.sandbox == options.sandbox and bench.policy == policy:
            return bench
    bench = _Bench(code, options.sandbox, policy)
    _benches.insert(0, bench)
    del _benches[_KEPT:]
    return bench


_NO_HEADERS: dict[str, Level] = {"header": "ignore"}
