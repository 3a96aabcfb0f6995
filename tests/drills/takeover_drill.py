"""Real workers that take runs over: the old code's worker stops in the middle of a run, the edited code's goes on.

What the second worker does with its first task (nondeterminism, a failed task, or it goes on) is kept with the history
that it got. `tests.drills.verdict_drill` compares replaytool's verdict on that history with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
import shutil
import sys
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

from google.protobuf.json_format import MessageToDict
from temporalio.api.history.v1 import History
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import TemporalError
from temporalio.service import RPCError
from temporalio.worker import Worker

from replaytool.engines.temporal.sdk.quiet_runtime import get_silent_runtime
from tests.drills.programs import steps
from tests.drills.programs.recording import hide_machine
from tests.drills.programs.setups import CONVERTERS, PLUGINS, Setup, change_setup, choose_setup, place_code
from tests.drills.programs.writing import edited, program
from tests.support.dev_server import dev_server

AT_ONCE = 16
ANSWER_SECONDS = 25.0
_ACTIVITIES: list[Callable[..., Any]] = [
    steps.echo_a,
    steps.echo_b,
    steps.fail_a,
    steps.fail_b,
    steps.flaky,
    steps.slow,
]
_CAUSES = {
    "WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR": "nondeterminism",
    "WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE": "code",
}


class _Evictions(logging.Handler):
    """What the SDK says when it drops a run from its cache: failures of later attempts are in no history."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.by_run: dict[str, list[str]] = defaultdict(list)

    def emit(self, record: logging.LogRecord) -> None:
        if record.msg.startswith("Evicting") and isinstance(record.args, tuple):
            self.by_run[str(record.args[0])].append(record.getMessage())


def record_takeovers(seeds: range, folder: Path) -> None:
    """Write one JSON file per run: the programs' seeds, the set-ups, the history, and what the second worker did."""
    todo = [seed for seed in seeds if not (folder / f"t{seed:05}.json").exists()]
    if not todo:
        return
    folder.mkdir(parents=True, exist_ok=True)
    log, evictions = logging.getLogger("temporalio.worker._workflow"), _Evictions()
    log.setLevel(logging.DEBUG)
    log.propagate = False
    log.addHandler(evictions)
    logging.getLogger("temporalio.activity").setLevel(logging.CRITICAL)
    code = tempfile.mkdtemp()
    sys.path.insert(0, code)
    try:
        for start in range(0, len(todo), 8 * AT_ONCE):
            with dev_server("--search-attribute", "CustomKeywordField=Keyword") as server:
                asyncio.run(_record(server.address, todo[start : start + 8 * AT_ONCE], folder, Path(code), evictions))
    finally:
        log.removeHandler(evictions)
        sys.path.remove(code)
        shutil.rmtree(code)


async def _record(address: str, seeds: list[int], folder: Path, code: Path, evictions: _Evictions) -> None:
    free = asyncio.Semaphore(AT_ONCE)

    async def record_one(seed: int) -> None:
        async with free:
            with contextlib.suppress(RPCError, TemporalError, RuntimeError, asyncio.TimeoutError):
                await asyncio.wait_for(_Takeover(address, seed, folder, code, evictions).record(), 90)

    await asyncio.gather(*map(record_one, seeds))


