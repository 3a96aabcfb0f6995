"""Judges all edits of a framework's programs: `python -m tests.support.judge_integrations FRAMEWORK FOLDER`.

FOLDER gets `found.json`: for each program and edit the verdicts of the SDK's Replayer and of both engines.
"""

from __future__ import annotations

import asyncio
import json
import sys
from itertools import count
from pathlib import Path

from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from replaytool.engines import Code, CodeSpec, Options, load_code, replay
from replaytool.model.history import Run
from replaytool.model.verdict import Verdict
from tests.support.histories import run_of
from tests.support.integrations import FRAMEWORKS, INTEGRATIONS, Edit, list_edits, list_engines

_numbers = count()


def main(framework: str, place: Path) -> None:
    found = {
        name: {title: judge_edit(name, title, edit, place) for title, edit in list_edits(program).items()}
        for name, program in FRAMEWORKS[framework].programs.items()
    }
    (place / "found.json").write_text(json.dumps(found))


def judge_edit(name: str, title: str, edit: Edit, place: Path) -> dict[str, str]:
    before = list(sys.path)
    code, run = code_of(name, place, edit), recorded_run(name)
    said = {"SDK": ask_sdk(name, code)}
    for engine in list_engines(title):
        said[engine] = describe_verdict(replay(run, code, Options(), engine), code)
    sys.path[:] = before
    return said


def recorded_run(name: str) -> Run:
    return run_of((INTEGRATIONS / name / "history.json").read_bytes(), "desk")


def code_of(name: str, place: Path, edit: Edit) -> Code:
    """The code with one edit, in modules of its own; the nodes keep their name, which is part of the activities'."""
    number = next(_numbers)
    folder = place / str(number)
    folder.mkdir()
    for file in (INTEGRATIONS / name).glob("*.py"):
        source = file.read_text()
        if file.stem == edit.file and edit.old:
            assert edit.old in source, edit
            source = source.replace(edit.old, edit.new)
            if "sent = await" in source:
                source += "        return sent\n"
        renamed = file.stem if file.stem == "nodes" else f"{file.stem}_{number}"
        (folder / f"{renamed}.py").write_text(source)
    sys.modules.pop("nodes", None)
    return load_code(CodeSpec((f"workflow_{number}.py",), replayer=f"settings_{number}:replayer", folder=str(folder)))


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
    return "diverged" if isinstance(failure, NondeterminismError) else "failed"


def describe_verdict(found: Verdict, code: Code) -> str:
    """The verdict's word; with its reason where the line is not the program's own."""
    site = found.call_site
    is_own = site is not None and Path(site.file).name in (code.spec.workflows[0], "nodes.py")
    return found.verdict if is_own or found.verdict == "ok" else f"{found.verdict} at {site}: {found.reason}"


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
