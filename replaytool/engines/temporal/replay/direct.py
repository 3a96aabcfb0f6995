"""The direct replayer: drives the SDK's own workflow instance, with sdk-core's rules from `core/` instead of sdk-core.

Each run is driven once at full speed. Only a run with something to report is driven again by a recording instance,
which knows the line of each command. Both replayers share the code that turns a recording into a verdict.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial

import msgspec
import temporalio
from temporalio.worker import UnsandboxedWorkflowRunner, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from replaytool.engines.temporal.core.history_batches import find_unknown_event
from replaytool.engines.temporal.core.initialize_job import Beginning
from replaytool.engines.temporal.core.workflow_machines import WorkflowMachines
from replaytool.engines.temporal.replay.fast_compare import FastComparer
from replaytool.engines.temporal.replay.plain_values import make_payload_decoder
from replaytool.engines.temporal.replay.recorded_commands import RecordedHistory
from replaytool.engines.temporal.replay.sandbox_refusals import refuse_sandboxed_code
from replaytool.engines.temporal.replay.server_defaults import get_drift_policy
from replaytool.engines.temporal.replay.stepper import Stepper
from replaytool.engines.temporal.replay.verdicts import (
    ReplayCase,
    judge_replay,
    judge_unrepeated_pass,
    refuse_malformed,
    refuse_missing_code,
)
from replaytool.engines.temporal.replay.volatile import drop_volatile_drift
from replaytool.engines.temporal.sdk import fast_paths, recorder
from replaytool.engines.temporal.sdk.plugins import find_custom_plugin, hold_plugins
from replaytool.engines.temporal.sdk.quiet_runtime import relax_garbage_collector, silence_sdk_logs
from replaytool.engines.temporal.sdk.recording_runner import make_recording_runner
from replaytool.engines.temporal.sdk.shared_sandbox import check_sandbox, enter_sandbox, share_sandbox
from replaytool.engines.temporal.sdk.versions import NEWEST, OLDEST, RELEASE, describe_release_difference
from replaytool.engines.temporal.sdk.workflow_instance import (
    ACTIVATE_CODE,
    InstanceDriver,
    InstanceFactory,
    make_instance_factory,
)
from replaytool.model.history import Run
from replaytool.model.verdict import Verdict
from replaytool.replay import call_site as callsite
from replaytool.replay.code.user_code import Code
from replaytool.replay.compare.drift import Level
from replaytool.replay.compare.unstable import combine_verdicts
from replaytool.replay.isolation import side_effects as guard
from replaytool.replay.isolation.limits import DEADLOCK
from replaytool.replay.isolation.state_keeper import restore_module_state
from replaytool.replay.options import OFF, SHARED, Options

_MOST_PASSES, _PATIENCE = 8, 2.0
"""How many more passes, and for how many seconds, an ending of the first pass that did not repeat is looked for."""


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
    record = RecordedHistory(run)
    refused = refuse_malformed(record, "direct") or find_handover_reason(run, code)
    refused = refused or refuse_missing_code(run, code, "direct")
    if refused is not None:
        return refused
    callsite.claim_user_folders(code.roots)
    refused = refuse_sandboxed_code(run, code, options, "direct")
    if refused is not None:
        return refused
    try:
        return get_direct_replayer(code, options).judge_run(record, options)
    except msgspec.ValidationError as error:
        return HandOver(f"an event does not read as the SDK would read it: {error}")


def find_handover_reason(run: Run, code: Code) -> HandOver | None:
    """Return why only the SDK's replayer can judge this run; None where the direct replayer can."""
    odd = find_unknown_event(run.events)
    if odd is not None:
        return HandOver(f"event {odd.event_id} is of a type that the direct engine does not know: {odd.event_type}")
    if not OLDEST <= RELEASE <= NEWEST:
        return HandOver(
            f"temporalio {temporalio.__version__} is not among the releases that the direct engine is tested with"
        )
    difference = describe_release_difference(run.events)
    if difference:
        return HandOver(difference)
    plugin = find_custom_plugin(code.settings)
    if plugin is not None:
        return HandOver(f"the plugin {plugin.name()} overrides `run_replayer`")
    return None


