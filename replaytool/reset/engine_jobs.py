"""The jobs of worker processes that a plan needs from the engine of its runs."""

from __future__ import annotations

from collections.abc import Sequence

from replaytool.engines import engine_of, require_part
from replaytool.model.workflow_state import WorkflowState
from replaytool.replay.jobs import WorkerJob
from replaytool.workers.worker_process import WorkItem


def final_state_job(works: Sequence[WorkItem]) -> WorkerJob[WorkflowState]:
    """Return the job that replays these runs, which are of one engine, to their end."""
    assert works, "no run, no engine"
    engine = engine_of(works[0].run.engine)
    return require_part(engine, engine.final_state_job(), "replayed to their end")
