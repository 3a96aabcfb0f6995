"""Pull requests with known edits over recorded programs, and which of their edits break runs: all subsets are replayed.

python -m tests.drills.guilty_drill [--first SEED] [--cases N]
"""

from __future__ import annotations

import argparse
import ast
import itertools
import json
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from replaytool.check.check_runs import CheckPlan
from replaytool.check.guilty.find import GuiltyRequest
from replaytool.config import Settings
from replaytool.engines import CodeSpec
from replaytool.errors import ReplaytoolError
from replaytool.ingest import LoadObserver
from replaytool.model.verdict import CheckReport, Verdict
from replaytool.session import Session
from replaytool.store.run_filters import RunFilter
from replaytool.workers.pool import WorkerLimits, replay_all_runs, work_from_run
from tests.support.git_repository import git
from tests.support.histories import run_of
from tests.support.paths import FIXTURES

PROGRAMS = (
    "activities_in_sequence", "activities_gathered", "timers", "updates", "signals", "child_completed",
    "local_activities",
    "loop_of_activities", "saga_with_compensation", "first_completed", "activity_retries", "continue_as_new", "queries",
    "cancellation_with_cleanup",
)  # fmt: skip
_HEADER = """
from knobs import Limits, pauses_of

PAUSES = 0
FIRST_FLAG = False
SECOND_FLAG = False
UNUSED_LIMIT = 10


def describe(name: str) -> str:
    return f"workflow {name}"


"""
_PRELUDE = """
for _ in range(PAUSES):
    await workflow.sleep(1)
if FIRST_FLAG and SECOND_FLAG:
    await workflow.sleep(2)
for _ in range(pauses_of("a")):
    await workflow.sleep(3)
if Limits().pauses > 0:
    await workflow.sleep(4)
workflow.logger.debug("began")
"""
_KNOBS = '''"""Settings of the workflow."""

from dataclasses import dataclass


@dataclass
class Limits:
    pauses: int = 0
    unused: int = 3


def pauses_of(name):
    return 0


def other(name):
    return name
'''


@dataclass(frozen=True)
class Part:
    """One replacement of one text in one file."""

    path: str
    old: str
    new: str


@dataclass(frozen=True)
class PlannedEdit:
    """An edit as a person makes it: parts that belong together."""

    name: str
    parts: tuple[Part, ...]


def _edit(name: str, *parts: tuple[str, str, str]) -> PlannedEdit:
    return PlannedEdit(name, tuple(Part(*one) for one in parts))


_WF, _KN = "wf.py", "knobs.py"
_LOG = 'workflow.logger.debug("began")'
BREAKING = (
    _edit("constant", (_WF, "PAUSES = 0\n", "PAUSES = 1\n")),
    _edit("helper", (_KN, "    return 0\n", "    return 1\n")),
    _edit("default", (_KN, "pauses: int = 0", "pauses: int = 1")),
    _edit("step", (_WF, _LOG, f"await workflow.sleep(5)\nINDENT{_LOG}")),
    _edit(
        "function",
        (_WF, "\n\ndef describe(", "\n\ndef extra_pauses() -> int:\n    return 2\n\n\ndef describe("),
        (_WF, _LOG, f"{_LOG}\nINDENTfor _ in range(extra_pauses()):\nINDENT    await workflow.sleep(6)"),
    ),
    _edit(
        "signature",
        (_KN, "def pauses_of(name):\n    return 0\n", "def pauses_of(name, more):\n    return more\n"),
        (_WF, 'pauses_of("a")', 'pauses_of("a", 1)'),
    ),
)
TOGETHER = (
    _edit("first flag", (_WF, "FIRST_FLAG = False", "FIRST_FLAG = True")),
    _edit("second flag", (_WF, "SECOND_FLAG = False", "SECOND_FLAG = True")),
)
HARMLESS = (
    _edit("comment", (_WF, "PAUSES = 0\n", "# Pauses before the first step.\nPAUSES = 0\n")),
    _edit("unused constant", (_WF, "UNUSED_LIMIT = 10", "UNUSED_LIMIT = 11")),
    _edit("text", (_WF, 'f"workflow {name}"', 'f"the workflow {name}"')),
    _edit("annotation", (_KN, "def other(name):", "def other(name: str) -> str:")),
    _edit("unused function", (_KN, "def other(", 'def unused():\n    return "nothing"\n\n\ndef other(')),
    _edit("unused field", (_KN, "unused: int = 3", "unused: int = 4")),
    _edit("docstring", (_KN, '"""Settings of the workflow."""', '"""The settings of the workflow."""')),
    _edit("import", (_KN, "from dataclasses import dataclass\n", "import math\nfrom dataclasses import dataclass\n")),
    _edit("log", (_WF, '.debug("began")', '.debug("has begun")')),
    _edit("condition", (_WF, "Limits().pauses > 0", "Limits().pauses >= 1")),
)
KINDS = ("constant", "helper", "default", "step", "function", "signature", "two", "together", "nothing", "many")


