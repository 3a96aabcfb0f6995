"""replaytool's verdict against the SDK's Replayer with the same set-up, and against a worker that took the run over."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from replaytool.engines import CodeSpec, Options, load_code, replay
from replaytool.engines.temporal.sdk.quiet_runtime import get_silent_runtime
from replaytool.engines.temporal.sdk.replayer_errors import parse_replayer_failure
from tests.drills.differential_drill import tamper
from tests.drills.programs.setups import Setup, change_setup, choose_setup, place_code
from tests.drills.programs.writing import edited, program
from tests.engines.temporal.oracle import run_of

AGREED = {
    "ok": {"ok", "drift"},
    "nondeterminism": {"diverged"},
    "code": {"failed"},
    "history": {"unverified"},
}
"""What replaytool says where the SDK, or a worker, says this."""


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


def list_takeovers(recorded: list[dict[str, Any]]) -> Iterator[SetUpComparison]:
    """Every run that a worker took over."""
    for one in recorded:
        before = program(one["seed"])
        after = before if one["edit"] is None else edited(before, one["edit"])
        setup = Setup(**one["new"])
        if one["worker"] in AGREED:
            name = f"takeover {one['seed']}"
            yield SetUpComparison(name, after.source(), setup, one["workflowId"], one["events"], one["worker"])


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
            events = tamper(one["events"], chance) if chance.random() < 0.2 else one["events"]
            yield SetUpComparison(f"{one['seed']} set-up {number}", source.source(), setup, one["workflowId"], events)


def compare_set_up(one: SetUpComparison, folder: Path, number: int) -> tuple[str, str | None]:
    """What the SDK and replaytool say, and how they disagree."""
    text = json.dumps({"events": one.events})
    name = f"flow{number}_{time.monotonic_ns()}"
    named, where = place_code(one.source, one.setup.form, folder, name)
    spec = CodeSpec((named,), f"tests.drills.programs.setups:{one.setup.name}", folder=str(where))
    code = load_code(spec)
    run = run_of(text)
    verdict = replay(run, code, Options(sandbox="shared" if one.setup.sandbox == "sandboxed" else "off"))
    theirs = ask_replayer(code.definitions["Program"], one, text)
    for module in [module for module in sys.modules if name in module]:
        del sys.modules[module]
    pair = f"{theirs}/{verdict.verdict}"
    told = [describe_disagreement("the SDK", theirs, verdict.verdict)]
    if one.worker:
        told.append(describe_disagreement("the worker", one.worker, verdict.verdict))
    found = "; ".join(filter(None, told))
    return pair, f"{found}: {verdict.reason[:200]} [{one.setup.name}]" if found else None


def ask_replayer(workflow: Any, one: SetUpComparison, text: str) -> str:
    """What the SDK's own Replayer says, without any part of replaytool."""
    try:
        history = WorkflowHistory.from_json(one.workflow_id, text)
    except Exception:
        return "history"
    replayer = Replayer(workflows=[workflow], runtime=get_silent_runtime(), **one.setup.make_settings())
    result = asyncio.run(replayer.replay_workflow(history, raise_on_replay_failure=False))
    failure = result.replay_failure
    return parse_replayer_failure(failure, isinstance(failure, NondeterminismError), None).word


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
