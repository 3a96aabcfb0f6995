"""The real integrations of agent frameworks: histories recorded with their plugins, judged as the SDK's Replayer does.

They are an extra: `pip install -e '.[integrations]'`. Without it these tests are skipped.
"""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from replaytool.engines import Code, CodeSpec, Options, load_code, replay
from replaytool.model.history import Run
from replaytool.model.verdict import Verdict
from tests.support.histories import run_of
from tests.support.paths import FIXTURES

INTEGRATIONS = FIXTURES.parent / "integrations"
NEEDS = {
    "google_adk": "temporalio.google_adk",
    "langgraph": "temporalio.langgraph",
    "openai_agents": "temporalio.openai_agents",
    "pydantic_ai": "pydantic_ai.durable_exec.temporal",
}
SENDS = "return await workflow.execute_activity(send_answer"
ALWAYS: Mapping[str, tuple[str, str, str]] = {
    "same": ("", "", "ok"),
    "refactored": (SENDS, "sent = await workflow.execute_activity(send_answer", "ok"),
    "a step more": (
        SENDS,
        'await workflow.execute_activity("note", "", start_to_close_timeout=SHORT)\n        ' + SENDS,
        "diverged",
    ),
    "a step less": (SENDS, 'return "x"\n        ' + SENDS, "diverged"),
    "another name": ("execute_activity(send_answer", 'execute_activity("send_reply"', "diverged"),
    "another time-out": ("SHORT = timedelta(seconds=10)", "SHORT = timedelta(seconds=11)", "drift"),
    "another result": (SENDS, "return 're: ' + await workflow.execute_activity(send_answer", "drift"),
}
OWN: Mapping[str, Mapping[str, tuple[str, str, str]]] = {
    "google_adk": {"another instruction": ("questions about orders", "all questions", "drift")},
    "langgraph": {"another question": ('"question": question', '"question": question + "?"', "drift")},
    "openai_agents": {
        "another instruction": ("questions about orders", "all questions", "drift"),
        "another model": ('model="fake",\n            tools', 'model="other",\n            tools', "drift"),
        "no tool": ("tools=[activity_as_tool(find_order, start_to_close_timeout=SHORT)],", "", "failed"),
    },
    "pydantic_ai": {"another instruction": ("questions about orders", "all questions", "drift")},
}
CASES = [
    pytest.param(name, old, new, word, id=f"{name}-{title}")
    for name in NEEDS
    for title, (old, new, word) in {**ALWAYS, **OWN[name]}.items()
]
_counter = iter(range(1000))


def is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    before = list(sys.path)
    yield tmp_path
    sys.path[:] = before


def recorded_run(name: str) -> Run:
    return run_of((INTEGRATIONS / name / "history.json").read_bytes(), "desk")


def code_of(name: str, folder: Path, old: str, new: str) -> Code:
    """The code with one edit, in modules of its own."""
    if not is_installed(NEEDS[name]):
        pytest.skip(f"{NEEDS[name]} is not installed: pip install -e '.[integrations]'")
    number = next(_counter)
    for file in (INTEGRATIONS / name).glob("*.py"):
        source = file.read_text()
        if file.stem == "workflow":
            assert old in source
            source = source.replace(old, new, 1) if old else source
            if "sent = await" in source:
                source += "        return sent\n"
        source = source.replace("from nodes import", f"from nodes_{number} import")
        (folder / f"{file.stem}_{number}.py").write_text(source)
    spec = CodeSpec((f"workflow_{number}.py",), replayer=f"settings_{number}:replayer", folder=str(folder))
    return load_code(spec)


def ask_sdk(name: str, code: Code) -> str:
    """What the SDK's own Replayer says of the same code with the same plugins."""
    settings = sys.modules[str(code.spec.replayer).partition(":")[0]].replayer()
    history = WorkflowHistory.from_json("desk", (INTEGRATIONS / name / "history.json").read_text())
    try:
        replayer = Replayer(workflows=code.workflow_classes, debug_mode=True, **settings)
        result = asyncio.run(replayer.replay_workflow(history, raise_on_replay_failure=False))
    except RuntimeError as error:
        return f"refused: {error}"
    failure = result.replay_failure
    if failure is None:
        return "ok"
    return "diverged" if isinstance(failure, NondeterminismError) else f"failed: {failure}"[:300]


SAYS = {"ok": "ok", "drift": "ok", "diverged": "diverged", "failed": "failed"}


def is_workflow_line(verdict: Verdict, code: Code) -> bool:
    site = verdict.call_site
    return site is not None and Path(site.file).name == code.spec.workflows[0]


@pytest.mark.parametrize(("name", "old", "new", "word"), CASES)
def test_it_is_judged_as_by_the_sdk(name: str, old: str, new: str, word: str, place: Path) -> None:
    code = code_of(name, place, old, new)
    assert ask_sdk(name, code).partition(":")[0] == SAYS[word]
    for engine in ("direct", "sdk"):
        found = replay(recorded_run(name), code, Options(), engine)
        assert (found.verdict, found.engine) == (word, engine), f"{found.reason} {found.notes} {found.drift[:3]}"
        assert word == "ok" or is_workflow_line(found, code), found.call_site
