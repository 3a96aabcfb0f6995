"""What a plan needs from the engine of its runs: the jobs of worker processes, and how to reset."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from replaytool.engines import engine_of, require_part
from replaytool.engines.base import ResetExecutor, ResetModel
from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.model.reset_plan import ResetPlan
from replaytool.model.workflow_state import WorkflowState
from replaytool.replay.jobs import WorkerJob
from replaytool.workers.worker_process import WorkItem


def find_reset_model(engines: Iterable[str]) -> ResetModel | None:
    """Return how these runs are reset: a plan is for one engine. None without runs."""
    found = sorted(set(engines))
    if len(found) > 1:
        raise ReplaytoolError(
            f"the chosen runs are of several engines: {', '.join(found)}",
            'a plan is for one: add --where "engine = …"',
            code=ErrorCode.RESET_NAMESPACES,
        )
    return require_reset_model(found[0]) if found else None


def require_reset_model(engine_name: str) -> ResetModel:
    """Return how runs of this engine are reset."""
    engine = engine_of(engine_name)
    return require_part(engine, engine.reset_model(), "reset")


def find_reset_executor(engine_name: str) -> ResetExecutor:
    """Return how plans for this engine are executed."""
    engine = engine_of(engine_name)
    return require_part(engine, engine.reset_executor(), "reset on a server")


def reset_executor_of(plan: ResetPlan) -> ResetExecutor:
    """Return how the plan, which has items of one engine, is executed."""
    engines = {item.engine for item in plan.items}
    assert len(engines) == 1, f"a plan with items is for one engine: {engines}"
    return find_reset_executor(engines.pop())


def final_state_job(works: Sequence[WorkItem]) -> WorkerJob[WorkflowState]:
    """Return the job that replays these runs, which are of one engine, to their end."""
    assert works, "no run, no engine"
    engine = engine_of(works[0].run.engine)
    return require_part(engine, engine.final_state_job(), "replayed to their end")
