"""The direct replayer: drives the SDK's own workflow instance, with sdk-core's rules from `core/` instead of sdk-core.

Each run is driven once at full speed. Only a run with something to report is driven again by a recording instance,
which knows the line of each command. Both replayers share the code that turns a recording into a verdict.
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
from replaytool.engines.temporal.replay.fast_compare import FastComparer
from replaytool.engines.temporal.replay.plain_values import make_payload_decoder
from replaytool.engines.temporal.replay.recorded_commands import Record
from replaytool.engines.temporal.replay.stepper import Stepper
from replaytool.engines.temporal.replay.unseen import judge_unrepeated_pass
from replaytool.engines.temporal.replay.verdicts import ReplayCase, judge_replay
from replaytool.engines.temporal.sdk import fast_paths as lean
from replaytool.engines.temporal.sdk import recorder
from replaytool.engines.temporal.sdk.quiet_runtime import relax_garbage_collector, silence_sdk_logs
from replaytool.engines.temporal.sdk.recording_runner import OFF, RecordedContextRunner, make_recording_runner
from replaytool.engines.temporal.sdk.shared_sandbox import SharedSandbox, enter_sandbox, share_sandbox
from replaytool.engines.temporal.sdk.versions import NEWEST, OLDEST, RELEASE, describe_release_difference
from replaytool.engines.temporal.sdk.workflow_instance import InstanceDriver, InstanceFactory, make_instance_factory
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
"""How many more passes, and for how many seconds, an ending of the first pass that did not repeat is looked for."""
_BOTTOM = InstanceDriver.activate.__code__
"""Frames below this one do not belong to the run."""


@dataclass(frozen=True, slots=True)
class HandOver:
    """Why the direct replayer cannot judge a run for certain, and the SDK's replayer must."""

    reason: str


_PASSED = Verdict("ok", engine="direct")


def replay_directly(run: Run, code: Code, options: Options) -> Verdict | HandOver:
    """Return the verdict on one run, or the reason to hand it over to the SDK's replayer."""
    began = time.monotonic()
    outcome = _check_and_replay(run, code, options)
    seconds = time.monotonic() - began
    if outcome is _PASSED:
        return Verdict("ok", engine="direct", seconds=seconds)
    return outcome if isinstance(outcome, HandOver) else replace(outcome, seconds=seconds)


def _check_and_replay(run: Run, code: Code, options: Options) -> Verdict | HandOver:
    record = Record(run)
    malformed = record.malformed()
    if malformed:
        return Verdict("unverified", f"the history is malformed: {malformed}", engine="direct")
    cannot = find_handover_reason(run, code)
    if cannot is not None:
        return cannot
    workflow = code.workflow_class(run.workflow_type)
    if workflow is None:
        known = ", ".join(code.definitions) or "none"
        text = f"no code for workflow type {run.workflow_type!r} (there is: {known})"
        return Verdict("unverified", text, engine="direct")
    callsite.claim_user_folders(code.roots)
    try:
        return _replay_in_passes(record, workflow, code, options)
    except msgspec.ValidationError as error:
        return HandOver(f"an event does not read as the SDK would read it: {error}")


def find_handover_reason(run: Run, code: Code) -> HandOver | None:
    """Return why only the SDK's replayer can judge this run; None where the direct replayer can."""
    odd = unknown(run.events)
    if odd is not None:
        return HandOver(f"event {odd.event_id} is of a type that the direct engine does not know: {odd.event_type}")
    if not OLDEST <= RELEASE <= NEWEST:
        return HandOver(
            f"temporalio {temporalio.__version__} is not among the releases that the direct engine is tested with"
        )
    earlier = describe_release_difference(run.events)
    if earlier:
        return HandOver(earlier)
    if any(type(one).run_replayer is not _PLUGIN_REPLAYER for one in code.settings.get("plugins", ())):
        return HandOver("a plugin overrides `run_replayer`")
    return None


def open_stepper(run: Run, code: Code, options: Options, *, keep: bool = False) -> Stepper:
    """Return a stepper that the caller drives; with `keep` its instance stays alive past the end of the record."""
    bench = get_direct_replayer(code, options)
    worker, *runners = bench.get_factory("plain")
    return bench.start_stepper(run, worker, *runners, keep=keep)


