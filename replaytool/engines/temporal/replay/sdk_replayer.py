"""Run the SDK's own `Replayer` with a recording instance. What it says is what a worker would do."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Any

from google.protobuf.json_format import ParseError
from temporalio.client import WorkflowHistory
from temporalio.converter import DataConverter
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from replaytool.engines.temporal.replay.plain_values import make_payload_decoder
from replaytool.engines.temporal.replay.recorded_commands import RecordedHistory
from replaytool.engines.temporal.replay.sandbox_refusals import refuse_sandboxed_code
from replaytool.engines.temporal.replay.server_defaults import get_drift_policy
from replaytool.engines.temporal.replay.verdicts import (
    ReplayCase,
    judge_replay,
    refuse_malformed,
    refuse_missing_code,
)
from replaytool.engines.temporal.replay.volatile import drop_volatile_drift
from replaytool.engines.temporal.sdk import recorder
from replaytool.engines.temporal.sdk.codec import needs_codec
from replaytool.engines.temporal.sdk.default_build import name_default_build
from replaytool.engines.temporal.sdk.quiet_runtime import get_silent_runtime, silence_sdk_logs
from replaytool.engines.temporal.sdk.recording_runner import (
    RecordedContextRunner,
    make_recording_runner,
    report_nondeterminism,
)
from replaytool.engines.temporal.sdk.replayer_errors import ReplayerOutcome, parse_replayer_failure
from replaytool.model.history import Run, encode_history
from replaytool.model.verdict import Verdict
from replaytool.replay import call_site as callsite
from replaytool.replay.code.user_code import Code
from replaytool.replay.isolation import side_effects as guard
from replaytool.replay.isolation.limits import read_starved_seconds
from replaytool.replay.isolation.state_keeper import restore_module_state
from replaytool.replay.options import OFF, Options

_NOTICE = 0.2
_WINDING_UP = 2.0
_LONG, _HOPELESS = 1.5, 6.0
"""Seconds into an activation: when to note the code's line, and when to give up on interrupting it."""


_DEADLOCK = "Potential deadlock"
_MORE_TRIES = 2
_STARVED = 0.5
"""Seconds without a processor that make a time-out of the SDK say nothing about the code."""


def run_sdk_replayer(run: Run, code: Code, options: Options) -> Verdict:
    """Return the verdict on one run."""
    began = time.monotonic()
    verdict = _replay_and_judge(RecordedHistory(run), code, options)
    return replace(verdict, seconds=time.monotonic() - began)


def _replay_and_judge(record: RecordedHistory, code: Code, options: Options) -> Verdict:
    refused = refuse_malformed(record, "sdk") or refuse_missing_code(record.run, code, "sdk")
    if refused is not None:
        return refused
    callsite.claim_user_folders(code.roots)
    refused = refuse_sandboxed_code(record.run, code, options, "sdk")
    if refused is not None:
        return refused
    try:
        history = WorkflowHistory.from_json(record.run.workflow_id or "", _history_text(record.run))
    except (ParseError, TypeError, ValueError) as error:
        return Verdict("unverified", f"the history is malformed: the SDK cannot read it: {error}", engine="sdk")
    case = _replay_for_case(record, history, code, options)
    plain = replace(options, steps=False, snapshot=None)
    return drop_volatile_drift(judge_replay(case), case, lambda: _replay_for_case(record, history, code, plain))


def _replay_for_case(record: RecordedHistory, history: WorkflowHistory, code: Code, options: Options) -> ReplayCase:
    case = _replay_once(record, history, code, options)
    for _ in range(_MORE_TRIES):
        if not _was_starved(case):
            break
        case = _replay_once(record, history, code, options)
    return case


def _was_starved(case: ReplayCase) -> bool:
    """Return whether the SDK called the code a deadlock while a busy machine let its thread wait for a processor."""
    last = case.tape.current_activation
    if last is None or _DEADLOCK not in case.outcome.message:
        return False
    return read_starved_seconds(last.thread) - last.starved > _STARVED