@dataclass(frozen=True)
class PullRequest:
    """One change over one program."""

    name: str
    program: str
    edits: tuple[PlannedEdit, ...]


def make_pull_request(seed: int) -> PullRequest:
    """Return a change: the seed chooses its kind, its program and its harmless edits."""
    chance = random.Random(seed)
    kind = KINDS[seed % len(KINDS)]
    program = PROGRAMS[(seed // len(KINDS) + seed) % len(PROGRAMS)]
    by_name = {one.name: one for one in BREAKING}
    chosen: list[PlannedEdit] = []
    if kind in by_name:
        chosen = [by_name[kind]]
    elif kind == "two":
        chosen = chance.sample(BREAKING[:4], 2)
    elif kind == "together":
        chosen = list(TOGETHER)
    elif kind == "many":
        chosen = [chance.choice(BREAKING)]
    count = len(HARMLESS) if kind == "many" else chance.randint(2, 5)
    taken = {(part.path, part.old) for one in chosen for part in one.parts}
    for one in chance.sample(HARMLESS, len(HARMLESS)):
        if len(chosen) > count + 1:
            break
        if not any(_overlaps(part, taken) for part in one.parts):
            chosen.append(one)
            taken |= {(part.path, part.old) for part in one.parts}
    return PullRequest(f"{kind}-{program}-{seed}", program, tuple(chosen))


def _overlaps(part: Part, taken: set[tuple[str, str]]) -> bool:
    return any(part.path == path and (part.old in old or old in part.old) for path, old in taken)


def base_files(program: str) -> dict[str, str]:
    """Return the program with settings that change nothing, as long as nobody edits them."""
    text = (FIXTURES / program / "workflow.py").read_text()
    lines = text.splitlines(keepends=True)
    tree = ast.parse(text)
    runs = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.AsyncFunctionDef)
        and any(isinstance(one, ast.Attribute) and one.attr == "run" for one in node.decorator_list)
    ]
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    for run in reversed(runs[:1]):
        first = run.body[1] if ast.get_docstring(run) and len(run.body) > 1 else run.body[0]
        blanks = " " * first.col_offset
        prelude = "".join(f"{blanks}{line}\n" for line in _PRELUDE.strip("\n").split("\n"))
        lines.insert(first.lineno - 1, prelude)
    lines.insert(imports[-1].end_lineno or 0, _HEADER)
    return {_WF: "".join(lines), _KN: _KNOBS}


def apply_parts(files: Mapping[str, str], parts: Sequence[Part]) -> dict[str, str]:
    """Return the files with these replacements made."""
    made = dict(files)
    for part in parts:
        text = made[part.path]
        assert text.count(part.old) == 1, (part, text.count(part.old))
        at = text.index(part.old)
        indent = " " * (at - text.rfind("\n", 0, at) - 1)
        made[part.path] = text.replace(part.old, part.new.replace("INDENT", indent))
    return made


def find_truth(request: PullRequest, folder: Path) -> list[frozenset[str]]:
    """Return the sets of edits that break a run with no larger subset that passes, by replaying all subsets."""
    files = base_files(request.program)
    works = [work_from_run(path.name, run_of(path.read_bytes())) for path in recorded_histories(request.program)]
    names = [one.name for one in request.edits]
    outcome: dict[frozenset[str], bool] = {}
    for size in range(len(names) + 1):
        for chosen in itertools.combinations(request.edits, size):
            there = folder / f"v{len(outcome)}"
            there.mkdir()
            for path, text in apply_parts(files, [part for one in chosen for part in one.parts]).items():
                (there / path).write_text(text)
            spec = CodeSpec(("wf.py",), folder=str(there))
            try:
                done = replay_all_runs(works, spec, limits=WorkerLimits(1), engine="direct")
            except ReplaytoolError:
                continue
            outcome[frozenset(one.name for one in chosen)] = any(_is_broken(one) for one in done.verdicts.values())
    breaking = [one for one, broken in outcome.items() if broken]
    lasting = [one for one in breaking if all(broken for other, broken in outcome.items() if one <= other)]
    return [one for one in lasting if not any(other < one for other in lasting)]


def _is_broken(verdict: Verdict) -> bool:
    return verdict.verdict not in ("ok", "drift")


def recorded_histories(program: str) -> list[Path]:
    """Return the recorded histories of a program."""
    return sorted((FIXTURES / program).glob("history*.json"))


