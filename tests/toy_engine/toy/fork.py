"""Forks of journals: another run that begins with the kept steps of the first."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from replaytool.engines.base import Hazard
from replaytool.model.history import Event, Run
from replaytool.model.reset_case import HazardCase
from replaytool.model.reset_plan import Level
from replaytool.model.run_facts import RunActivity, RunFacts, RunTask
from tests.toy_engine.toy.journal import STEP, entries_of


def _warn_unfinished(case: HazardCase) -> Iterator[tuple[Level, str]]:
    if case.base.status == "Running":
        yield "warn", "the original is still open: it goes on beside the fork"


class ToyForks:
    """A fork leaves the original as it is."""

    action = "fork"
    silent_events: tuple[str, ...] = ()
    hazards: Mapping[str, Hazard] = {"original-open": _warn_unfinished}

    def read_facts(self, row: Mapping[str, Any], events: Iterable[Event], problems: tuple[str, ...]) -> RunFacts:
        """Return each step as a task and as the activity that it ran."""
        facts = RunFacts(
            row["run_key"], row["workflow_id"], row["run_id"], row["workflow_type"], None, row["status"], row["engine"],
            problems=problems,
        )  # fmt: skip
        for event in events:
            facts.born_at = facts.born_at or event.event_time or ""
            facts.last_event_id = event.event_id
            if event.event_type == STEP:
                name = json.loads(event.raw)["name"]
                facts.tasks.append(RunTask(event.event_id, event.event_time, event.build_id, None, None))
                facts.activities[event.event_id] = RunActivity(
                    name, event.event_id, event.event_id, event.event_id, event.event_id, event.build_id
                )
        return facts


def fork_journal(run: Run, event_id: int, run_id: str, path: Path) -> None:
    """Write a journal that holds what came before the event, under another run id."""
    kept = [dict(one) for one in entries_of(run) if one["eventId"] < event_id]
    kept[0]["run"] = run_id
    for one in kept:
        del one["eventId"]
    path.write_text("".join(json.dumps(one) + "\n" for one in kept))