def _replay_once(record: RecordedHistory, history: WorkflowHistory, code: Code, options: Options) -> ReplayCase:
    restore_module_state()
    converter = code.settings.get("data_converter") or DataConverter.default
    # A codec encodes commands in place, and a plugin may bring one along.
    copies = bool(code.settings.get("plugins")) or needs_codec(converter)
    watch = guard.SideEffectWatch(callsite.site_of_stack, options.guard) if options.watch or options.guard else None
    tape = recorder.RecordedTape(snapshot=options.snapshot, copies=copies, guard=watch)
    outcome = _replay_for_outcome(record.run, history, code, options, tape)
    keeps_steps = options.steps or options.snapshot is not None
    decode, policy = make_payload_decoder(converter), get_drift_policy(code, options)
    has_converter = "data_converter" in code.settings
    return ReplayCase(record, tape, outcome, decode, policy, steps=keeps_steps, has_converter=has_converter)


def _history_text(run: Run) -> str:
    return encode_history(run).decode("utf-8", "surrogatepass")


def _replay_for_outcome(
    run: Run, history: WorkflowHistory, code: Code, options: Options, tape: recorder.RecordedTape
) -> ReplayerOutcome:
    settings = dict(code.settings)
    workflow = code.workflow_class(run.workflow_type)
    runner = RecordedContextRunner(make_recording_runner(settings.get("workflow_runner"), options.sandbox), run)
    outside = RecordedContextRunner(make_recording_runner(settings.get("unsandboxed_workflow_runner"), OFF), run)
    settings |= {"workflow_runner": runner, "unsandboxed_workflow_runner": outside, "workflows": [workflow]}
    settings.setdefault("runtime", get_silent_runtime())
    name_default_build()
    if run.namespace:
        settings.setdefault("namespace", run.namespace)
    failure: BaseException | None
    recorder.set_active_tape(tape)
    try:
        with silence_sdk_logs(), report_nondeterminism():
            failure = _run_replayer(settings, history, tape)
    except SystemExit as left:
        failure = RuntimeError(f"4: SystemExit: {left.code}")
    finally:
        recorder.set_active_tape(None)
    for error in runner.errors + outside.errors:
        failure = failure or RuntimeError(f"4: {type(error).__name__}: {error}")
    return parse_replayer_failure(failure, isinstance(failure, NondeterminismError), tape.evicted_at)


def _run_replayer(
    settings: dict[str, Any], history: WorkflowHistory, tape: recorder.RecordedTape
) -> BaseException | None:
    """Return the replayer's failure. Code that cannot be interrupted keeps its event loop, which is never closed."""
    loop = asyncio.new_event_loop()
    hopeless = False
    try:
        failure, hopeless = loop.run_until_complete(_await_replayer(Replayer(**settings), history, tape))
        return failure
    finally:
        if not hopeless and loop.run_until_complete(_has_wound_up(loop)):
            loop.close()


async def _await_replayer(
    replayer: Replayer, history: WorkflowHistory, tape: recorder.RecordedTape
) -> tuple[BaseException | None, bool]:
    replaying = asyncio.create_task(replayer.replay_workflow(history, raise_on_replay_failure=False))
    while not (await asyncio.wait([replaying], timeout=_NOTICE))[0]:
        if _watch_activation(tape) > _HOPELESS:
            return RuntimeError("4: Potential deadlock detected: the code does not yield"), True
    return replaying.result().replay_failure, False


async def _has_wound_up(loop: asyncio.AbstractEventLoop) -> bool:
    """Return whether the replayer shut down in time; after `SystemExit` in workflow code it may wait for ever."""
    return bool((await asyncio.wait([asyncio.create_task(loop.shutdown_asyncgens())], timeout=_WINDING_UP))[0])


def _watch_activation(tape: recorder.RecordedTape) -> float:
    """Return the age of the current activation in seconds, and note the code's line once it is old."""
    current = tape.current_activation
    if current is None or current.done:
        return 0.0
    age = time.monotonic() - current.began
    if age > _LONG:
        current.kept_at = callsite.site_of_thread(current.thread) or current.kept_at
    return age
