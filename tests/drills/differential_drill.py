"""Both engines against each other: random programs with random edits, and histories that somebody has tampered with.

    python -m tests.drills.differential_drill [--programs N] [--edits N] [--mutations N] [--first SEED]
                                              [--histories FOLDER]

Without `--histories` the programs run on a dev server first. The engines run in child processes, since the SDK's
replayer may hang or end its process; what it gives no answer to is counted apart. Prints the number of comparisons and
every disagreement, and fails if there is one.
"""

from __future__ import annotations

import argparse
import copy
import importlib.util
import json
import multiprocessing
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from replaytool.engines.temporal.core.history_batches import find_malformation
from tests.drills.programs.steps import Small
from tests.drills.programs.writing import edited, program
from tests.engines.temporal.oracle import Bench, difference, quiet_process, run_of

ANSWER_SECONDS, STARTING_SECONDS = 25.0, 60.0


@dataclass(frozen=True)
class Comparison:
    """One program, one history."""

    name: str
    source: str
    workflow_id: str
    events: list[dict[str, Any]]


@dataclass
class Tally:
    """What came of all of them."""

    compared: int = 0
    words: Counter[str] = field(default_factory=Counter)
    unanswered: list[str] = field(default_factory=list)
    malformed: int = 0
    disagreements: list[str] = field(default_factory=list)

    def count_said(self, word: str) -> int:
        """How often the SDK said this."""
        return sum(count for said, count in self.words.items() if said.partition("/")[0] == word)

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "words": dict(self.words)}

    @staticmethod
    def from_json(value: dict[str, Any]) -> Tally:
        return Tally(**{**value, "words": Counter(value["words"])})

    def __str__(self) -> str:
        return (
            f"{self.compared} comparisons, {len(self.disagreements)} disagreements; {dict(self.words)}; "
            f"{self.malformed} malformed, {len(self.unanswered)} without an answer of the SDK's"
        )


def comparisons(histories: list[dict[str, Any]], edits: int, mutations: int) -> Iterator[Comparison]:
    """Every program with its history, its edits, and its history after tampering."""
    for history in histories:
        seed, workflow_id, events = history["seed"], history["workflowId"], history["events"]
        own = program(seed)
        yield Comparison(f"{seed}", own.source(), workflow_id, events)
        for number in range(edits):
            changed = edited(own, seed * 1000 + number)
            yield Comparison(f"{seed} edit {number}", changed.source(), workflow_id, events)
        for number in range(mutations):
            chance = random.Random(seed * 1000 + number)
            source = own if chance.random() < 0.6 else edited(own, seed * 1000 + number)
            tampered = tamper(events, chance)
            yield Comparison(f"{seed} mutation {number}", source.source(), workflow_id, tampered)


def tamper(events: list[dict[str, Any]], chance: random.Random) -> list[dict[str, Any]]:
    """The events after somebody had a hand in them, numbered anew."""
    found = copy.deepcopy(events)
    if chance.random() < 0.03:
        return _deleted(found, chance)  # and a gap stays
    for _ in range(chance.choice((1, 1, 2))):
        found = chance.choice(_TAMPERS)(found, chance)
    _renumber(found)
    return found


def _renumber(events: list[dict[str, Any]]) -> None:
    numbers = {event["eventId"]: str(place) for place, event in enumerate(events, 1)}
    for event in events:
        event["eventId"] = numbers[event["eventId"]]
        for attributes in event.values():
            if isinstance(attributes, dict):
                for key, value in attributes.items():
                    if key.endswith("EventId") and value in numbers:
                        attributes[key] = numbers[value]


_OF_COMMANDS = (
    "ACTIVITY_TASK_SCHEDULED", "TIMER_STARTED", "MARKER", "INITIATED", "UPSERT", "UPDATE", "CANCELED", "MODIFIED",
    "EXECUTION_COMPLETED",
)  # fmt: skip


def _places(events: list[dict[str, Any]], *, commands: bool) -> list[int]:
    found = [place for place, event in enumerate(events) if place > 2 and "WORKFLOW_TASK" not in event["eventType"]]
    return [at for at in found if not commands or any(word in events[at]["eventType"] for word in _OF_COMMANDS)]


def _deleted(events: list[dict[str, Any]], chance: random.Random) -> list[dict[str, Any]]:
    places = _places(events, commands=chance.random() < 0.7)
    if places:
        del events[chance.choice(places)]
    return events


def _doubled(events: list[dict[str, Any]], chance: random.Random) -> list[dict[str, Any]]:
    places = _places(events, commands=chance.random() < 0.7)
    if places:
        at = chance.choice(places)
        again = copy.deepcopy(events[at])
        again["eventId"] = f"{events[at]['eventId']}-again"
        events.insert(at, again)
    return events


def _swapped(events: list[dict[str, Any]], chance: random.Random) -> list[dict[str, Any]]:
    places = [at for at in _places(events, commands=False) if at + 1 < len(events) and at + 1 in
              set(_places(events, commands=False))]  # fmt: skip
    if places:
        at = chance.choice(places)
        events[at], events[at + 1] = events[at + 1], events[at]
    return events


def _flags_changed(events: list[dict[str, Any]], chance: random.Random) -> list[dict[str, Any]]:
    mode = chance.choice(("none", "core", "lang", "random"))
    for event in events:
        metadata = event.get("workflowTaskCompletedEventAttributes", {}).get("sdkMetadata")
        if metadata is None:
            continue
        if mode in ("none", "core"):
            metadata.pop("coreUsedFlags", None)
        if mode in ("none", "lang"):
            metadata.pop("langUsedFlags", None)
        if mode == "random":
            metadata["coreUsedFlags"] = sorted(chance.sample(range(1, 6), chance.randint(0, 4)))
            metadata["langUsedFlags"] = sorted(chance.sample(range(1, 3), chance.randint(0, 2)))
    return events


