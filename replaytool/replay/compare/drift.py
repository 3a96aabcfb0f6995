"""Find differences inside matching commands: the engine accepts them, but they may be bugs.

Comparing for equality decides nearly every pair and is cheap. Only unequal fields are decoded, and only those still
unequal are taken apart to find the differing paths.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.model.history import Payload
from replaytool.model.verdict import Drift, MatchedPair
from replaytool.replay.compare.volatile_keys import KEY, rename_keys
from replaytool.replay.compare.volatile_lists import StableMembers, find_volatile_lists, settle_volatile_lists

Decode = Callable[[Sequence[Payload]], list[object]]
Place = tuple[int, str]
"""An event and the path of a value in it."""
Level = Literal["error", "warn", "ignore"]
LEVELS: tuple[Level, ...] = ("error", "warn", "ignore")
MOST_DRIFT = 100
MISSING = "(nothing)"

# By `kind.field` or `field`; the more precise one wins. Fields that are not listed give a warning.
DEFAULT_POLICY: Mapping[str, Level] = {
    "deprecated": "ignore",  # deprecating a patch is how it should end
    "patch": "ignore",
    "priority": "ignore",  # servers and SDKs set it in some releases only
}

# Tracing headers hold an id that is new in each run.
_TRACING = ("_tracer-data", "traceparent", "tracestate", "baggage", "x-datadog", "sentry-", "x-b3-", "uber-trace")

Comparable = Callable[[MatchedPair], tuple[Mapping[str, object], Mapping[str, object]]]


@dataclass(frozen=True, slots=True)
class VolatileValues:
    """Values that are not compared, since they differ between two replays of the same code."""

    places: tuple[Place, ...]
    lists: Mapping[Place, StableMembers]
    """Lists with such values among their members, and the other members."""

    def find_stable_differences(
        self, before: object, after: object, place: Place
    ) -> Iterator[tuple[str, object, object]]:
        """Yield the paths at which two plain values of this event and field differ, but for volatile places."""
        event_id, field = place
        lists = {
            path.removeprefix(field): stable
            for (at, path), stable in self.lists.items()
            if at == event_id and path.startswith(field)
        }
        before = rename_keys(before, after, lambda path, _: (event_id, field + path + KEY) in self.places)
        before, after, found = settle_volatile_lists(before, after, lists)
        yield from found
        for path, left, right in find_differing_paths(before, after):
            if (event_id, field + path) not in self.places:
                yield path, left, right


def check_policy(given: Mapping[str, Any]) -> dict[str, Level]:
    """Return the default levels with the user's changes; raise ReplaytoolError for an unknown level."""
    for name, level in given.items():
        if level not in LEVELS:
            raise ReplaytoolError(
                f"unknown drift level {level!r} for {name!r}",
                f"choose one of {', '.join(LEVELS)}",
                code=ErrorCode.USAGE_VALUE,
            )
    return {**DEFAULT_POLICY, **given}


def drift_level(policy: Mapping[str, Level], kind: str, field: str) -> Level:
    """Return the level of differences in this field.

    >>> drift_level({"input": "ignore", "activity.input": "error"}, "activity", "input")
    'error'
    """
    return policy.get(f"{kind}.{field}") or policy.get(field) or policy.get("*") or "warn"


def find_drift(
    pairs: Iterable[MatchedPair],
    decode: Decode,
    policy: Mapping[str, Level] = DEFAULT_POLICY,
    comparable: Comparable = lambda pair: (pair.expected.fields, pair.actual.fields),
    volatile: VolatileValues | None = None,
) -> tuple[Drift, ...]:
    """Return all differences in all pairs, in the order of the history, but for volatile values."""
    found: list[Drift] = []
    for pair in pairs:
        if pair.expected.fields == pair.actual.fields:
            continue
        recorded, produced = comparable(pair)
        if recorded != produced:
            found += _compare_pair(pair, recorded, produced, decode, policy, volatile)
        if len(found) >= MOST_DRIFT:
            break
    return tuple(found[:MOST_DRIFT])


def describe_drift(found: Sequence[Drift]) -> str:
    """Return a verdict's reason for these differences, or "" without any."""
    fields = sorted({one.path.partition("[")[0].partition(".")[0] for one in found})
    return f"same commands, different {', '.join(fields)}" if fields else ""


