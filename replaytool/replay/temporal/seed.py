"""The random seed of a run, as every Temporal worker derives it: SipHash-1-3 of the run id, with a key of zeros."""

from __future__ import annotations

_MASK = (1 << 64) - 1
_TEXT_ENDS = b"\xff"  # the hasher marks the end of a text with this byte, so that ("ab", "c") is not ("a", "bc")

_State = tuple[int, int, int, int]
_START: _State = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)


def seed_of(run_id: str) -> int:
    """The seed that workflow code under this run id draws its random numbers from.

    >>> seed_of("01a1fae7-13a9-7dd3-922a-87d47240577d")
    12087042016913774462
    """
    data = run_id.encode() + _TEXT_ENDS
    whole = len(data) & ~7
    state = _START
    for at in range(0, whole, 8):
        state = _absorbed(state, int.from_bytes(data[at : at + 8], "little"))
    state = _absorbed(state, (len(data) & 0xFF) << 56 | int.from_bytes(data[whole:], "little"))
    v0, v1, v2, v3 = state
    state = _round((v0, v1, v2 ^ 0xFF, v3))
    state = _round(_round(state))
    return state[0] ^ state[1] ^ state[2] ^ state[3]


def _absorbed(state: _State, word: int) -> _State:
    v0, v1, v2, v3 = state
    v0, v1, v2, v3 = _round((v0, v1, v2, v3 ^ word))
    return v0 ^ word, v1, v2, v3


def _round(state: _State) -> _State:
    v0, v1, v2, v3 = state
    v0 = (v0 + v1) & _MASK
    v1 = _turned(v1, 13) ^ v0
    v0 = _turned(v0, 32)
    v2 = (v2 + v3) & _MASK
    v3 = _turned(v3, 16) ^ v2
    v0 = (v0 + v3) & _MASK
    v3 = _turned(v3, 21) ^ v0
    v2 = (v2 + v1) & _MASK
    v1 = _turned(v1, 17) ^ v2
    return v0, v1, _turned(v2, 32), v3


def _turned(value: int, by: int) -> int:
    return (value << by | value >> (64 - by)) & _MASK
