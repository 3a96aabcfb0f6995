"""Tokens that calls of language models spent, read off recorded results by their shape.

The shapes are those of the vendors' JSON. No library of theirs is needed, and none is imported: they change faster than
histories do. Input counts every token that went in, cached ones too, whatever the vendor counts there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Prices = Mapping[str, Mapping[str, float]]
"""What a million tokens cost, by model: `input`, `output` and, where they are cheaper, `cached`."""
Table = dict[str, dict[str, dict[str, Any]]]
"""Sums by activity type and model."""

UNKNOWN = "unknown"
_DEEPEST = 8
_MILLION = 1_000_000
_DIGITS = 12
_HOLDERS = ("usage", "usageMetadata", "usage_metadata")
_MODELS = ("model", "model_name", "modelVersion", "model_version", "modelId")


@dataclass(frozen=True, slots=True)
class Usage:
    """What one call spent."""

    model: str | None
    input: int
    output: int
    cached: int = 0
    """How many of the input tokens came from a cache."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """Where the numbers are: paths into the object, each a sum of several."""

    needs: tuple[str, ...]
    input: tuple[str, ...]
    output: tuple[str, ...]
    cached: tuple[str, ...] = ()


# The first whose needs are met: a later one may be content with a part of an earlier one.
_SHAPES: dict[str, _Shape] = {
    "OpenAI chat, LiteLLM": _Shape(
        ("prompt_tokens",), ("prompt_tokens",), ("completion_tokens",), ("prompt_tokens_details.cached_tokens",)
    ),
    "OpenAI responses and Agents": _Shape(
        ("input_tokens", "output_tokens", "input_tokens_details"),
        ("input_tokens",),
        ("output_tokens",),
        ("input_tokens_details.cached_tokens",),
    ),
    "pydantic-ai": _Shape(
        ("input_tokens", "output_tokens", "cache_read_tokens"),
        ("input_tokens",),
        ("output_tokens",),
        ("cache_read_tokens",),
    ),
    "LangChain": _Shape(
        ("input_tokens", "output_tokens", "total_tokens"),
        ("input_tokens",),
        ("output_tokens",),
        ("input_token_details.cache_read",),
    ),
    "Anthropic messages": _Shape(
        ("input_tokens", "output_tokens"),
        ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"),
        ("output_tokens",),
        ("cache_read_input_tokens",),
    ),
    "Gemini": _Shape(
        ("promptTokenCount",),
        ("promptTokenCount", "toolUsePromptTokenCount"),
        ("candidatesTokenCount", "thoughtsTokenCount"),
        ("cachedContentTokenCount",),
    ),
    "Gemini as Python writes it": _Shape(
        ("prompt_token_count",),
        ("prompt_token_count", "tool_use_prompt_token_count"),
        ("candidates_token_count", "thoughts_token_count"),
        ("cached_content_token_count",),
    ),
    "Bedrock converse": _Shape(
        ("inputTokens", "outputTokens"),
        ("inputTokens", "cacheReadInputTokens", "cacheWriteInputTokens"),
        ("outputTokens",),
        ("cacheReadInputTokens",),
    ),
}


def usages(result: Any, inputs: Sequence[Any] = ()) -> list[Usage]:
    """What a recorded result says was spent; some say no model, and then the activity's input may."""
    asked = next(filter(None, map(_model, inputs)), None)
    return list(_found(result, asked, _DEEPEST))


def _found(value: Any, asked: str | None, depth: int) -> Iterator[Usage]:
    """Nothing below a hit is looked at: totals stand above their parts."""
    if depth == 0 or not isinstance(value, dict | list):
        return
    hit = _hit(value, asked) if isinstance(value, dict) else None
    if hit is not None:
        yield hit
        return
    for one in value.values() if isinstance(value, dict) else value:
        yield from _found(one, asked, depth - 1)


def _hit(value: dict[str, Any], asked: str | None) -> Usage | None:
    for held in map(value.get, _HOLDERS):
        if not isinstance(held, dict):
            continue
        for shape in _SHAPES.values():
            if all(_is_count(held.get(name)) or isinstance(held.get(name), dict) for name in shape.needs):
                sums = (_sum(held, paths) for paths in (shape.input, shape.output, shape.cached))
                return Usage(_model(value) or asked, *sums)
    return None


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _sum(held: dict[str, Any], paths: Iterable[str]) -> int:
    return sum(_at(held, path) for path in paths)


def _at(value: Any, path: str) -> int:
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return int(value) if _is_count(value) else 0


def _model(value: Any) -> str | None:
    return (_named(value) or _named(value.get("response_metadata"))) if isinstance(value, dict) else None


def _named(value: Any) -> str | None:
    found = map(value.get, _MODELS) if isinstance(value, dict) else ()
    return next((one for one in found if isinstance(one, str) and one), None)


def table(spent: Iterable[tuple[str, Usage]], prices: Prices) -> Table:
    """Calls, tokens and cost by activity type and model; a model without a price has no cost, which is not 0."""
    calls: defaultdict[tuple[str, str], list[Usage]] = defaultdict(list)
    for kind, one in spent:
        calls[kind, one.model or UNKNOWN].append(one)
    made: Table = {}
    for (kind, model), listed in sorted(calls.items()):
        row: dict[str, Any] = {"calls": len(listed)}
        row |= {name: sum(getattr(one, name) for one in listed) for name in ("input", "output", "cached")}
        made.setdefault(kind, {})[model] = row | {"cost": _cost(row, prices.get(model))}
    return made


def _cost(row: Mapping[str, int], price: Mapping[str, float] | None) -> float | None:
    if price is None:
        return None
    cached = min(row["cached"], row["input"])
    whole = (row["input"] - cached) * price["input"] + cached * price.get("cached", price["input"])
    return round((whole + row["output"] * price["output"]) / _MILLION, _DIGITS)


def added(tables: Iterable[Table]) -> Table:
    """The sums of several tables."""
    made: Table = {}
    for one in tables:
        for kind, models in one.items():
            for model, row in models.items():
                before = made.setdefault(kind, {}).get(model)
                made[kind][model] = dict(row) if before is None else _both(before, row)
    return {kind: dict(sorted(models.items())) for kind, models in sorted(made.items())}


def _both(before: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    both = {name: before[name] + row[name] for name in ("calls", "input", "output", "cached")}
    costs = (before["cost"], row["cost"])
    return both | {"cost": None if None in costs else round(sum(costs), _DIGITS)}
