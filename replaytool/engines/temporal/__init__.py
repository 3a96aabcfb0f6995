"""Temporal's engine. `ENGINE` says what it can do; each folder below holds one part of that.

Only this folder and `formats/temporal` know Temporal's event names and the SDK. Nothing here knows the command line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from replaytool.engines.base import ChangeGuard, Debugger, Engine, Export, StateRecorder, Strategy
from replaytool.engines.temporal.code_finder import TemporalCodeFinder
from replaytool.model.verdict import Verdict

if TYPE_CHECKING:
    from replaytool.config import Settings
    from replaytool.engines.temporal.patch_model import TemporalPatches
    from replaytool.engines.temporal.record_reader import TemporalRecordReader
    from replaytool.engines.temporal.reset.reset_model import TemporalResetExecutor, TemporalResets
    from replaytool.engines.temporal.server.history_server import TemporalServer
    from replaytool.engines.temporal.simulate.simulator import TemporalSimulator
    from replaytool.model.history import Run
    from replaytool.model.scrub_result import ScrubResult
    from replaytool.model.workflow_state import WorkflowState
    from replaytool.replay.code.user_code import Code
    from replaytool.replay.jobs import WorkerJob
    from replaytool.replay.options import Options


class TemporalEngine(Engine):
    """Temporal, replayed by sdk-core's rules and confirmed by the SDK's own replayer."""

    name = "temporal"
    title = "Temporal"

    def list_unseen_parts(self, run: Run) -> tuple[str, ...]:
        """Return what the run's local activities leave out of its history."""
        from replaytool.engines.temporal.replay.unseen import list_unseen_parts

        return list_unseen_parts(run)

    def record_reader(self) -> TemporalRecordReader:
        """Return what reads Temporal's events."""
        from replaytool.engines.temporal.record_reader import TemporalRecordReader

        return TemporalRecordReader()

    def code_finder(self) -> TemporalCodeFinder:
        """Return what finds classes with `@workflow.defn`."""
        return TemporalCodeFinder()

    def change_guard(self) -> ChangeGuard:
        """Return `workflow.patched`."""
        from replaytool.engines.temporal.change_guard import CHANGE_GUARD

        return CHANGE_GUARD

    def patch_model(self) -> TemporalPatches:
        """Return the markers and calls of `workflow.patched` and `workflow.deprecate_patch`."""
        from replaytool.engines.temporal.patch_model import PATCHES

        return PATCHES

    def strategies(self) -> Mapping[str, Strategy]:
        """Return the four ways to replay, each of which goes on past a mismatch where that is asked for."""
        from replaytool.engines.temporal.replay import strategies

        ways = {
            "auto": strategies.replay_auto,
            "direct": strategies.replay_direct,
            "sdk": strategies.replay_sdk,
            "both": strategies.replay_both,
        }
        return {name: _with_named_field(_with_every_mismatch(_with_explanation(way))) for name, way in ways.items()}

    def state_recorder(self) -> StateRecorder:
        """Return what records the state after each workflow task."""
        from replaytool.engines.temporal.debug.run_states import RunStates

        return RunStates

    def debugger(self) -> Debugger:
        """Return what stops in pdb in the task of an event."""
        from replaytool.engines.temporal.debug.python_debugger import stop_in_pdb

        return stop_in_pdb

    def reset_model(self) -> TemporalResets:
        """Return how Temporal's runs are reset."""
        from replaytool.engines.temporal.reset.reset_model import TemporalResets

        return TemporalResets()

    def reset_executor(self) -> TemporalResetExecutor:
        """Return how plans are executed on a Temporal server."""
        from replaytool.engines.temporal.reset.reset_model import TemporalResetExecutor

        return TemporalResetExecutor()

    def simulator(self) -> TemporalSimulator:
        """Return how runs go on by the server's rules."""
        from replaytool.engines.temporal.simulate.simulator import TemporalSimulator

        return TemporalSimulator()

    def final_state_job(self) -> WorkerJob[WorkflowState]:
        """Return the job that replays a run to its end."""
        from replaytool.engines.temporal.debug.final_states import JOB

        return JOB

    def server(self) -> TemporalServer:
        """Return how histories are fetched from a Temporal server."""
        from replaytool.engines.temporal.server.history_server import TemporalServer

        return TemporalServer()

    def scrub_job(self) -> WorkerJob[ScrubResult]:
        """Return the job that replaces personal data in a history."""
        from replaytool.engines.temporal.scrub.scrub_job import SCRUB

        return SCRUB

    def exports(self) -> Mapping[str, Export]:
        """Return the JSON and the binary History of Temporal's tools."""
        from replaytool.formats.temporal.export import EXPORTS

        return EXPORTS

    def find_pinned_build(self, facts: Mapping[str, str]) -> str | None:
        """Return the build by the last completed task and the last override."""
        from replaytool.engines.temporal.events.deployment import find_pinned_build, parse_object

        return find_pinned_build(parse_object(facts.get("task")), parse_object(facts.get("override")))

    def check_installation(self, settings: Settings) -> Iterator[tuple[str, bool, str, str]]:
        """Yield whether the direct replay was compared with the installed SDK."""
        from importlib.metadata import version

        from replaytool.engines.temporal.sdk.versions import NEWEST, OLDEST

        found = version("temporalio")
        oldest, newest = (".".join(map(str, one)) for one in (OLDEST, NEWEST))
        if OLDEST <= tuple(int(part) for part in found.split(".")[:2]) <= NEWEST:
            yield "engine direct", True, f"tested with temporalio {oldest} to {newest}", ""
        else:
            yield "engine direct", False, f"not tested with temporalio {found}", "the sdk engine replays all runs"

    @contextmanager
    def prepare_child(self) -> Iterator[None]:
        """Keep the SDK's log quiet, and its runtime from waiting for work that never comes."""
        from replaytool.engines.temporal.sdk.quiet_runtime import relax_garbage_collector, silence_sdk_logs

        with silence_sdk_logs(), relax_garbage_collector():
            yield