def _default_run_replayer() -> Any:
    from temporalio.worker import Plugin

    return getattr(Plugin, "run_replayer", None)


_PLUGIN_REPLAYER = _default_run_replayer()


def _replay_in_passes(record: Record, workflow: type, code: Code, options: Options) -> Verdict:
    bench = get_direct_replayer(code, options)
    keeps = options.steps or options.snapshot is not None
    first = None if keeps else bench.run_fast_pass(record, workflow, options)
    if first is not None and bench.has_nothing_to_report(record, first):
        first.course.release_machines()
        return _PASSED
    verdict, second = _replay_watched(record, bench, options, keeps)
    if first is None or bench.have_same_ending(record, first.course, second):
        return verdict
    return _judge_unstable_run(record, bench, options, first.course, verdict)


def _replay_watched(record: Record, bench: DirectReplayer, options: Options, keeps: bool) -> tuple[Verdict, Stepper]:
    tape = recorder.Tape(snapshot=options.snapshot, guard=_make_side_effect_watch(options))
    recorder.use(tape)
    try:
        course = bench.run_watched_pass(record, tape)
    finally:
        recorder.use(None)
    return judge_replay(
        ReplayCase(record, tape, course.says, bench.decode, bench.policy, engine="direct", steps=keeps)
    ), course


def _judge_unstable_run(
    record: Record, bench: DirectReplayer, options: Options, first: Stepper, second: Verdict
) -> Verdict:
    """Judge a run whose two passes end differently: repeat the recorded pass until the first ending shows again."""
    verdicts, until = [second], time.monotonic() + _PATIENCE
    while len(verdicts) <= _LOOKS and time.monotonic() < until:
        verdict, course = _replay_watched(record, bench, options, False)
        verdicts.append(verdict)
        if bench.have_same_ending(record, first, course):
            return combine_verdicts(verdicts)
    site = next((one.call_site for one in second.hazards if not one.refused), None)
    return combine_verdicts(
        [*verdicts, judge_unrepeated_pass(record, first.says, first.replay.line, bench.decode, site)]
    )


def _make_side_effect_watch(options: Options) -> guard.SideEffectWatch | None:
    return (
        guard.SideEffectWatch(partial(callsite.site_of_stack, until=_BOTTOM), options.guard)
        if options.watch or options.guard
        else None
    )


