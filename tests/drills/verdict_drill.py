"""replaytool's verdict against the SDK's Replayer with the same set-up, and against a worker that took the run over.

Two answers of the Replayer need a second question. It ends with a fatal error for code that does not fit as well as for
a history that no server wrote: the code is to blame if the event records a command, or if the code that was recorded
passes. And it ignores a failure
in a task that the history leaves open: the failure is there if the same history with the task completed shows it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from replaytool.engines import Code, CodeSpec, Options, load_code, replay
from replaytool.engines.temporal.events.event_types import COMMAND_EVENTS
from replaytool.engines.temporal.sdk.quiet_runtime import get_silent_runtime
from replaytool.engines.temporal.sdk.replayer_errors import ReplayerOutcome, parse_replayer_failure
from tests.drills.differential_drill import tamper
from tests.drills.programs.setups import Setup, change_setup, choose_setup, place_code
from tests.drills.programs.writing import edited, program
from tests.engines.temporal.oracle import run_of

AGREED = {
    "ok": {"ok", "drift"},
    "nondeterminism": {"diverged"},
    "code": {"failed"},
    "history": {"unverified"},
    "fatal": {"diverged"},
}
"""What replaytool says where the SDK, or a worker, says this."""

MALFORMED = "the history is malformed"


@dataclass(frozen=True)
class SetUpComparison:
    """A program in one set-up, and a history that another one wrote."""

    name: str
    source: str
    setup: Setup
    workflow_id: str
    events: list[dict[str, Any]]
    worker: str = ""
    """What a real worker did with this history; "" if none took it over."""
    recorded_source: str = ""
    recorded_setup: Setup = field(default_factory=Setup)
    is_tampered: bool = False
    """Whether the history is no longer what the server wrote."""

    @property
    def text(self) -> str:
        return json.dumps({"events": self.events})

    @staticmethod
    def from_json(value: dict[str, Any]) -> SetUpComparison:
        """One that was kept."""
        setups = {name: Setup(**value[name]) for name in ("setup", "recorded_setup")}
        return SetUpComparison(**{**value, **setups})


def list_takeovers(recorded: list[dict[str, Any]]) -> Iterator[SetUpComparison]:
    """Every run that a worker took over."""
    for one in recorded:
        before = program(one["seed"])
        after = before if one["edit"] is None else edited(before, one["edit"])
        if one["worker"] in AGREED:
            yield SetUpComparison(
                f"takeover {one['seed']}",
                after.source(),
                Setup(**one["new"]),
                one["workflowId"],
                one["events"],
                one["worker"],
                before.source(),
                Setup(**one["old"]),
            )


def list_combinations(recorded: list[dict[str, Any]], each: int) -> Iterator[SetUpComparison]:
    """Edits, tampered histories, other converters, plugins, sandboxes and install forms, one with the other."""
    for one in recorded:
        own = program(one["seed"])
        for number in range(each):
            chance = random.Random(one["seed"] * 10_007 + number)
            setup = Setup(**one["old"])
            setup = Setup(setup.converter, setup.plugin, choose_setup(chance).sandbox, choose_setup(chance).form)
            setup = change_setup(setup, chance) if chance.random() < 0.3 else setup
            source = own if chance.random() < 0.35 else edited(own, one["seed"] * 1000 + 500 + number)
            is_tampered = chance.random() < 0.2
            yield SetUpComparison(
                f"{one['seed']} set-up {number}",
                source.source(),
                setup,
                one["workflowId"],
                tamper(one["events"], chance) if is_tampered else one["events"],
                recorded_source=own.source(),
                recorded_setup=Setup(**one["old"]),
                is_tampered=is_tampered,
            )


def compare_set_up(one: SetUpComparison, folder: Path, number: int) -> tuple[str, str | None]:
    """What the SDK and replaytool say, and how they disagree."""
    with _placed_code(one.source, one.setup, folder, number) as code:
        run = run_of(one.text)
        verdict = replay(run, code, Options(sandbox="shared" if one.setup.sandbox == "sandboxed" else "off"))
        if one.is_tampered and verdict.reason.startswith(MALFORMED):
            return "malformed", None
        workflow = code.definitions["Program"]
        said = ask_replayer(workflow, one.setup, one.workflow_id, one.text)
        theirs: str = said.word
        if (theirs, verdict.verdict) == ("ok", "failed"):
            completed = json.dumps({"events": complete_task(one.events)})
            theirs = ask_replayer(workflow, one.setup, one.workflow_id, completed).word
    if (theirs, verdict.verdict) == ("history", "diverged"):
        theirs = "fatal" if is_at_command(said.message) else _ask_with_recorded_code(one, folder, number)
    told = [describe_disagreement("the SDK", theirs, verdict.verdict)]
    if one.worker:
        told.append(describe_disagreement("the worker", one.worker, verdict.verdict))
    found = "; ".join(filter(None, told))
    pair = f"{theirs}/{verdict.verdict}"
    return pair, f"{found}: {verdict.reason[:200]} [{one.setup.name}]" if found else None


def is_at_command(message: str) -> bool:
    """Whether sdk-core stopped at the event of a command, which it gives to the command that the code asks for."""
    named = re.search(r"event_type: (\w+)", message)
    return named is not None and named[1] in COMMAND_EVENTS


@contextlib.contextmanager
def _placed_code(source: str, setup: Setup, folder: Path, number: int) -> Iterator[Code]:
    name = f"flow{number}_{time.monotonic_ns()}"
    named, where = place_code(source, setup.form, folder, name)
    try:
        yield load_code(CodeSpec((named,), f"tests.drills.programs.setups:{setup.name}", folder=str(where)))
    finally:
        for module in [module for module in sys.modules if name in module]:
            del sys.modules[module]


def _ask_with_recorded_code(one: SetUpComparison, folder: Path, number: int) -> str:
    """ "fatal" if the SDK replays this history with the code that was recorded, else "history"."""
    with _placed_code(one.recorded_source, one.recorded_setup, folder, number) as code:
        said = ask_replayer(code.definitions["Program"], one.recorded_setup, one.workflow_id, one.text)
    return "fatal" if said.word == "ok" else "history"


def ask_replayer(workflow: Any, setup: Setup, workflow_id: str, text: str) -> ReplayerOutcome:
    """What the SDK's own Replayer says, without any part of replaytool but the reading of its message."""
    try:
        history = WorkflowHistory.from_json(workflow_id, text)
    except Exception:
        return ReplayerOutcome("history")
    replayer = Replayer(workflows=[workflow], runtime=get_silent_runtime(), **setup.make_settings())
    result = asyncio.run(replayer.replay_workflow(history, raise_on_replay_failure=False))
    failure = result.replay_failure
    return parse_replayer_failure(failure, isinstance(failure, NondeterminismError), None)


def complete_task(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events with their open task completed, without commands; as they are if no task is open."""
    last = events[-1]
    if not last["eventType"].endswith("WORKFLOW_TASK_STARTED"):
        return events
    started = int(last["eventId"])
    attributes = {"scheduledEventId": str(started - 1), "startedEventId": str(started)}
    completed = {
        "eventId": str(started + 1),
        "eventTime": last["eventTime"],
        "eventType": "EVENT_TYPE_WORKFLOW_TASK_COMPLETED",
        "workflowTaskCompletedEventAttributes": attributes,
    }
    return [*events, completed]


def describe_disagreement(who: str, theirs: str, ours: str) -> str:
    """How both disagree, in the words of docs/trust.md; "" if they agree."""
    if ours in AGREED[theirs]:
        return ""
    if ours == "unverified":
        return f"undecided: {who} says {theirs}"
    if theirs == "ok":
        return f"false alarm: {who} says ok, replaytool {ours}"
    if ours in AGREED["ok"]:
        return f"false green: {who} says {theirs}, replaytool {ours}"
    return f"other word: {who} says {theirs}, replaytool {ours}"
