"""Is `replaytool check` worth trusting? Hundreds of edits of workflow code, made by machine, say how far.

`python -m tests.drills.mutants.trust_drill` edits the code of the fixtures, replays their histories with each edited
version by the SDK's own Replayer and by `replaytool check`, and prints a table: which kinds of edit are told, and as
what. Edits that keep behaviour must not be told at all. `--quick` takes two of each kind, `--all` every place of every
case. Exits with 1 where an expectation fails.

An edit is *equivalent* where the code asked for exactly the same on all histories of its case, byte by byte, when the
SDK replayed it: it changed nothing there, cannot be noticed, and is not counted. That is decided without replaytool.
"""

from __future__ import annotations

import argparse
import ast
import json
import random
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from replaytool import ingest
from replaytool.check import check_runs as check
from replaytool.engines import CodeSpec, Options
from replaytool.model.verdict import to_report_json
from replaytool.sources import open_sources
from replaytool.store import Store
from replaytool.workers.pool import WorkerLimits
from tests.drills.mutants.changing_kinds import CHANGING, LATENT
from tests.drills.mutants.harmless_edits import KEEPING
from tests.drills.mutants.operators import ELSEWHERE, NOWHERE, Mutant, mutants, relation
from tests.drills.mutants.replay_processes import Answer, Job, answers
from tests.support.paths import FIXTURES

REPEAT = 6
TOLD = ("diverged", "failed", "drift", "unstable")
# A run that never came back fails a check as well, but says nothing about the edit.
_CAUGHT = (*TOLD, "crashed")
SHOWN = (
    "swap activities", "remove an activity", "add an activity", "rename an activity", "timer for activity",
    "other duration", "other argument", "early return", "other result", "child for activity",
)  # fmt: skip
# What an edit does here depends on the moment: that the SDK noticed once says nothing about another replay.
_BY_CHANCE = {"clock in a branch", "chance in a branch"}


@dataclass
class Case:
    """A mutant with all that was found out about it."""

    mutant: Mutant
    sdk: dict[str, str] = field(default_factory=dict)
    """By history: ok, nondeterminism, error."""
    verdicts: dict[str, Any] = field(default_factory=dict)
    """By history."""
    is_equivalent: bool = False

    @property
    def caught(self) -> bool:
        """Whether the SDK noticed; a replay that never came back did."""
        return not self.sdk or any(word != "ok" for word in self.sdk.values())

    @property
    def words(self) -> set[str]:
        """What check says of its histories."""
        return {_word(one) for one in self.verdicts.values()}

    @property
    def told(self) -> str:
        """The worst that check says of its histories."""
        return next((word for word in ("unstable", *TOLD, *sorted(self.words)) if word in self.words), "no answer")

    @property
    def finding(self) -> dict[str, Any] | None:
        """The verdict that `told` is about."""
        return next((one for one in self.verdicts.values() if _word(one) == self.told), None)


def _word(verdict: dict[str, Any]) -> str:
    return "unstable" if verdict["reason"].startswith("unstable") else str(verdict["verdict"])


def histories(case: str) -> tuple[tuple[str, str, str], ...]:
    """The recorded runs that the unchanged code follows."""
    stated = json.loads((FIXTURES / case / "verdict.json").read_bytes())
    expect = stated["expect"]["workflow.py"]
    own = expect.get("histories", {})
    return tuple(
        (str(FIXTURES / case / name), run["workflow_id"], run["run_id"])
        for name, run in stated["recorded_by"].items()
        if own.get(name, expect)["verdict"] == "ok"
    )


def sources() -> dict[str, str]:
    """The code of every case that needs no converter of its own."""
    found = {}
    for path in sorted(FIXTURES.glob("*/workflow.py")):
        if json.loads((path.parent / "verdict.json").read_bytes())["converter"] is None:
            found[path.parent.name] = path.read_text()
    return found


def chosen(found: Iterable[Mutant], most: int) -> list[Mutant]:
    """So many of each kind, from as many cases as there are, and always the same ones."""
    by_kind: dict[str, dict[str, list[Mutant]]] = defaultdict(lambda: defaultdict(list))
    for one in found:
        by_kind[one.kind][one.case].append(one)
    result = []
    for kind, by_case in by_kind.items():
        cases = sorted(by_case)
        chance = random.Random(kind)
        chance.shuffle(cases)
        for listed in by_case.values():
            chance.shuffle(listed)
        turns = max(map(len, by_case.values()))
        result += [by_case[case][turn] for turn in range(turns) for case in cases if turn < len(by_case[case])][:most]
    return result


