"""What a front end may do about resets: plan one, write it down, apply it to a server and watch."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from replaytool.config import Settings
from replaytool.errors import ReplaytoolError
from replaytool.model.reset_plan import ResetPlan, plan_to_text
from replaytool.store import Store

if TYPE_CHECKING:
    from replaytool.reset.apply import ApplyPreview
    from replaytool.reset.apply import ApplyProgress as ApplyProgress
    from replaytool.reset.apply import ApplyResult as ApplyResult
    from replaytool.reset.planner import PlanDraft


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which runs, and back to where: before a build did anything, or before an event of the one run."""

    run_keys: tuple[str, ...]
    build: str | None = None
    event: int | None = None
    include: frozenset[str] = frozenset()
    """Workflow ids that are taken although a warning blocks them."""
    skip: tuple[str, ...] = ()
    """Workflow ids that are left out."""


@dataclass(frozen=True, slots=True)
class Target:
    """Which server; what is not said comes from the official tools' environment and configuration."""

    address: str | None = None
    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """What a person confirms: nothing has been changed yet."""

    address: str
    namespace: str
    left: int
    """Workflows that would be reset."""
    done_before: int
    warnings: tuple[str, ...]


Confirm = Callable[[Question], bool]


class Resets:
    """The resets of one store."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store, self._settings = store, settings

    def builds(self, run_keys: Sequence[str]) -> list[dict[str, Any]]:
        """The builds that took part in these runs, in how many of them, and when; the newest first."""
        return self._store.query_rows(
            "SELECT run_build.build_id, count(DISTINCT run.id) AS runs, min(run_build.first_seen) AS first_seen, "
            "max(run_build.last_seen) AS last_seen, any_value(builds.is_hash) AS is_hash "
            "FROM run_build JOIN run ON run.id = run_build.run JOIN builds USING (build_id) "
            "WHERE run_key IN (SELECT unnest(?)) GROUP BY ALL ORDER BY last_seen DESC, build_id",
            [list(run_keys)],
        )

    def plan(self, wanted: Wanted) -> ResetPlan:
        """What such a reset would do; no server is asked."""
        from replaytool.reset.planner import finish_plan

        return finish_plan(self._draft(wanted))

    def _draft(self, wanted: Wanted) -> PlanDraft:
        from replaytool.engines.temporal.reset.points import ResetRule
        from replaytool.reset.planner import PlanRequest, draft_plan
        from replaytool.reset.selection import RunSelection

        rule = ResetRule("build", wanted.build) if wanted.build is not None else ResetRule("event", str(wanted.event))
        choice = RunSelection(wanted.build, None, wanted.run_keys, wanted.skip)
        return draft_plan(self._store, PlanRequest(rule, choice, wanted.include, self._settings.prices))

    def simulated(
        self, wanted: Wanted, workflows: Sequence[str], progress: Callable[[str], None], stop: threading.Event
    ) -> ResetPlan:
        """The same plan, with the verdict of what is kept under this code, and what becomes of each workflow."""
        from replaytool.engines import CodeSpec
        from replaytool.reset import simulate_plan as outlook
        from replaytool.reset.planner import finish_plan

        if not workflows:
            raise ReplaytoolError("no workflow code was named", "write a module or a path")
        folder = str(self._settings.folder) if tuple(workflows) == self._settings.workflows else ""
        spec = CodeSpec(tuple(workflows), self._settings.replayer, self._settings.converter, folder)
        made = outlook.simulate_draft(
            self._store, self._draft(wanted), outlook.PlanSimulationRequest(spec), progress, stop
        )
        return finish_plan(made)

    def write(self, plan: ResetPlan, path: Path) -> None:
        """The plan as a file; one that is there already may have a ledger, and stays."""
        try:
            with path.open("x", encoding="ascii") as file:
                file.write(plan_to_text(plan))
        except FileExistsError:
            raise ReplaytoolError(f"there is a file {path} already", "choose another name") from None
        except OSError as error:
            raise ReplaytoolError(f"cannot write {path}: {error.strerror}", "choose another place") from error

    def tally(self) -> ApplyProgress:
        """What an apply counts while it runs, for whoever watches."""
        from replaytool.reset.apply import ApplyProgress

        return ApplyProgress()

    def apply(
        self, path: Path, plan: ResetPlan, target: Target, confirm: Confirm, tally: ApplyProgress, stop: threading.Event
    ) -> ApplyResult | None:
        """Apply a plan that was written, or go on with it; nothing where the person said no."""
        from replaytool.engines.temporal.server.options import ServerOptions
        from replaytool.reset.apply import ApplySettings as How
        from replaytool.reset.apply import apply_plan

        options = ServerOptions(address=target.address or None, namespace=target.namespace or None)
        return apply_plan(path, plan, How(server=options), lambda ready: confirm(_question(ready)), tally, stop)


def _question(ready: ApplyPreview) -> Question:
    target = ready.server.target
    warnings = (f"{one.identity} polls {one.task_queue} with the bad build {one.build_id}" for one in ready.pollers)
    left = len(ready.items) - ready.done_before
    return Question(target.address, target.namespace, left, ready.done_before, tuple(warnings))
