"""Edits of a project of many workflows, each checked in full and by what it can touch: with the same findings."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from replaytool import ingest
from replaytool.check import base_branch as gate
from replaytool.check import check_runs as check
from replaytool.check.impact import impacted_runs as impacted
from replaytool.engines import CodeSpec
from replaytool.model.verdict import CheckedRun, CheckReport
from replaytool.sources import open_sources
from replaytool.store import Store
from replaytool.workers.pool import WorkerLimits
from tests.drills.mutants.changing_kinds import CHANGING, LATENT
from tests.drills.mutants.harmless_edits import KEEPING
from tests.drills.mutants.operators import mutants
from tests.drills.mutants.trust_drill import sources
from tests.support.git_repository import git
from tests.support.paths import FIXTURES


@dataclass(frozen=True, slots=True)
class Edit:
    """One file of the project, changed."""

    file: str
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Told:
    """What both ways of checking said about an edit."""

    edit: Edit
    differences: tuple[str, ...]
    runs: int
    left_out: int


# Workflow types that two cases define cannot stand in one project.
def cases(wanted: Sequence[str] | None = None) -> dict[str, str]:
    """Cases by name with their code, each type once."""
    found, types = {}, set[str]()
    for case, text in sources().items():
        own = set(json.loads((FIXTURES / case / "verdict.json").read_bytes())["workflow_types"])
        if (wanted is None or case in wanted) and not own & types and "dynamic=True" not in text:
            found[case] = text
            types |= own
    return found


class Project:
    """A repository with the fixtures' workflows, and a store with their histories."""

    def __init__(self, folder: Path, wanted: Sequence[str] | None = None) -> None:
        self.folder = folder
        self.cases = cases(wanted)
        self.app = folder / "app"
        self.app.mkdir(parents=True)
        for case, text in self.cases.items():
            (self.app / f"{case}.py").write_text(text)
        git(folder, "init", "-q")
        git(folder, "add", ".")
        git(folder, "commit", "-qm", "one")
        self.store = Store(folder / "runs.duckdb")
        files = [str(one) for case in self.cases for one in sorted((FIXTURES / case).glob("history*.json"))]
        ingest.load_into_store(self.store, open_sources(files))
        self.rows = self.store.list_runs()
        self.plan = check.CheckPlan(CodeSpec(("app",), folder=str(folder)), limits=WorkerLimits(jobs=2, timeout=60.0))

    def edits(self, count: int, seed: int = 1) -> list[Edit]:
        """So many, of all kinds, in all files; edits that act by chance tell nothing."""
        chance = random.Random(seed)
        found: dict[str, list[Edit]] = {}
        for case, text in self.cases.items():
            for one in mutants(case, text, (*CHANGING, *KEEPING)):
                if one.kind not in LATENT and not one.sandbox:
                    found.setdefault(one.kind, []).append(Edit(f"{case}.py", one.kind, one.text))
            for kind, edited in _by_hand(text):
                found.setdefault(kind, []).append(Edit(f"{case}.py", kind, edited))
        for listed in found.values():
            chance.shuffle(listed)
        kinds = sorted(found)
        chance.shuffle(kinds)
        turns = [found[kind][turn] for turn in range(count) for kind in kinds if turn < len(found[kind])]
        return turns[:count]

    def told(self, edit: Edit) -> Told:
        """Check it both ways."""
        file = self.app / edit.file
        before = file.read_text()
        file.write_text(edit.text)
        try:
            narrow = impacted.check_impacted("HEAD", self.store, self.rows, self.plan)
            report = check.check_runs(self.store, self.rows, self.plan)
            whole = gate.compare_with_base(report, "HEAD", self.store, self.rows, self.plan)
        finally:
            file.write_text(before)
        assert narrow.base is not None
        return Told(edit, tuple(_differences(whole, narrow)), len(whole.runs), narrow.base.left_out)


def _by_hand(text: str) -> Iterator[tuple[str, str]]:
    """What the machine's edits leave out: remarks, constants and classes of the module, activities, new functions."""
    yield "a remark", text + "\n# nothing\n"
    yield "a constant of the module", text.replace("=10)", "=11)")
    yield "a new function", text + "\n\ndef afterthought() -> int:\n    return 3\n"
    yield "the body of an activity", text.replace('    return f"', '    print("x")\n    return f"', 1)
    yield "a new import", "import fractions\n" + text


def _differences(whole: CheckReport, narrow: CheckReport) -> Iterator[str]:
    if [one.subject for one in whole.runs] != [one.subject for one in narrow.runs]:
        yield "not the same runs"
    for one, other in zip(whole.runs, narrow.runs, strict=False):
        if _said(one) != _said(other):
            yield f"{one.subject.workflow_id}: {_said(one)} and {_said(other)}"
    if _causes(whole) != _causes(narrow):
        yield f"causes: {_causes(whole)} and {_causes(narrow)}"


def _said(one: CheckedRun) -> tuple[Any, ...]:
    verdict = one.verdict
    drift = tuple((found.event_id, found.path, str(found.recorded), str(found.produced)) for found in verdict.drift)
    following = tuple((found.kind, found.name) for found in verdict.next)
    failure = verdict.failure and (verdict.failure.type, verdict.failure.message)
    return (verdict.verdict, verdict.event_id, failure, drift, verdict.stuck, following, one.base, one.known)


def _causes(report: CheckReport) -> list[tuple[Any, ...]]:
    return sorted((one.fingerprint, one.runs, one.known) for one in report.causes)


def drill(folder: Path, count: int, wanted: Sequence[str] | None = None) -> list[Told]:
    """Check so many edits both ways."""
    project = Project(folder, wanted)
    try:
        return [project.told(one) for one in project.edits(count)]
    finally:
        shutil.rmtree(project.folder / ".git", ignore_errors=True)