def _with_named_field(way: Strategy) -> Strategy:
    """Return a strategy whose verdict names the event and field that cannot be read."""

    def replay_or_name_field(run: Run, code: Code, options: Options) -> Verdict:
        from replaytool.engines.temporal.replay.unreadable_fields import find_unreadable_field

        try:
            verdict = way(run, code, options)
        except Exception:
            if not (found := find_unreadable_field(run.events)):
                raise
        else:
            # A value that the direct engine never reads is not drift. The SDK confirms all other findings, so it has
            # read the history.
            odd = {one.event_id for one in verdict.drift}
            found = find_unreadable_field([one for one in run.events if one.event_id in odd]) if odd else ""
            if not found:
                return verdict
        return Verdict("unverified", f"the history is malformed: {found}")

    return replay_or_name_field


def _with_explanation(way: Strategy) -> Strategy:
    """Return a strategy whose findings say what the edit did, and what to do about it."""

    def replay_and_explain(run: Run, code: Code, options: Options) -> Verdict:
        verdict = way(run, code, options)
        if verdict.divergence is None and verdict.failure is None:
            return verdict
        from replaytool.engines.temporal.simulate.explain import explain_verdict
        from replaytool.replay.line_coverage import pause_coverage

        with pause_coverage():
            return explain_verdict(verdict, run, code, options)

    return replay_and_explain


def _with_every_mismatch(way: Strategy) -> Strategy:
    def replay_further(run: Run, code: Code, options: Options) -> Verdict:
        verdict = way(run, code, options)
        if not options.every_mismatch or verdict.divergence is None:
            return verdict
        from replaytool.engines.temporal.replay.all_mismatches import add_later_mismatches

        return add_later_mismatches(verdict, run, code, options)

    return replay_further


ENGINE = TemporalEngine()
