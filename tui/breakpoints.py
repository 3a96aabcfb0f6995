"""Where running stops: on a failure, on events of a type, on events about a name, or on both."""

from __future__ import annotations

from dataclasses import dataclass

from replaytool.errors import ReplaytoolError
from replaytool.timeline import failed

FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Breakpoint:
    """One condition; `failure` alone means anything that went wrong."""

    event_type: str = ""
    name: str = ""
    failure: bool = False

    def holds(self, event_type: str, name: str) -> bool:
        """Whether running stops at such an event."""
        if self.failure:
            return failed(event_type)
        return self.event_type.lower() in ("", event_type.lower()) and self.name in ("", name)

    def __str__(self) -> str:
        """As a person writes it: `failure`, `TimerFired`, `@charge_card`, `ActivityTaskFailed @charge_card`."""
        if self.failure:
            return FAILURE
        return " ".join(part for part in (self.event_type, self.name and f"@{self.name}") if part)


def parse(text: str) -> Breakpoint:
    """The breakpoint that a person wrote."""
    before, at, name = text.partition("@")
    event_type = before.strip()
    if event_type.lower() == FAILURE and not at:
        return Breakpoint(failure=True)
    if not (event_type or name.strip()) or " " in event_type:
        raise ReplaytoolError(f"{text!r} is no breakpoint", "write failure, an event type, or @ and a name")
    return Breakpoint(event_type, name.strip())
