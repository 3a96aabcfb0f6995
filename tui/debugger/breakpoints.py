"""Breakpoints: on failures, event types, names, lines of code, and expressions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.model.debug_state import WatchResult
from replaytool.model.event_role import EventRole

FAILURE = "failure"
EXAMPLE = "failure · EVENT TYPE · @charge_card · workflows.py:64 · if points == 0"
_SITE = re.compile(r"(\S+\.py):(\d+)")


@dataclass(frozen=True, slots=True)
class Breakpoint:
    """One condition; `failure` alone means any failure."""

    event_type: str = ""
    name: str = ""
    failure: bool = False
    file: str = ""
    """With `line`: stops where the code asks for something at this line, or waits there."""
    line: int = 0
    expression: str = ""
    """Stops where it begins to hold."""

    @property
    def is_recorded(self) -> bool:
        """Return whether the recorded history alone decides where it stops."""
        return not (self.file or self.expression)

    def matches_event(self, event_type: str, name: str, *, failed: bool) -> bool:
        """Return whether the debugger stops at such an event; `failed` is true if it reports a failure."""
        if not self.is_recorded:
            return False
        if self.failure:
            return failed
        return self.event_type.lower() in ("", event_type.lower()) and self.name in ("", name)

    def __str__(self) -> str:
        """Return the text that `parse_breakpoint` reads."""
        if self.failure:
            return FAILURE
        if self.file:
            return f"{self.file}:{self.line}"
        if self.expression:
            return f"if {self.expression}"
        return " ".join(part for part in (self.event_type, self.name and f"@{self.name}") if part)


def parse_breakpoint(text: str) -> Breakpoint:
    """Return the breakpoint that the user wrote."""
    text = text.strip()
    if text.startswith("if ") and text[3:].strip():
        return Breakpoint(expression=text[3:].strip())
    if site := _SITE.fullmatch(text):
        return Breakpoint(file=site[1], line=int(site[2]))
    before, at, name = text.partition("@")
    event_type = before.strip()
    if event_type.lower() == FAILURE and not at:
        return Breakpoint(failure=True)
    if not (event_type or name.strip()) or " " in event_type:
        raise ReplaytoolError(
            f"{text!r} is not a breakpoint",
            "write failure, an event type, @NAME, FILE.py:LINE, or if EXPRESSION",
            code=ErrorCode.DEBUG_BREAKPOINT,
        )
    return Breakpoint(event_type, name.strip())


def names_by_event_type(found: Sequence[Breakpoint], roles: Mapping[str, EventRole]) -> dict[str, set[str] | None]:
    """Return the names that stop each event type, None for any name: running then looks up, and matches nothing."""
    stops: dict[str, set[str] | None] = {}
    for event_type, role in roles.items():
        fitting = [one for one in found if one.matches_event(event_type, one.name, failed=role.failed)]
        if any(one.failure or not one.name for one in fitting):
            stops[event_type] = None
        elif fitting:
            stops[event_type] = {one.name for one in fitting}
    return stops


def find_breakpoint_lines(found: Iterable[Breakpoint], file: str) -> frozenset[int]:
    """Return the lines of this file that have a breakpoint; the user may leave out folders."""
    return frozenset(one.line for one in found if one.file and is_same_file(one.file, file))


def find_first_true_events(found: WatchResult) -> set[int]:
    """Return the steps at which the expression holds and did not hold before."""
    held, stops = False, set()
    for step in found.steps:
        if step.holds and not held:
            stops.add(step.event_id)
        held = step.holds
    return stops


def is_same_file(written: str, file: str) -> bool:
    """Return whether the file that the user wrote is this file."""
    return file == written or file.endswith(f"/{written}")
