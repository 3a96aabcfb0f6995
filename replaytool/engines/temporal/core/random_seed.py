"""Derive the random seed of a run as sdk-core does: SipHash-1-3 of the run id, with a zero key."""

from __future__ import annotations

_MASK = (1 << 64) - 1
_TEXT_ENDS = b"\xff"  # Rust's hasher ends each string with this byte


def derive_random_seed(run_id: str) -> int:
    """Return the random seed of workflow code under this run id.

    >>> derive_random_seed("01a1fae7-13a9-7dd3-922a-87d47240577d")
    12087042016913774462
    """
    data = run_id.encode() + _TEXT_ENDS
    whole = len(data) & ~7
    words = [int.from_bytes(data[at : at + 8], "little") for at in range(0, whole, 8)]
    words.append((len(data) & 0xFF) << 56 | int.from_bytes(data[whole:], "little"))
    return _mix_words(words)


def _mix_words(words: list[int]) -> int:
    """Hash the words: one round for each, then three. Written inline because every replay starts with it."""
    v0, v1, v2, v3 = 0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573
    for number in range(len(words) + 3):
        if number < len(words):
            v3 ^= words[number]
        elif number == len(words):
            v2 ^= 0xFF
        v0 = (v0 + v1) & _MASK
        v1 = (v1 << 13 & _MASK | v1 >> 51) ^ v0
        v0 = v0 << 32 & _MASK | v0 >> 32
        v2 = (v2 + v3) & _MASK
        v3 = (v3 << 16 & _MASK | v3 >> 48) ^ v2
        v0 = (v0 + v3) & _MASK
        v3 = (v3 << 21 & _MASK | v3 >> 43) ^ v0
        v2 = (v2 + v1) & _MASK
        v1 = (v1 << 17 & _MASK | v1 >> 47) ^ v2
        v2 = v2 << 32 & _MASK | v2 >> 32
        if number < len(words):
            v0 ^= words[number]
    return v0 ^ v1 ^ v2 ^ v3
