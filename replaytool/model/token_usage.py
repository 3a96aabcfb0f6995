"""Tokens that calls of language models spent, found in recorded results by their shape.

The shapes are those of the vendors' JSON, read without any vendor's library. `input` counts every token that went in,
cached ones too, also where the vendor counts them apart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict, TypeGuard

Prices = Mapping[str, Mapping[str, float]]
"""The price of a million tokens, by model: `input`, `output` and, if cheaper, `cached`."""


class UsageRow(TypedDict):
    """Sums of one activity type with one model."""

    calls: int
    input: int
    output: int
    cached: int
    cost: float | None


Table = dict[str, dict[str, UsageRow]]
"""Sums by activity type and model."""

UNKNOWN = "unknown"
_DEEPEST = 8
_MILLION = 1_000_000
_DIGITS = 12
_HOLDERS = ("usage", "usageMetadata", "usage_metadata")
_MODELS = ("model", "model_name", "modelVersion", "model_version", "modelId")


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """The tokens of one call."""

    model: str | None
    input: int
    output: int
    cached: int = 0
    """How many of the input tokens came from a cache."""


@dataclass(frozen=True, slots=True)
class _UsageShape:
    """Where the numbers are: paths into the object, each a list of summands."""

    needs: tuple[str, ...]
    input: tuple[str, ...]
    output: tuple[str, ...]
    cached: tuple[str, ...] = ()


# The first shape whose `needs` are all there wins: a later shape may need only a part of an earlier one.
_SHAPES: dict[str, _UsageShape] = {
    "OpenAI chat, LiteLLM": _UsageShape(
        ("prompt_tokens",), ("prompt_tokens",), ("completion_tokens",), ("prompt_tokens_details.cached_tokens",)
    ),
    "OpenAI responses and Agents": _UsageShape(
        ("input_tokens", "output_tokens", "input_tokens_details"),
        ("input_tokens",),
        ("output_tokens",),
        ("input_tokens_details.cached_tokens",),
    ),
    "pydantic-ai": _UsageShape(
        ("input_tokens", "output_tokens", "cache_read_tokens"),
        ("input_tokens",),
        ("output_tokens",),
        ("cache_read_tokens",),
    ),
    "LangChain": _UsageShape(
        ("input_tokens", "output_tokens", "total_tokens"),
        ("input_tokens",),
        ("output_tokens",),
        ("input_token_details.cache_read",),
    ),
    "Anthropic messages": _UsageShape(
        ("input_tokens", "output_tokens"),
        ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"),
        ("output_tokens",),
        ("cache_read_input_tokens",),
    ),
    "Gemini": _UsageShape(
        ("promptTokenCount",),
        ("promptTokenCount", "toolUsePromptTokenCount"),
        ("candidatesTokenCount", "thoughtsTokenCount"),
        ("cachedContentTokenCount",),
    ),
    "Gemini as Python writes it": _UsageShape(
        ("prompt_token_count",),
        ("prompt_token_count", "tool_use_prompt_token_count"),
        ("candidates_token_count", "thoughts_token_count"),
        ("cached_content_token_count",),
    ),
    "Bedrock converse": _UsageShape(
        ("inputTokens", "outputTokens"),
        ("inputTokens", "cacheReadInputTokens", "cacheWriteInputTokens"),
        ("outputTokens",),
        ("cacheReadInputTokens",),
    ),
}


def find_token_usage(result: object, inputs: Sequence[object] = ()) -> list[TokenUsage]:
    """Return what a recorded result says was spent. If the result names no model, the activity's input may."""
    asked = next(filter(None, map(_model_name_of, inputs)), None)
    return list(_search_usage(result, asked, _DEEPEST))


def _search_usage(value: object, asked: str | None, depth: int) -> Iterator[TokenUsage]:
    """Yield the outermost hits only: a total contains its parts."""
    if depth == 0 or not isinstance(value, dict | list):
        return
    hit = _usage_in(value, asked) if isinstance(value, dict) else None
    if hit is not None:
        yield hit
        return
    for one in value.values() if isinstance(value, dict) else value:
        yield from _search_usage(one, asked, depth - 1)


def _usage_in(value: dict[str, object], asked: str | None) -> TokenUsage | None:
    for held in map(value.get, _HOLDERS):
        if not isinstance(held, dict):
            continue
        for shape in _SHAPES.values():
            if all(_is_count(held.get(name)) or isinstance(held.get(name), dict) for name in shape.needs):
                sums = (
                    sum(_count_at_path(held, path) for path in paths)
                    for paths in (shape.input, shape.output, shape.cached)
                )
                return TokenUsage(_model_name_of(value) or asked, *sums)
    return None


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _count_at_path(value: object, path: str) -> int:
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value if _is_count(value) else 0


def _model_name_of(value: object) -> str | None:
    return (_named_model(value) or _named_model(value.get("response_metadata"))) if isinstance(value, dict) else None


def _named_model(value: object) -> str | None:
    found = map(value.get, _MODELS) if isinstance(value, dict) else ()
    return next((one for one in found if isinstance(one, str) and one), None)


def tabulate_usage(spent: Iterable[tuple[str, TokenUsage]], prices: Prices) -> Table:
    """Return calls, tokens and cost by activity type and model; without a price the cost is None, not 0."""
    calls: defaultdict[tuple[str, str], list[TokenUsage]] = defaultdict(list)
    for kind, one in spent:
        calls[kind, one.model or UNKNOWN].append(one)
    made: Table = {}
    for (kind, model), listed in sorted(calls.items()):
        row = UsageRow(
            calls=len(listed),
            input=sum(one.input for one in listed),
            output=sum(one.output for one in listed),
            cached=sum(one.cached for one in listed),
            cost=None,
        )
        row["cost"] = _cost_of_row(row, prices.get(model))
        made.setdefault(kind, {})[model] = row
    return made


def _cost_of_row(row: UsageRow, price: Mapping[str, float] | None) -> float | None:
    if price is None:
        return None
    cached = min(row["cached"], row["input"])
    whole = (row["input"] - cached) * price["input"] + cached * price.get("cached", price["input"])
    return round((whole + row["output"] * price["output"]) / _MILLION, _DIGITS)


def add_usage_tables(tables: Iterable[Table]) -> Table:
    """Return the sums of several tables."""
    made: Table = {}
    for one in tables:
        for kind, models in one.items():
            for model, row in models.items():
                before = made.setdefault(kind, {}).get(model)
                made[kind][model] = row.copy() if before is None else _add_usage_rows(before, row)
    return {kind: dict(sorted(models.items())) for kind, models in sorted(made.items())}


def _add_usage_rows(before: UsageRow, row: UsageRow) -> UsageRow:
    costs = (before["cost"], row["cost"])
    return UsageRow(
        calls=before["calls"] + row["calls"],
        input=before["input"] + row["input"],
        output=before["output"] + row["output"],
        cached=before["cached"] + row["cached"],
        cost=None if costs[0] is None or costs[1] is None else round(costs[0] + costs[1], _DIGITS),
    )