class _Takeover:
    def __init__(self, address: str, seed: int, folder: Path, code: Path, evictions: _Evictions) -> None:
        self.address, self.seed, self.folder, self.code, self.evictions = address, seed, folder, code, evictions
        self.chance = random.Random(f"takeover {seed}")
        self.old = choose_setup(self.chance)
        self.new = change_setup(self.old, self.chance) if self.chance.random() < 0.25 else self.old
        self.edit = seed * 1000 if self.chance.random() < 0.75 else None
        self.queue = f"t{seed:05}"

    async def record(self) -> None:
        """Run the program with the old code, then with the new one, and write down what happened."""
        program_before = program(self.seed)
        program_after = program_before if self.edit is None else edited(program_before, self.edit)
        sources = (program_before.source(), program_after.source())
        async with self._working(self.old, sources[0], "old") as client:
            handle = await client.start_workflow(
                "Program", self.seed, id=f"takeover-{self.seed}", task_queue=self.queue,
                task_timeout=timedelta(seconds=4), execution_timeout=timedelta(seconds=80),
            )  # fmt: skip
            for _ in range(self.chance.randint(1, 4)):
                await asyncio.sleep(self.chance.uniform(0.05, 0.5))
                with contextlib.suppress(RPCError, TemporalError, asyncio.TimeoutError):
                    await asyncio.wait_for(handle.signal("poke", "s"), 3)
        before = await _fetch(handle)
        if not _is_running(before):
            self._write("ended", handle.id, before)
            return
        async with self._working(self.new, sources[1], "new") as client:
            handle = client.get_workflow_handle(handle.id)
            await handle.signal("poke", "after")
            word, events = await self._watch(handle, len(before))
            with contextlib.suppress(RPCError):
                await handle.terminate()
        self._write(word, handle.id, events)

    def _write(self, word: str, workflow_id: str, events: list[dict[str, Any]]) -> None:
        told = {"seed": self.seed, "edit": self.edit, "old": asdict(self.old), "new": asdict(self.new)}
        text = json.dumps({**told, "worker": word, "workflowId": workflow_id, "events": events}, separators=(",", ":"))
        (self.folder / f"t{self.seed:05}.json").write_text(hide_machine(text))

    @contextlib.asynccontextmanager
    async def _working(self, setup: Setup, source: str, which: str) -> AsyncIterator[Client]:
        client = await Client.connect(
            self.address,
            data_converter=CONVERTERS[setup.converter],
            plugins=PLUGINS[setup.plugin](),
            runtime=get_silent_runtime(),
        )
        module = _import_program(source, setup.form, self.code, f"t{self.seed:05}_{which}")
        async with Worker(
            client, task_queue=self.queue, workflows=[module.Program, steps.Small], activities=_ACTIVITIES,
            workflow_runner=setup.make_runner(), sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
            max_concurrent_workflow_task_polls=2, max_concurrent_activity_task_polls=1,
            max_concurrent_activities=5, max_concurrent_workflow_tasks=5,
        ):  # fmt: skip
            yield client

    async def _watch(self, handle: WorkflowHandle[Any, Any], before: int) -> tuple[str, list[dict[str, Any]]]:
        """What the second worker did with its first task, and the history that it got."""
        run_id = (await handle.describe()).run_id
        end = asyncio.get_running_loop().time() + ANSWER_SECONDS
        while True:
            events = await _fetch(handle)
            started = next(
                (at for at in range(before, len(events)) if _kind(events[at]) == "WORKFLOW_TASK_STARTED"), -1
            )
            if started > 0 and (word := _word_of_task(events, started)):
                return word, events[: started + 1]
            messages = self.evictions.by_run[run_id]
            if started < 0 and any("TMPRL1100" in one for one in messages):
                return "nondeterminism", events
            if asyncio.get_running_loop().time() > end:
                return "", events
            await asyncio.sleep(0.3)


def _word_of_task(events: list[dict[str, Any]], started: int) -> str:
    """How the task ended that began here; "" while it runs, or if it says nothing about the code."""
    for event in events[started + 1 :]:
        kind = _kind(event)
        if kind == "WORKFLOW_TASK_COMPLETED":
            return "ok"
        if kind == "WORKFLOW_TASK_FAILED":
            return _CAUSES.get(event["workflowTaskFailedEventAttributes"].get("cause", ""), "")
        if kind in ("WORKFLOW_TASK_TIMED_OUT", "WORKFLOW_TASK_SCHEDULED"):
            return ""
    return ""


def _kind(event: dict[str, Any]) -> str:
    return str(event["eventType"]).removeprefix("EVENT_TYPE_")


def _is_running(events: list[dict[str, Any]]) -> bool:
    closed = ("COMPLETED", "FAILED", "TIMED_OUT", "CANCELED", "TERMINATED", "CONTINUED_AS_NEW")
    return len(events) > 4 and _kind(events[-1]) not in {f"WORKFLOW_EXECUTION_{word}" for word in closed}


async def _fetch(handle: WorkflowHandle[Any, Any]) -> list[dict[str, Any]]:
    events = [event async for event in handle.fetch_history_events()]
    found: list[dict[str, Any]] = MessageToDict(History(events=events))["events"]
    return found


def _import_program(source: str, form: str, folder: Path, name: str) -> ModuleType:
    import importlib

    place_code(source, "file" if form == "file" else "package", folder, name)
    importlib.invalidate_caches()
    return importlib.import_module(name if form == "file" else f"{name}.flow")


if __name__ == "__main__":
    record_takeovers(range(int(sys.argv[1]), int(sys.argv[2])), Path(sys.argv[3]))
