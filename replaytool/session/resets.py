"""Resets for a front end: plan, simulate and write a plan, apply it to a server, watch the progress."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from replaytool.config import Settings
from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.model.reset_plan import ResetPlan, plan_to_text
from replaytool.store import ChosenBuildRow, Store

if TYPE_CHECKING:
    from replaytool.reset.apply import ApplyPreview
    from replaytool.reset.apply import ApplyProgress as ApplyProgress
    from replaytool.reset.apply import ApplyResult as ApplyResult
    from replaytool.reset.planner import PlanDraft


@dataclass(frozen=True, slots=True)
class ResetRequest:
    """Which runs to reset, and where to: before a build ran, or before an event of the one run."""

    run_keys: tuple[str, ...]
    build: str | None = None
    event: int | None = None
    include: frozenset[str] = frozenset()
    """Workflow ids to reset although a warning blocks them."""
    skip: tuple[str, ...] = ()
    """Workflow ids to leave out."""


@dataclass(frozen=True, slots=True)
class ResetServer:
    """The server. What is None comes from the environment and configuration of the official tools."""

    address: str | None = None
    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class ResetConfirmation:
    """What the user confirms before anything changes."""

    address: str
    namespace: str
    left: int
    """Number of workflows that would be reset."""
    done_before: int
    warnings: tuple[str, ...]


Confirm = Callable[[ResetConfirmation], bool]


class StoreResets:
    """The resets of one store."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store, self._settings = store, settings

    def list_builds(self, run_keys: Sequence[str]) -> list[ChosenBuildRow]:
        """Return the builds of these runs with their number of runs and their times, newest first."""
        return self._store.list_builds_of_runs(run_keys)

    def make_plan(self, wanted: ResetRequest) -> ResetPlan:
        """Return the plan for a request. No server is contacted."""
        from replaytool.reset.planner import finish_plan

        return finish_plan(self._draft_plan(wanted))

    def _draft_plan(self, wanted: ResetRequest) -> PlanDraft:
        from replaytool.model.reset_case import ResetRule
        from replaytool.reset.planner import PlanRequest, draft_plan
        from replaytool.reset.selection import RunSelection

        rule = ResetRule("build", wanted.build) if wanted.build is not None else ResetRule("event", str(wanted.event))
        choice = RunSelection(wanted.build, None, wanted.run_keys, wanted.skip)
        return draft_plan(self._store, PlanRequest(rule, choice, wanted.include, self._settings.prices))

    def simulate_plan(
        self, wanted: ResetRequest, workflows: Sequence[str], progress: Callable[[str], None], stop: threading.Event
    ) -> ResetPlan:
        """Return the plan with the verdict of each prefix under this code, and the predicted states."""
        from replaytool.engines import make_code_spec
        from replaytool.reset import simulate_plan as outlook
        from replaytool.reset.planner import finish_plan

        if not workflows:
            raise ReplaytoolError("no workflow code given", "enter a module or a path", code=ErrorCode.CODE_NOT_NAMED)
        is_configured = tuple(workflows) == self._settings.workflows
        spec = make_code_spec(self._settings, () if is_configured else workflows)
        made = outlook.simulate_draft(
            self._store, self._draft_plan(wanted), outlook.PlanSimulationRequest(spec), progress, stop
        )
        return finish_plan(made)

    def write_plan(self, plan: ResetPlan, path: Path) -> None:
        """Write the plan to a new file. An existing plan is not overwritten: it may have a ledger."""
        try:
            with path.open("x", encoding="ascii") as file:
                file.write(plan_to_text(plan))
        except FileExistsError:
            raise ReplaytoolError(
                f"the file {path} exists already", "choose another name", code=ErrorCode.OUTPUT_EXISTS
            ) from None
        except OSError as error:
            raise ReplaytoolError(
                f"cannot write {path}: {error.strerror}", "choose another folder", code=ErrorCode.OUTPUT_UNWRITABLE
            ) from error

    def make_tally(self) -> ApplyProgress:
        """Return the counters that an apply updates while it runs."""
        from replaytool.reset.apply import ApplyProgress

        return ApplyProgress()

    def apply_plan(
        self,
        path: Path,
        plan: ResetPlan,
        target: ResetServer,
        confirm: Confirm,
        tally: ApplyProgress,
        stop: threading.Event,
    ) -> ApplyResult | None:
        """Apply a written plan or continue it; return None if the user did not confirm."""
        from replaytool.model.server_options import ServerOptions
        from replaytool.reset.apply import ApplySettings as How
        from replaytool.reset.apply import apply_plan

        options = ServerOptions(address=target.address or None, namespace=target.namespace or None)
        return apply_plan(
            path, plan, How(server=options), lambda ready: confirm(_make_confirmation(ready)), tally, stop
        )


def _make_confirmation(ready: ApplyPreview) -> ResetConfirmation:
    target = ready.server.target
    warnings = (
        f"worker {one.identity} of the bad build {one.build_id} polls {one.task_queue}" for one in ready.pollers
    )
    left = len(ready.items) - ready.done_before
    return ResetConfirmation(target.address, target.namespace, left, ready.done_before, tuple(warnings))