def find_volatile_values(replays: Sequence[Iterable[MatchedPair]], decode: Decode) -> VolatileValues:
    """Return where replays of the same code produced different values."""
    first, *others = [{pair.expected.event_id: pair.actual.fields for pair in one} for one in replays]
    places: dict[Place, None] = {}
    lists: dict[Place, StableMembers] = {}
    for event_id, mine in first.items():
        sides = [mine, *(one[event_id] for one in others if event_id in one)]
        for field in dict.fromkeys(name for one in sides for name in one):
            if all(one.get(field) == mine.get(field) for one in sides):
                continue
            values = [decode_payloads(one.get(field), decode) for one in sides]
            keys: dict[str, None] = {}
            model = values[0]
            values = [model, *(rename_keys(one, model, partial(_keep_path, keys)) for one in values[1:])]
            places |= {(event_id, field + path + KEY): None for path in keys}
            for value in values[1:]:
                places |= {(event_id, field + path): None for path, *_ in find_differing_paths(model, value)}
            lists |= {(event_id, field + path): stable for path, stable in find_volatile_lists(values)}
    return VolatileValues(tuple(places), lists)


def _keep_path(keys: dict[str, None], path: str, _key: str) -> bool:
    keys[path] = None
    return True


def _compare_pair(
    pair: MatchedPair,
    recorded: Mapping[str, object],
    produced: Mapping[str, object],
    decode: Decode,
    policy: Mapping[str, Level],
    volatile: VolatileValues | None,
) -> Iterator[Drift]:
    ignores_null = policy.get("null") == "ignore"
    for field in (*recorded, *(name for name in produced if name not in recorded)):
        level = drift_level(policy, pair.expected.kind, field)
        before, after = recorded.get(field), produced.get(field)
        if level == "ignore" or before == after:
            continue
        if field == "header":
            before, after = _drop_tracing_headers(before), _drop_tracing_headers(after)
        before, after = decode_payloads(before, decode), decode_payloads(after, decode)
        differing: Iterable[tuple[str, object, object]] = find_differing_paths(before, after)
        if volatile is not None:
            differing = volatile.find_stable_differences(before, after, (pair.expected.event_id, field))
        for path, left, right in differing:
            if ignores_null and _is_absent_or_null(left) and _is_absent_or_null(right):
                continue
            yield Drift(pair.expected.event_id, field + path, left, right, pair.actual.call_site, level)


def _drop_tracing_headers(headers: Any) -> dict[str, object] | None:
    return {name: one for name, one in (headers or {}).items() if not name.lower().startswith(_TRACING)} or None


def find_differing_paths(before: object, after: object) -> Iterator[tuple[str, object, object]]:
    """Yield the paths at which two plain values differ, with both values.

    >>> list(find_differing_paths([{"km": 3}], [{"km": 4}]))
    [('[0].km', 3, 4)]
    """
    if _is_json_equal(before, after):
        return
    if not isinstance(before, dict | list) or type(before) is not type(after):
        yield "", before, after
        return
    from deepdiff import DeepDiff

    tree = DeepDiff(before, after, view="tree", threshold_to_diff_deeper=0)
    levels = [level for found in tree.values() for level in found]
    # To DeepDiff True equals 1, to JSON it does not.
    if not levels:
        yield from _compare_in_order(before, after, "")
    for level in sorted(levels, key=lambda one: [str(step).zfill(9) for step in one.path(output_format="list")]):
        yield _format_path(level.path(output_format="list")), _missing_as_text(level.t1), _missing_as_text(level.t2)


def _is_json_equal(before: Any, after: Any) -> bool:
    """Return whether both are equal as JSON: to Python, True equals 1."""
    if type(before) is not type(after):
        return False
    if isinstance(before, dict):
        return before.keys() == after.keys() and all(_is_json_equal(one, after[key]) for key, one in before.items())
    if isinstance(before, list):
        return len(before) == len(after) and all(map(_is_json_equal, before, after))
    return bool(before == after)


def _compare_in_order(before: object, after: Any, path: str) -> Iterator[tuple[str, object, object]]:
    """Compare two trees of the same shape item by item, for differences that DeepDiff does not report."""
    if not isinstance(before, dict | list):
        yield path, before, after
        return
    keys = before if isinstance(before, dict) else range(len(before))
    for key in keys:
        if not _is_json_equal(before[key], after[key]):
            yield from _compare_in_order(before[key], after[key], path + _format_path([key]))


def _format_path(steps: Sequence[object]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)


def _missing_as_text(value: object) -> object:
    return MISSING if type(value).__name__ == "NotPresent" else value


def _is_absent_or_null(value: object) -> bool:
    return value is None or value == MISSING


def decode_payloads(value: object, decode: Decode) -> Any:
    """Return the value with every payload in it decoded, in one call of `decode`."""
    found = list(_collect_payloads(value))
    if not found:
        return value
    decoded = iter(decode(found))
    return _replace_payloads(value, decoded)


def _collect_payloads(value: object) -> Iterator[Payload]:
    if isinstance(value, Payload):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _collect_payloads(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _collect_payloads(one)


def _replace_payloads(value: object, decoded: Iterator[object]) -> object:
    if isinstance(value, Payload):
        return next(decoded)
    if isinstance(value, Mapping):
        return {key: _replace_payloads(one, decoded) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_replace_payloads(one, decoded) for one in value]
    return value
