"""What differs inside commands that match: the engine does not mind, and somebody may.

Equality decides nearly every pair and costs nothing. Only what is unequal is decoded, and only what is unequal after
decoding is taken apart to find the paths that differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from replaytool.errors import ReplaytoolError
from replaytool.model.history import Payload
from replaytool.model.verdict import Drift, Match

Decode = Callable[[Sequence[Payload]], list[Any]]
Level = Literal["error", "warn", "ignore"]
LEVELS: tuple[Level, ...] = ("error", "warn", "ignore")
_LIMIT = 100
_MISSING = "(nothing)"

# By `kind.field` or `field`; the more precise one wins. What is not named here is told as a warning.
DEFAULT_POLICY: Mapping[str, Level] = {
    "deprecated": "ignore",  # a patch that is on its way out, as it should be
    "patch": "ignore",
    "priority": "ignore",  # servers and SDKs fill it in by turns
}

# Headers of tracers hold an id that is new in each run.
_TRACING = ("_tracer-data", "traceparent", "tracestate", "baggage", "x-datadog", "sentry-", "x-b3-", "uber-trace")

Comparable = Callable[[Match], tuple[Mapping[str, Any], Mapping[str, Any]]]


def checked_policy(given: Mapping[str, Any]) -> dict[str, Level]:
    """The defaults with what somebody decided; says so where a level does not exist."""
    for name, level in given.items():
        if level not in LEVELS:
            raise ReplaytoolError(f"drift of {name!r} cannot be {level!r}", f"choose one of {', '.join(LEVELS)}")
    return {**DEFAULT_POLICY, **given}


def level_of(policy: Mapping[str, Level], kind: str, field: str) -> Level:
    """What to do about a difference in this field.

    >>> level_of({"input": "ignore", "activity.input": "error"}, "activity", "input")
    'error'
    """
    return policy.get(f"{kind}.{field}") or policy.get(field) or policy.get("*") or "warn"


def compare(
    pairs: Iterable[Match],
    decode: Decode,
    policy: Mapping[str, Level] = DEFAULT_POLICY,
    comparable: Comparable = lambda pair: (pair.expected.fields, pair.actual.fields),
) -> tuple[Drift, ...]:
    """All differences in all pairs, in the order of the record."""
    found: list[Drift] = []
    for pair in pairs:
        if pair.expected.fields == pair.actual.fields:
            continue
        recorded, produced = comparable(pair)
        if recorded != produced:
            found += _of_pair(pair, recorded, produced, decode, policy)
        if len(found) >= _LIMIT:
            break
    return tuple(found[:_LIMIT])


def _of_pair(
    pair: Match,
    recorded: Mapping[str, Any],
    produced: Mapping[str, Any],
    decode: Decode,
    policy: Mapping[str, Level],
) -> Iterator[Drift]:
    for field in (*recorded, *(name for name in produced if name not in recorded)):
        level = level_of(policy, pair.expected.kind, field)
        before, after = recorded.get(field), produced.get(field)
        if level == "ignore" or before == after:
            continue
        if field == "header":
            before, after = _own_headers(before), _own_headers(after)
        for path, left, right in paths(readable(before, decode), readable(after, decode)):
            yield Drift(pair.expected.event_id, field + path, left, right, pair.actual.call_site, level)


def _own_headers(headers: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return {name: one for name, one in (headers or {}).items() if not name.lower().startswith(_TRACING)} or None


def paths(before: Any, after: Any) -> Iterator[tuple[str, Any, Any]]:
    """Where two plain values differ.

    >>> list(paths([{"km": 3}], [{"km": 4}]))
    [('[0].km', 3, 4)]
    """
    if _same(before, after):
        return
    if not isinstance(before, dict | list) or type(before) is not type(after):
        yield "", before, after
        return
    from deepdiff import DeepDiff

    tree = DeepDiff(before, after, view="tree", threshold_to_diff_deeper=0)
    levels = [level for found in tree.values() for level in found]
    if not levels:
        yield from _in_turn(before, after, "")
    for level in sorted(levels, key=lambda one: [str(step).zfill(9) for step in one.path(output_format="list")]):
        yield _path(level.path(output_format="list")), _plain(level.t1), _plain(level.t2)


def _same(before: Any, after: Any) -> bool:
    """Equality as JSON has it: to Python, true is 1."""
    if type(before) is not type(after):
        return False
    if isinstance(before, dict):
        return before.keys() == after.keys() and all(_same(one, after[key]) for key, one in before.items())
    if isinstance(before, list):
        return len(before) == len(after) and all(map(_same, before, after))
    return bool(before == after)


def _in_turn(before: Any, after: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """Two trees of one shape, place by place: for the little that DeepDiff takes to be equal."""
    if not isinstance(before, dict | list):
        yield path, before, after
        return
    keys = before if isinstance(before, dict) else range(len(before))
    for key in keys:
        if not _same(before[key], after[key]):
            yield from _in_turn(before[key], after[key], path + _path([key]))


def _path(steps: Sequence[Any]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)


def _plain(value: Any) -> Any:
    return _MISSING if type(value).__name__ == "NotPresent" else value


def readable(value: Any, decode: Decode) -> Any:
    """The same value with every payload in it decoded, all of them in one call."""
    found = list(_payloads(value))
    if not found:
        return value
    decoded = iter(decode(found))
    return _replaced(value, decoded)


def _payloads(value: Any) -> Iterator[Payload]:
    if isinstance(value, Payload):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _payloads(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _payloads(one)


def _replaced(value: Any, decoded: Iterator[Any]) -> Any:
    if isinstance(value, Payload):
        return next(decoded)
    if isinstance(value, Mapping):
        return {key: _replaced(one, decoded) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_replaced(one, decoded) for one in value]
    return value
