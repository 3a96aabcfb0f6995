"""Recognise that memory ran out where no MemoryError says so."""

from __future__ import annotations


def is_out_of_memory(said: str) -> bool:
    """Return whether a message means that memory ran out: a thread that needs a stack fails first."""
    return "can't start new thread" in said