class Bench:
    """All versions of all code in one folder, and what both replayers say of them."""

    def __init__(self, folder: Path, engine: str) -> None:
        self.folder = folder
        self.engine = engine
        self.jobs: list[Job] = []

    def job(self, case: str, text: str, sandbox: str = "") -> int:
        """Take one version in; its number."""
        number = len(self.jobs)
        file = self.folder / f"version_{number:04}.py"
        file.write_text(text)
        self.jobs.append(Job(number, str(file), sandbox, histories(case)))
        return number

    def run(self, found: Sequence[Mutant]) -> list[Case]:
        """Replay them all, twice."""
        keys = sorted({(one.case, one.sandbox) for one in found})
        code = sources()
        base = {key: self.job(key[0], ast.unparse(ast.parse(code[key[0]])), key[1]) for key in keys}
        own = [self.job(one.case, one.text, one.sandbox) for one in found]
        forced = {n: self.job(one.case, one.forced, one.sandbox) for n, one in enumerate(found) if one.forced}
        latent = {number for number, one in zip(own, found, strict=True) if one.kind in LATENT}
        plain = [job for job in self.jobs if job.number not in latent | set(forced.values())]
        with ThreadPoolExecutor(2) as pool:
            by_sdk = pool.submit(answers, "replayer", self.jobs)
            by_check = pool.submit(answers, f"check:{self.engine}", plain)
            sdk, verdicts = by_sdk.result(), by_check.result()
            # What did not come back in this process is for the pool, which knows how to end it.
            lost = {number for number, one in verdicts.items() if not one.said}
            again = {number: REPEAT if number in latent else 1 for number in sorted(latent | lost)}
            pooled = pool.map(lambda number: by_pool(self.jobs[number], self.engine, again[number]), again)
            verdicts |= {one.number: one for one in pooled}
        return [
            self._case(one, sdk[number], verdicts[number], sdk[base[one.case, one.sandbox]], sdk.get(forced.get(n, -1)))
            for n, (one, number) in enumerate(zip(found, own, strict=True))
        ]

    def _case(self, mutant: Mutant, sdk: Answer, verdicts: Answer, base: Answer, forced: Answer | None) -> Case:
        same = all(_asks_the_same(one, base) for one in (sdk, forced) if one is not None)
        return Case(mutant, {name: one["sdk"] for name, one in sdk.said.items()}, verdicts.said, same)


def _asks_the_same(one: Answer, base: Answer) -> bool:
    """Whether the code asked for the same, byte by byte; what has no answer did something else for sure."""
    return bool(one.said) and all(one.said[name]["asked"] == other["asked"] for name, other in base.said.items())


def by_pool(job: Job, engine: str, times: int) -> Answer:
    """What `check` says, with its processes and its `--repeat`."""
    store = Store(None)
    ingest.load_into_store(store, open_sources([path for path, _, _ in job.histories]))
    limits = WorkerLimits(jobs=1, timeout=60.0)
    plan = check.CheckPlan(
        CodeSpec((job.file,)), Options(sandbox=job.sandbox or Options().sandbox), limits, engine, times
    )
    report = check.check_runs(store, store.list_runs(), plan)
    return Answer(job.number, {Path(one.subject.source).name: to_report_json(one.verdict) for one in report.runs})


# What comes out


def table(cases: Sequence[Case], columns: Sequence[str]) -> Iterable[str]:
    """A line for each kind: how many, how many of them change nothing, caught by the SDK, and told as what."""
    head = f"{'kind':34}{'edits':>6}{'equiv.':>8}{'SDK':>6} |" + "".join(f"{one:>11}" for one in columns)
    yield head
    yield "-" * len(head)
    kinds = list(dict.fromkeys(one.mutant.kind for one in cases))
    for kind in [*kinds, "all"]:
        mine = [one for one in cases if kind in (one.mutant.kind, "all")]
        counted = [one for one in mine if not one.is_equivalent]
        words = Counter(one.told for one in counted)
        equal = len(mine) - len(counted)
        other = sum(words.values()) - sum(words[one] for one in columns[:-1])
        cells = "".join(f"{words[one] or '·':>11}" for one in columns[:-1]) + f"{other or '·':>11}"
        yield f"{kind:34}{len(mine):>6}{equal or '·':>8}{sum(one.caught for one in counted) or '·':>6} |{cells}"


def lines_named(verdict: dict[str, Any] | None) -> list[int]:
    """The line to look at first, and those that were waiting for it."""
    found = [] if verdict is None else [verdict["divergence"], verdict["failure"], *verdict["drift"]]
    site = next((one["call_site"] for one in found if one), None)
    return [] if site is None else [site["line"], *(one["line"] for one in site["chain"])]


def place(case: Case) -> str:
    """How the line that was named lies to the line that was edited."""
    return relation(case.mutant, lines_named(case.finding))


def example(case: Case) -> Iterable[str]:
    """One edit, and what was said of it."""
    text, named = case.mutant.text.splitlines(), lines_named(case.finding)
    finding = case.finding or {"reason": "nothing"}
    yield f"{case.mutant.kind} in {case.mutant.case}: {case.told}: {finding['reason']}"
    for line in case.mutant.edited[:2]:
        yield f"    edited {line:4}: {text[line - 1].strip()}"
    for line in named[:1]:
        yield f"    named  {line:4}: {text[line - 1].strip()}"
    yield f"    {place(case)}"


