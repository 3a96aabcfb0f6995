"""Many histories of several workflows, recorded ones and made ones, each under ids of its own."""

from __future__ import annotations

import json
import random
import uuid
from pathlib import Path
from typing import Any

from benchmarks.replayable_histories import WORKFLOWS, history
from tests.support.paths import FIXTURES

CASES = ("loyalty", "patches", "saga_with_compensation", "activity_retries", "timers", "updates")


def code(folder: Path) -> list[Path]:
    """The workflows that follow them."""
    made = folder / "made.py"
    made.write_text(WORKFLOWS)
    return [made, *(FIXTURES / case / "workflow.py" for case in CASES)]


def histories(folder: Path, count: int) -> Path:
    """A folder with so many of them, in no order."""
    folder.mkdir()
    chance = random.Random(7)
    recorded = [path for case in CASES for path in sorted((FIXTURES / case).glob("history*.json"))]
    for number in range(count):
        run_id = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        events = _events(chance, recorded, number)
        started = events[0]["workflowExecutionStartedEventAttributes"]
        started |= {"workflowId": f"mixed-{number}", "originalExecutionRunId": run_id, "firstExecutionRunId": run_id}
        (folder / f"{chance.getrandbits(30)}_{run_id}.json").write_text(json.dumps({"events": events}))
    return folder


def _events(chance: random.Random, recorded: list[Path], number: int) -> list[dict[str, Any]]:
    """Each recorded one once, then made ones of any length, or a recorded one again."""
    if number < len(recorded):
        text = recorded[number].read_text()
    elif chance.random() < 0.6:
        text = history(chance.choice(("Steps", "Locals", "Signals")), chance.randrange(1, 12), number)
    else:
        text = chance.choice(recorded).read_text()
    found: list[dict[str, Any]] = json.loads(text)["events"]
    return found