def make_repository(request: PullRequest, folder: Path) -> None:
    """Make the pull request as a branch of a new repository."""
    files = base_files(request.program)
    _write(folder, files)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "base")
    git(folder, "checkout", "-q", "-b", "change")
    _write(folder, apply_parts(files, [part for one in request.edits for part in one.parts]))
    git(folder, "commit", "-q", "-a", "-m", "change")


def search_edits(request: PullRequest, folder: Path) -> CheckReport:
    """Make the pull request in a repository, and check it against its base."""
    make_repository(request, folder)
    plan = CheckPlan(CodeSpec(("wf.py",), folder=str(folder)), limits=WorkerLimits(1))
    session = Session(Settings(folder=folder))
    sources = [str(path) for path in recorded_histories(request.program)]
    report, _ = session.check_runs(
        sources, RunFilter(), plan, LoadObserver(), lambda *_: None, "main", guilty=GuiltyRequest()
    )
    return report


def _write(folder: Path, files: Mapping[str, str]) -> None:
    for path, text in files.items():
        (folder / path).write_text(text)


def name_found_sets(request: PullRequest, report: CheckReport) -> list[frozenset[str]]:
    """Return the planned edits that each found set touches."""
    assert report.guilty is not None
    found = []
    for one in report.guilty.found:
        names = {
            edit.name
            for edit in request.edits
            for part in edit.parts
            for hunk in one.hunks
            if hunk.path == part.path and _touches(part, hunk.removed, hunk.added)
        }
        found.append(frozenset(names))
    return found


def _touches(part: Part, removed: Sequence[str], added: Sequence[str]) -> bool:
    """Return whether the lines hold what the replacement took away or brought."""
    gone = _lines(part.old) - _lines(part.new.replace("INDENT", ""))
    come = _lines(part.new.replace("INDENT", "")) - _lines(part.old)
    text = [line.strip() for line in (*removed, *added)]
    return any(one in line for one in gone | come for line in text)


def _lines(text: str) -> set[str]:
    return {line.strip() for line in text.splitlines() if line.strip()}


@dataclass(frozen=True)
class Result:
    """What became of one pull request."""

    request: PullRequest
    truth: list[frozenset[str]]
    found: list[frozenset[str]]
    report: CheckReport

    @property
    def is_right(self) -> bool:
        """Whether a right set stands first, or nothing where nothing is guilty."""
        return self.found[0] in self.truth if self.truth and self.found else self.truth == self.found

    @property
    def innocent(self) -> frozenset[str]:
        """Edits that were named and are in no guilty set."""
        return frozenset().union(*self.found, frozenset()) - frozenset().union(*self.truth, frozenset())


def try_pull_request(seed: int) -> Result:
    """Make one pull request, and compare what is found with the truth."""
    request = make_pull_request(seed)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder).resolve()
        for name in ("truth", "project"):
            (place / name).mkdir()
        # Ten harmless edits have too many subsets: they are known to be harmless from the other kinds.
        few = PullRequest(request.name, request.program, request.edits[: 7 if "many" not in request.name else 3])
        truth = find_truth(few, place / "truth")
        report = search_edits(request, place / "project")
    return Result(request, truth, name_found_sets(request, report), report)


def run_drill(seeds: Sequence[int], say: Callable[[str], None] = print) -> Iterator[Result]:
    """Try these pull requests one after the other, and say what is wrong."""
    for seed in seeds:
        result = try_pull_request(seed)
        if not result.is_right or result.innocent:
            truth, found = [sorted(one) for one in result.truth], [sorted(one) for one in result.found]
            say(f"{result.request.name}: truth {json.dumps(truth)}, found {json.dumps(found)}")
        yield result


def main() -> None:
    """Print a table by kind."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--cases", type=int, default=140)
    options = parser.parse_args()
    counts: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    for result in run_drill(range(options.first, options.first + options.cases)):
        count = counts[result.request.name.partition("-")[0]]
        assert result.report.guilty is not None
        count.update(
            cases=1, right=result.is_right, innocent=len(result.innocent),
            versions=result.report.guilty.versions, replays=result.report.guilty.replays,
        )  # fmt: skip
    print(f"{'kind':12} {'cases':>6} {'right':>6} {'innocent named':>15} {'versions each':>14} {'replays each':>13}")
    for kind, count in counts.items():
        each = max(count["cases"], 1)
        print(
            f"{kind:12} {count['cases']:6} {count['right']:6} {count['innocent']:15} "
            f"{count['versions'] / each:14.1f} {count['replays'] / each:13.1f}"
        )


if __name__ == "__main__":
    main()