def _told_more(events: list[dict[str, Any]], chance: random.Random) -> list[dict[str, Any]]:
    at = chance.randrange(2, len(events) + 1)
    while at < len(events) and events[at - 1]["eventType"] == "EVENT_TYPE_WORKFLOW_TASK_STARTED":
        at += 1
    value = {"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": "Im5ldyI="}
    if chance.random() < 0.6:
        told = {"workflowExecutionSignaledEventAttributes": {"signalName": "poke", "input": {"payloads": [value]}}}
        kind = "EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED"
    else:
        told = {"workflowExecutionCancelRequestedEventAttributes": {"cause": "enough"}}
        kind = "EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED"
    time = events[at - 1].get("eventTime")
    events.insert(at, {"eventId": f"new-{at}-{chance.random()}", "eventTime": time, "eventType": kind, **told})
    return events


def _cut_off(events: list[dict[str, Any]], chance: random.Random) -> list[dict[str, Any]]:
    return events[: chance.randrange(2, len(events) + 1)]


_TAMPERS = (_deleted, _deleted, _doubled, _swapped, _flags_changed, _flags_changed, _told_more, _cut_off)


Compare = Callable[[Any, Path, int], tuple[str, str | None]]
"""What both sides say, and how they disagree."""


def compared(connection: Connection, todo: Sequence[Any], folder: str, compare: Compare) -> None:
    """In a child: say which comparison begins, and what came of it."""
    quiet_process()
    for number, one in enumerate(todo):
        connection.send(("begin", number))
        connection.send(("end", *compare(one, Path(folder), number)))
    connection.send(("done",))


def compare_engines(one: Comparison, folder: Path, number: int) -> tuple[str, str | None]:
    """Both engines on one history, activation by activation."""
    text = json.dumps({"events": one.events})
    events = run_of(text).events
    if find_malformation(events):
        return "malformed", None
    path = folder / f"program{number}_{time.monotonic_ns()}.py"
    path.write_text(one.source)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    bench = Bench([module.Program, Small])
    direct = bench.by_direct(bench.worker(), events, one.workflow_id)
    sdk = bench.by_sdk([(one.workflow_id, text)])[0]
    del sys.modules[path.stem]
    return sdk.says.word, difference(sdk, direct)


def run(todo: Sequence[Any], processes: int = 2, compare: Compare = compare_engines) -> Tally:
    """All comparisons, in children that are replaced when they hang or die."""
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        children = [_Child(todo[start::processes], folder, compare) for start in range(processes)]
        while any(not child.is_done for child in children):
            for child in children:
                child.look(tally)
    return tally


class _Child:
    def __init__(self, todo: Sequence[Any], folder: str, compare: Compare) -> None:
        self.todo, self.folder, self.is_done, self.at = todo, folder, not todo, 0
        self.compare = compare
        if todo:
            self._start()

    def _start(self) -> None:
        self.connection, theirs = multiprocessing.get_context("spawn").Pipe()
        arguments = (theirs, self.todo[self.at :], self.folder, self.compare)
        self.process = multiprocessing.get_context("spawn").Process(target=compared, args=arguments, daemon=True)
        self.base, self.began = self.at, time.monotonic() + STARTING_SECONDS
        self.process.start()
        theirs.close()

    def look(self, tally: Tally) -> None:
        if self.is_done:
            return
        try:
            if self.connection.poll(0.2):
                self._take(self.connection.recv(), tally)
                return
        except (EOFError, OSError):
            self._give_up(tally)
            return
        if time.monotonic() - self.began > ANSWER_SECONDS:
            self._give_up(tally)

    def _take(self, message: tuple[Any, ...], tally: Tally) -> None:
        self.began = time.monotonic()
        if message[0] == "begin":
            self.at = self.base + message[1]
        elif message[0] == "done":
            self.is_done = True
            self.process.join()
        elif message[1] == "malformed":
            tally.malformed += 1
        else:
            tally.compared += 1
            tally.words[message[1]] += 1
            if message[2] is not None:
                tally.disagreements.append(f"{self.todo[self.at].name}: {message[2]}")

    def _give_up(self, tally: Tally) -> None:
        tally.unanswered.append(self.todo[self.at].name)
        self.process.kill()
        self.process.join()
        self.at += 1
        if self.at >= len(self.todo):
            self.is_done = True
        else:
            self._start()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", type=int, default=400)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--edits", type=int, default=5)
    parser.add_argument("--mutations", type=int, default=5)
    parser.add_argument("--histories", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as fresh:
        folder = chosen.histories or Path(fresh)
        if chosen.histories is None:
            from tests.drills.programs.recording import record

            record(range(chosen.first, chosen.first + chosen.programs), folder)
        names = sorted(folder.glob("p*.json"))
        if chosen.histories is not None:
            names = names[chosen.first : chosen.first + chosen.programs]
        histories = [json.loads(path.read_text()) for path in names]
        tally = run(list(comparisons(histories, chosen.edits, chosen.mutations)))
    for line in tally.disagreements:
        print(line)
    print("no answer of the SDK's:", tally.unanswered)
    print(len(histories), "programs:", tally)
    sys.exit(1 if tally.disagreements or not tally.compared else 0)


if __name__ == "__main__":
    main()
