"""The library of the toy engine: programs of named steps whose results go into a journal.

A program is a class with `@program(NAME)` and a method `run(self, context, *arguments)`. `record_run` runs one for
real.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

EPOCH = "2026-01-01T00:00:{:02d}Z"


class Context(Protocol):
    """What a program asks its engine for."""

    def step(self, name: str, body: Callable[..., Any], *arguments: Any) -> Any:
        """Run a step once, or take its result from the journal."""
        ...


def program(name: str) -> Callable[[type], type]:
    """Name a class as a program."""

    def mark(one: type) -> type:
        one.__toy_program__ = name  # type: ignore[attr-defined]
        return one

    return mark


class RecordingContext:
    """Runs each step and writes it down."""

    def __init__(self, lines: list[dict[str, Any]], build_id: str, stop_after: int | None) -> None:
        self.lines, self.build_id, self.stop_after = lines, build_id, stop_after

    def step(self, name: str, body: Callable[..., Any], *arguments: Any) -> Any:
        """Run the step."""
        number = len(self.lines)
        entry = {
            "step": number, "kind": "step", "name": name, "input": list(arguments), "build": self.build_id,
            "at": EPOCH.format(number),
        }  # fmt: skip
        if self.stop_after is not None and number > self.stop_after:
            self.lines.append(entry)
            raise KeyboardInterrupt
        result = body(*arguments)
        self.lines.append(entry | {"result": result})
        return result


def record_run(
    one: type, path: Path, run_id: str, *arguments: Any, build_id: str = "v1", stop_after: int | None = None
) -> None:
    """Run a program for real, and write its journal; with `stop_after` the process dies after that many steps."""
    name = one.__toy_program__  # type: ignore[attr-defined]
    head = {
        "journal": "toy/1", "program": name, "id": f"{name}-{run_id}", "run": run_id, "input": list(arguments),
        "at": EPOCH.format(0), "build": build_id,
    }  # fmt: skip
    lines: list[dict[str, Any]] = [head]
    try:
        result = one().run(RecordingContext(lines, build_id, stop_after), *arguments)
        lines.append({"end": "completed", "result": result, "at": EPOCH.format(len(lines))})
    except KeyboardInterrupt:
        pass
    except Exception as error:
        lines.append({"end": "failed", "error": str(error), "at": EPOCH.format(len(lines))})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
