"""Tokens are read off results as the vendors' libraries write them."""

from __future__ import annotations

from typing import Any

import pytest

from replaytool.model.token_usage import TokenUsage, add_usage_tables, find_token_usage, tabulate_usage

CHAT = {
    "object": "chat.completion",
    "model": "gpt",
    "choices": [],
    "usage": {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "total_tokens": 120,
        "prompt_tokens_details": {"cached_tokens": 60, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 5},
    },
}
RESPONSE = {
    "object": "response",
    "model": "gpt",
    "usage": {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 60},
        "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 5},
        "total_tokens": 120,
    },
}
ANTHROPIC = {
    "type": "message",
    "model": "claude",
    "content": [{"type": "text", "text": "hello"}],
    "usage": {
        "input_tokens": 10,
        "cache_creation_input_tokens": 30,
        "cache_read_input_tokens": 60,
        "cache_creation": {"ephemeral_5m_input_tokens": 30},
        "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 5},
    },
}
GEMINI = {
    "modelVersion": "gemini",
    "usageMetadata": {
        "promptTokenCount": 90,
        "toolUsePromptTokenCount": 10,
        "cachedContentTokenCount": 60,
        "candidatesTokenCount": 15,
        "thoughtsTokenCount": 5,
        "totalTokenCount": 120,
    },
}
GEMINI_IN_PYTHON = {
    "model_version": "gemini",
    "usage_metadata": {
        "prompt_token_count": 100,
        "tool_use_prompt_token_count": None,
        "cached_content_token_count": 60,
        "candidates_token_count": 15,
        "thoughts_token_count": 5,
        "total_token_count": 120,
    },
}
BEDROCK = {
    "output": {"message": {"role": "assistant", "content": []}},
    "usage": {
        "inputTokens": 10,
        "outputTokens": 20,
        "totalTokens": 120,
        "cacheReadInputTokens": 60,
        "cacheWriteInputTokens": 30,
    },
}
LANGCHAIN = {
    "lc": 1,
    "type": "constructor",
    "kwargs": {
        "content": "hello",
        "usage_metadata": {
            "input_tokens": 100,
            "output_tokens": 20,
            "total_tokens": 120,
            "input_token_details": {"cache_read": 60, "cache_creation": 0},
        },
        "response_metadata": {"model_name": "gpt", "usage": {"prompt_tokens": 100, "completion_tokens": 20}},
    },
}
AGENTS = {
    "output": [],
    "usage": {
        "requests": 1,
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 60},
        "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 5},
        "total_tokens": 120,
        "request_usage_entries": [{"usage": {"input_tokens": 100, "output_tokens": 20}}],
    },
    "raw_usage": {"usage": {"input_tokens": 100, "output_tokens": 20}},
}
PYDANTIC_AI = {
    "kind": "response",
    "model_name": "claude",
    "parts": [],
    "usage": {
        "input_tokens": 100,
        "cache_write_tokens": 30,
        "cache_read_tokens": 60,
        "output_tokens": 20,
        "details": {"input_tokens": 10},
    },
}
LITELLM = {
    "model": "claude",
    "usage": {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "total_tokens": 120,
        "prompt_tokens_details": {"cached_tokens": 60, "cache_creation_tokens": 30},
        "cache_read_input_tokens": 60,
        "cost": 0.1,
    },
}


@pytest.mark.parametrize(
    ("result", "model"),
    [
        (CHAT, "gpt"),
        (RESPONSE, "gpt"),
        (ANTHROPIC, "claude"),
        (GEMINI, "gemini"),
        (GEMINI_IN_PYTHON, "gemini"),
        (BEDROCK, "asked"),
        (LANGCHAIN, "gpt"),
        (AGENTS, "asked"),
        (PYDANTIC_AI, "claude"),
        (LITELLM, "claude"),
    ],
    ids=["chat", "responses", "anthropic", "gemini", "gemini in Python", "bedrock", "langchain", "agents",
         "pydantic-ai", "litellm"],
)  # fmt: skip
def test_every_shape_says_the_same(result: dict[str, Any], model: str) -> None:
    """Each of them is written by another library about the same call."""
    assert find_token_usage(result, ["a prompt", {"model_name": "asked", "modelId": "other"}]) == [
        TokenUsage(model, 100, 20, 60)
    ]


def test_a_stream_says_it_once_and_a_list_as_often_as_it_has_it() -> None:
    begun = {"type": "response.created", "response": RESPONSE | {"usage": None}}
    assert find_token_usage([begun, {"type": "response.completed", "response": RESPONSE}]) == [
        TokenUsage("gpt", 100, 20, 60)
    ]
    assert find_token_usage({"messages": [LANGCHAIN, LANGCHAIN]}) == [TokenUsage("gpt", 100, 20, 60)] * 2


@pytest.mark.parametrize(
    "result",
    [
        None,
        "usage",
        {"usage": {"cpu": 3}},
        {"usage": {"input_tokens": True, "output_tokens": 2}},
        {"usage": {"input_tokens": -1, "output_tokens": 2}},
        {"usage": {"prompt_tokens": "100"}},
        {"usage": [1]},
        {"input_tokens": 1, "output_tokens": 2},
    ],
)
def test_what_is_no_call_of_a_model_says_nothing(result: Any) -> None:
    assert find_token_usage(result) == []


def test_a_bottomless_result_ends() -> None:
    deep: Any = CHAT
    for _ in range(100_000):
        deep = [deep]
    assert find_token_usage(deep) == []


def test_cost_is_by_the_users_prices_alone() -> None:
    spent = [
        ("ask", TokenUsage("gpt", 1000, 100, 400)),
        ("ask", TokenUsage("gpt", 1000, 100)),
        ("ask", TokenUsage(None, 7, 1)),
    ]
    bare = {"gpt": {"input": 2.0, "output": 10.0}}
    found = tabulate_usage(spent, bare)
    assert found["ask"]["gpt"] == {"calls": 2, "input": 2000, "output": 200, "cached": 400, "cost": 0.006}
    assert found["ask"]["unknown"] == {"calls": 1, "input": 7, "output": 1, "cached": 0, "cost": None}
    assert tabulate_usage(spent, {"gpt": bare["gpt"] | {"cached": 1.0}})["ask"]["gpt"]["cost"] == 0.0056
    assert tabulate_usage(spent, {})["ask"]["gpt"]["cost"] is None
    cheap = tabulate_usage([("embed", TokenUsage("small", 1, 0))], {"small": {"input": 0.02, "output": 0}})
    assert (cheap["embed"]["small"]["cost"] or 0) > 0


def test_sums_keep_what_nobody_knows() -> None:
    priced = tabulate_usage([("ask", TokenUsage("gpt", 1000, 100))], {"gpt": {"input": 2.0, "output": 10.0}})
    other = tabulate_usage([("ask", TokenUsage("new", 1, 1)), ("plan", TokenUsage("gpt", 1, 1))], {})
    found = add_usage_tables([priced, other, priced])
    assert found["ask"]["gpt"] == {"calls": 2, "input": 2000, "output": 200, "cached": 0, "cost": 0.006}
    assert (found["ask"]["new"]["cost"], found["plan"]["gpt"]["cost"]) == (None, None)
    assert (
        add_usage_tables([priced, tabulate_usage([("ask", TokenUsage("gpt", 1, 1))], {})])["ask"]["gpt"]["cost"] is None
    )
    assert priced["ask"]["gpt"]["calls"] == 1
