"""How it shows that memory ran out, where no MemoryError says so."""

from __future__ import annotations


def ran_out(said: str) -> bool:
    """A thread needs a stack, and is the first thing to find no room for it."""
    return "can't start new thread" in said