def shown(cases: Sequence[Case]) -> list[Case]:
    """The first of each of ten kinds, where the code asked for something or failed: else there is no line to name."""
    counted = [one for one in cases if not one.is_equivalent and place(one) != NOWHERE]
    found = [next((one for one in counted if one.mutant.kind == kind), None) for kind in SHOWN]
    return [one for one in found if one is not None]


def missed_by_check(one: Case) -> list[str]:
    """Histories of which the SDK says that they break, and check does not."""
    if not one.sdk or not one.verdicts:
        return ["all"] if one.caught and one.told not in _CAUGHT else []
    return [name for name, word in one.sdk.items() if word != "ok" and _word(one.verdicts[name]) not in _CAUGHT]


def failed(changing: Sequence[Case], keeping: Sequence[Case], *, is_quick: bool) -> Iterable[str]:
    """The expectations that do not hold."""
    counted = [one for one in changing if not one.is_equivalent]
    told = [one for one in counted if one.told in TOLD]
    kinds = {one.mutant.kind for one in counted}
    if not is_quick and (len(counted) < 80 or len(kinds) < 15 or len(keeping) < 20):
        yield f"only {len(counted)} changing edits of {len(kinds)} kinds, and {len(keeping)} that keep behaviour"
    if len(told) < 0.95 * len(counted):
        yield f"only {len(told)} of {len(counted)} changing edits are told"
    for one in changing:
        if one.mutant.kind not in _BY_CHANCE and (names := missed_by_check(one)):
            yield f"the SDK catches this and check does not: {_named(one)} on {', '.join(names)}"
        if one.is_equivalent and one.told != "ok":
            yield f"this edit changes nothing and is told as {one.told}: {_named(one)}"
    for one in keeping:
        if not one.is_equivalent:
            yield f"no edit that keeps behaviour: {_named(one)}"
        elif one.told != "ok" or any(verdict["hazards"] for verdict in one.verdicts.values()):
            yield f"a false alarm, {one.told}: {_named(one)}"
    for one in shown(changing):
        if place(one) == ELSEWHERE:
            yield f"the line named is not the line edited: {_named(one)}"


def _named(case: Case) -> str:
    return f"{case.mutant.kind} in {case.mutant.case}, line {', '.join(map(str, case.mutant.edited[:3]))}"


def report(changing: Sequence[Case], keeping: Sequence[Case]) -> Iterable[str]:
    """All that is printed but the expectations."""
    yield from table(changing, (*TOLD, "not told"))
    counted = [one for one in changing if not one.is_equivalent]
    told = sum(one.told in TOLD for one in counted)
    yield ""
    yield f"told: {told} of {len(counted)} edits that change behaviour, {100 * told / max(len(counted), 1):.1f} %"
    yield f"caught by the SDK alone: {sum(one.caught for one in counted)}"
    for one in counted:
        if one.told not in TOLD:
            hazards = {found["what"] for verdict in one.verdicts.values() for found in verdict["hazards"]}
            yield f"  not told: {_named(one)}: {one.told}" + (f", with the hazard {', '.join(hazards)}" * bool(hazards))
    yield "\nedits that keep behaviour:\n"
    yield from table([Case(one.mutant, one.sdk, one.verdicts) for one in keeping], ("ok", "false alarm"))
    yield "\nthe line that is named:\n"
    places = Counter(place(one) for one in counted if one.told in TOLD)
    yield from (f"  {count:5} {where}" for where, count in places.most_common())
    for one in counted:
        if place(one) == ELSEWHERE:
            yield f"        elsewhere: {_named(one)}, not {lines_named(one.finding)[:1]}"
    yield ""
    for one in shown(changing):
        yield from example(one)


def main() -> int:
    """Make, replay, print; 1 where an expectation fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two edits of each kind")
    parser.add_argument("--all", action="store_true", help="every place of every case")
    parser.add_argument(
        "--engine", default=check.CheckPlan(CodeSpec(())).engine, help="the engine of replaytool's to use"
    )
    parser.add_argument("--kind", help="only this kind")
    given = parser.parse_args()
    most = 2 if given.quick else 10**6 if given.all else 8
    found = [
        [one for one in chosen(_mutants(operators), most) if given.kind in (None, one.kind)]
        for operators in (CHANGING, KEEPING)
    ]
    with tempfile.TemporaryDirectory() as folder:
        cases = Bench(Path(folder), given.engine).run([*found[0], *found[1]])
    changing, keeping = cases[: len(found[0])], cases[len(found[0]) :]
    for line in report(changing, keeping):
        print(line)
    wrong = list(failed(changing, keeping, is_quick=given.quick or given.kind is not None))
    print("\nall expectations hold" if not wrong else "\nEXPECTATIONS THAT DO NOT HOLD:")
    print("".join(f"  {line}\n" for line in wrong), end="")
    return 1 if wrong else 0


def _mutants(operators: Any) -> Iterable[Mutant]:
    for case, source in sources().items():
        yield from mutants(case, source, operators)


if __name__ == "__main__":
    sys.exit(main())