@dataclass
class DirectReplayer:
    """What all runs of one code share: instance factories, the payload decoder, and the results of comparisons."""

    code: Code
    sandbox: str
    policy: Mapping[str, Level]
    workers: dict[str, tuple[InstanceFactory, RecordedContextRunner, RecordedContextRunner]] = field(
        default_factory=dict
    )

    def __post_init__(self) -> None:
        self.decode = make_payload_decoder(self.get_factory("plain")[0].converter)
        self.likeness = FastComparer(self.decode, self.policy)

    def get_factory(self, kind: str) -> tuple[InstanceFactory, RecordedContextRunner, RecordedContextRunner]:
        """Return the factory and its two runners: plain (full speed), watched (records lines) or walked (debugger)."""
        if kind not in self.workers:
            make = {
                "plain": self._make_plain_runner,
                "watched": make_recording_runner,
                "walked": self._make_walked_runner,
            }[kind]
            settings = dict(self.code.settings)
            inside = RecordedContextRunner(make(settings.get("workflow_runner"), self.sandbox), _NO_RUN)
            outside = RecordedContextRunner(make(settings.get("unsandboxed_workflow_runner"), OFF), _NO_RUN)
            types = [*self.code.definitions.values(), *([self.code.dynamic] if self.code.dynamic else [])]
            settings |= {"workflow_runner": inside, "unsandboxed_workflow_runner": outside, "workflows": types}
            worker = make_instance_factory(settings)
            if kind != "watched":
                lean.use_fast_converter(worker.inner)
            self.workers[kind] = (worker, inside, outside)
        return self.workers[kind]

    @staticmethod
    def _make_plain_runner(given: WorkflowRunner | None, sandbox: str) -> WorkflowRunner:
        if sandbox == OFF:
            return UnsandboxedWorkflowRunner()
        return share_sandbox(given) if sandbox == SHARED else given or SandboxedWorkflowRunner()

    @staticmethod
    def _make_walked_runner(given: WorkflowRunner | None, sandbox: str) -> WorkflowRunner:
        runner = make_recording_runner(given, sandbox)
        return share_sandbox(runner) if sandbox == SHARED else runner

    def run_fast_pass(self, record: Record, workflow: type, options: Options) -> FastPass:
        """Drive the run at full speed, without recording lines."""
        worker, inside, outside = self.get_factory("plain")
        watch = _make_side_effect_watch(options)
        runner = inside.inner
        with (
            silence_sdk_logs(),
            guard.watch_side_effects(watch),
            enter_sandbox(runner, workflow),
            relax_garbage_collector(),
            lean.use_fast_awaits(),
        ):
            course = self._drive_to_end(record.run, worker, inside, outside, brief=True)
        if isinstance(runner, SharedSandbox):
            runner.check_after_run(workflow)
        return FastPass(course, bool(watch and watch.found))

    def has_nothing_to_report(self, record: Record, first: FastPass) -> bool:
        """Return whether the run passes without drift and without hazards."""
        return first.course.is_plain and not first.reached_out and self._has_equal_commands(record, first.course)

    def _has_equal_commands(self, record: Record, course: Stepper) -> bool:
        return self.likeness.are_all_equal(record, course.replay.tape, course.replay.line.matched)

    def have_same_ending(self, record: Record, one: Stepper, other: Stepper) -> bool:
        """Return whether two passes ended alike, as all passes of deterministic code do."""
        if DEADLOCK in (one.says.message, other.says.message):
            return True  # a busy machine causes time-outs too: they do not show that the code is unstable
        return self._describe_ending(record, one) == self._describe_ending(record, other)

    def _describe_ending(self, record: Record, course: Stepper) -> tuple[object, ...]:
        if course.says.word != "ok":
            return course.says.word, course.says.event_id
        return "ok", course.replay.line.has_leftovers, self._has_equal_commands(record, course)

    def run_watched_pass(self, record: Record, tape: recorder.Tape) -> Stepper:
        """Drive the run with the recorder in place."""
        worker, inside, outside = self.get_factory("watched")

        def remember_call_site(thread: int) -> None:
            if tape.current is not None:
                tape.current.kept_at = callsite.site_of_thread(thread, _BOTTOM)

        if worker.watchdog is not None:
            worker.watchdog.on_interrupt = remember_call_site
        with silence_sdk_logs(), relax_garbage_collector():
            return self._drive_to_end(record.run, worker, inside, outside)

    def _drive_to_end(
        self, run: Run, worker: InstanceFactory, *runners: RecordedContextRunner, brief: bool = False
    ) -> Stepper:
        course = self.start_stepper(run, worker, *runners)
        course.is_brief = brief and not course.driven.converts
        for _ in course.run_steps():
            pass
        return course

    def start_stepper(
        self, run: Run, worker: InstanceFactory, *runners: RecordedContextRunner, keep: bool = False
    ) -> Stepper:
        """Return a stepper for the run, at its beginning."""
        for runner in runners:
            runner.run = run
            runner.errors.clear()
        worker.set_run_context(run.namespace, run.task_queue)
        beginning = Beginning(run.workflow_id or "")
        driven = InstanceDriver(worker, run.workflow_id or "")
        return Stepper(Replay(run.events, beginning, worker.get_build_id), driven, keep=keep)


@dataclass(frozen=True, slots=True)
class FastPass:
    """The result of the pass at full speed."""

    course: Stepper
    reached_out: bool
    """Whether the code reached a clock, a network or another side effect."""


_NO_RUN = Run("temporal", "", (), "", "", "", "")
_benches: list[DirectReplayer] = []
_KEPT = 4


def get_direct_replayer(code: Code, options: Options) -> DirectReplayer:
    """Return the replayer for this code and these options; the last few are kept."""
    own: dict[str, Level] = {} if code.settings.get("interceptors") or code.settings.get("plugins") else _NO_HEADERS
    policy = {**own, **options.policy}
    for bench in _benches:
        if bench.code is code and bench.sandbox == options.sandbox and bench.policy == policy:
            return bench
    bench = DirectReplayer(code, options.sandbox, policy)
    _benches.insert(0, bench)
    del _benches[_KEPT:]
    return bench


_NO_HEADERS: dict[str, Level] = {"header": "ignore"}