def open_stepper(run: Run, code: Code, options: Options, *, keep: bool = False) -> Stepper:
    """Return a stepper that the caller drives; with `keep` its instance stays alive past the end of the record."""
    replayer = get_direct_replayer(code, options)
    return replayer.start_stepper(run, replayer.get_factory("plain"), keep=keep)


class DirectReplayer:
    """Judges runs of one code. They share instance factories, the payload decoder and the results of comparisons."""

    def __init__(self, code: Code, sandbox: str, policy: Mapping[str, Level]) -> None:
        self.code, self.sandbox, self.policy = code, sandbox, policy
        self._factories: dict[str, InstanceFactory] = {}
        self.decode = make_payload_decoder(self.get_factory("plain").converter)
        self._comparer = FastComparer(self.decode, policy)

    def get_factory(self, kind: str) -> InstanceFactory:
        """Return the factory for full speed ("plain"), for recorded passes ("watched") or for a debugger ("walked")."""
        if kind not in self._factories:
            settings = dict(self.code.settings)
            runner = self._make_runner(kind, settings.get("workflow_runner"), self.sandbox)
            outside = self._make_runner(kind, settings.get("unsandboxed_workflow_runner"), OFF)
            types = self.code.workflow_classes
            settings |= {"workflow_runner": runner, "unsandboxed_workflow_runner": outside, "workflows": types}
            factory = make_instance_factory(settings)
            if kind != "watched":
                fast_paths.use_fast_converter(factory.worker)
            self._factories[kind] = factory
        return self._factories[kind]

    @staticmethod
    def _make_runner(kind: str, given: WorkflowRunner | None, sandbox: str) -> WorkflowRunner:
        if kind == "plain":
            runner = UnsandboxedWorkflowRunner() if sandbox == OFF else given or SandboxedWorkflowRunner()
        else:
            runner = make_recording_runner(given, sandbox)
        # A report must show what a worker would do, so a recorded pass has a sandbox of its own.
        return share_sandbox(runner) if sandbox == SHARED and kind != "watched" else runner

    def start_stepper(self, run: Run, factory: InstanceFactory, *, keep: bool = False) -> Stepper:
        """Return a stepper for the run, at its beginning."""
        factory.set_run(run)
        workflow_id = run.workflow_id or ""
        machines = WorkflowMachines(run.events, Beginning(workflow_id), factory.get_build_id)
        return Stepper(machines, InstanceDriver(factory, workflow_id), keep=keep)

    def _drive_to_end(self, run: Run, factory: InstanceFactory, *, brief: bool = False) -> Stepper:
        stepper = self.start_stepper(run, factory)
        stepper.is_brief = brief and not stepper.driver.uses_codec
        for _ in stepper.run_steps():
            pass
        return stepper

    def hold_plugins(self) -> AbstractContextManager[None]:
        """Keep the plugins' contexts open while a run is driven."""
        return hold_plugins(self.code.settings, self.code.workflow_classes)

    def judge_run(self, record: RecordedHistory, options: Options) -> Verdict:
        """Judge one run inside the plugins' contexts."""
        with self.hold_plugins():
            return self._judge_run(record, options)

    def _judge_run(self, record: RecordedHistory, options: Options) -> Verdict:
        """Drive the run at full speed, and record it only if there is something to report."""
        if options.steps or options.snapshot is not None:
            return self._judge_case(self._record_pass(record, options)[0], options)
        first, has_hazards = self._run_fast_pass(record, options)
        if first.is_clean and not has_hazards and self.has_equal_commands(record, first):
            first.release_machines()
            return _PASSED
        case, second = self._record_pass(record, options)
        if self._have_same_ending(record, first, second):
            return self._judge_case(case, options)
        verdict = judge_replay(case)
        return self._judge_unstable_run(record, options, first, verdict)

    def _run_fast_pass(self, record: RecordedHistory, options: Options) -> tuple[Stepper, bool]:
        """Drive the run without recording lines; return whether it has hazards too."""
        factory = self.get_factory("plain")
        workflow = self.code.workflow_class(record.run.workflow_type)
        watch = make_side_effect_watch(options)
        with (
            silence_sdk_logs(),
            guard.watch_side_effects(watch),
            enter_sandbox(factory.runner, workflow),
            relax_garbage_collector(),
            fast_paths.use_fast_awaits(),
        ):
            stepper = self._drive_to_end(record.run, factory, brief=True)
        check_sandbox(factory.runner, workflow)
        return stepper, bool(watch and watch.found)

    def _judge_case(self, case: ReplayCase, options: Options) -> Verdict:
        plain = replace(options, steps=False, snapshot=None)
        return drop_volatile_drift(judge_replay(case), case, lambda: self._record_pass(case.record, plain)[0])

    def _record_pass(self, record: RecordedHistory, options: Options) -> tuple[ReplayCase, Stepper]:
        """Drive the run with the recorder in place, without fast paths."""
        restore_module_state()
        factory = self.get_factory("watched")
        tape = recorder.RecordedTape(snapshot=options.snapshot, guard=make_side_effect_watch(options))
        factory.note_deadlocks_on(tape)
        recorder.set_active_tape(tape)
        try:
            with silence_sdk_logs(), relax_garbage_collector():
                stepper = self._drive_to_end(record.run, factory)
        finally:
            recorder.set_active_tape(None)
        keeps_steps = options.steps or options.snapshot is not None
        case = ReplayCase(record, tape, stepper.outcome, self.decode, self.policy, engine="direct", steps=keeps_steps)
        return replace(case, has_converter="data_converter" in self.code.settings), stepper

    def _judge_unstable_run(
        self, record: RecordedHistory, options: Options, first: Stepper, verdict: Verdict
    ) -> Verdict:
        """Judge a run whose two passes end differently: repeat the recorded pass until the first ending shows again."""
        verdicts, until = [verdict], time.monotonic() + _PATIENCE
        while len(verdicts) <= _MOST_PASSES and time.monotonic() < until:
            again, stepper = self._record_pass(record, options)
            verdicts.append(judge_replay(again))
            if self._have_same_ending(record, first, stepper):
                return combine_verdicts(verdicts)
        site = next((one.call_site for one in verdict.hazards if not one.refused), None)
        unrepeated = judge_unrepeated_pass(record, first.outcome, first.machines.queue, self.decode, site)
        return combine_verdicts([*verdicts, unrepeated])

    def has_equal_commands(self, record: RecordedHistory, stepper: Stepper) -> bool:
        """Return whether every matched command equals its event, without drift."""
        return self._comparer.are_all_equal(record, stepper.machines.history, stepper.machines.queue.matched)

    def _have_same_ending(self, record: RecordedHistory, one: Stepper, other: Stepper) -> bool:
        """Return whether two passes ended alike, as all passes of deterministic code do."""
        if DEADLOCK in (one.outcome.message, other.outcome.message):
            return True  # a busy machine causes time-outs too: they do not show that the code is unstable
        return self._describe_ending(record, one) == self._describe_ending(record, other)

    def _describe_ending(self, record: RecordedHistory, stepper: Stepper) -> tuple[object, ...]:
        if stepper.outcome.word != "ok":
            return stepper.outcome.word, stepper.outcome.event_id
        return "ok", stepper.machines.queue.has_leftovers, self.has_equal_commands(record, stepper)


def make_side_effect_watch(options: Options) -> guard.SideEffectWatch | None:
    """Return a watch that finds the run's lines, if side effects are to be watched or refused."""
    if not options.watch and not options.guard:
        return None
    return guard.SideEffectWatch(partial(callsite.site_of_stack, until=ACTIVATE_CODE), options.guard)


_replayers: list[DirectReplayer] = []
_KEPT = 4


def get_direct_replayer(code: Code, options: Options) -> DirectReplayer:
    """Return the replayer for this code and these options; the last few are kept."""
    policy = get_drift_policy(code, options)
    for replayer in _replayers:
        if replayer.code is code and replayer.sandbox == options.sandbox and replayer.policy == policy:
            return replayer
    replayer = DirectReplayer(code, options.sandbox, policy)
    _replayers.insert(0, replayer)
    del _replayers[_KEPT:]
    return replayer
