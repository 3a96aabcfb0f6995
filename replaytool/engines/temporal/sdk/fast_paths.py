"""Faster versions of what the SDK does for each value and each await, with the same result.

Only passes at full speed and debugger steps use them. A reported divergence was always seen by the SDK's own code.
A release whose code differs from what is known here keeps its own version.
"""

from __future__ import annotations

import asyncio
import copy
import json
import json.encoder
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self

import msgspec
from temporalio.api.common.v1 import Payload
from temporalio.converter import AdvancedJSONEncoder, DefaultPayloadConverter, JSONPlainPayloadConverter

from replaytool.engines.temporal.sdk.private import workflow_instance_module

_JSON, _NULL = {"encoding": b"json/plain"}, {"encoding": b"binary/null"}
_SIMPLE: frozenset[object] = frozenset({str, int, float, bool, dict, list})
"""The SDK passes a value of exactly the hinted type on as it is."""
_TYPES = frozenset({str, int, float, bool, dict, list, type(None)})
"""Exactly these types reach the JSON converter: no converter before it takes them."""


def use_fast_converter(worker: Any) -> None:
    """Give a worker's instances the fast JSON converter, if they use the SDK's default one."""
    make: Callable[[], object] | None = getattr(worker._data_converter, "_new_payload_converter", None)
    if make is None:
        return
    made = make()
    inner = getattr(made, "_inner_payload_converter", None)
    if not _is_default_converter(inner):
        return
    shorter = _make_fast_converter(type(made))(inner)
    worker._data_converter = copy.copy(worker._data_converter)
    object.__setattr__(worker._data_converter, "_new_payload_converter", lambda: shorter)


def _is_default_converter(inner: object) -> bool:
    if type(inner) is not DefaultPayloadConverter:
        return False
    plain = inner.converters.get(b"json/plain")
    return type(plain) is JSONPlainPayloadConverter and plain._encoder is AdvancedJSONEncoder and plain._decoder is None


def _make_fast_converter(base: type[Any]) -> type[Any]:
    encoder = AdvancedJSONEncoder(separators=(",", ":"), sort_keys=True)
    begun = Payload(metadata=_JSON)
    written = _make_json_writer(encoder)

    def make_payload(value: object) -> Payload:
        if value is None:
            return Payload(metadata=_NULL)
        made = Payload()
        made.CopyFrom(begun)
        made.data = written(value).encode()
        return made

    class FastConverter(base):  # type: ignore[misc]
        """The SDK's converter with fast paths for plain JSON. It has no state, so all runs and contexts share it."""

        def to_payloads(self, values: Sequence[object]) -> list[Payload]:
            if {type(value) for value in values} <= _TYPES:
                try:
                    return [make_payload(value) for value in values]
                except (TypeError, ValueError, RecursionError):
                    pass  # the SDK's converter raises it with its own message
            found: list[Payload] = super().to_payloads(values)
            return found

        def from_payloads(self, payloads: Sequence[Payload], type_hints: list[type] | None = None) -> list[object]:
            if type_hints is None or _are_simple_hints(type_hints):
                made = _decode_plain_json(payloads)
                if made is not None and (type_hints is None or [type(value) for value in made] == type_hints):
                    return made
            found: list[object] = super().from_payloads(payloads, type_hints)
            return found

        def with_context(self, context: object) -> Self:
            return self

    return FastConverter


def _make_json_writer(encoder: json.JSONEncoder) -> Callable[[object], str]:
    """Return a function that encodes as `encoder` does, without new objects for each value.

    The check for circular values is left out: they end in a RecursionError.
    """
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return encoder.encode
    pieces = make(None, encoder.default, json.encoder.encode_basestring_ascii, None, ":", ",", True, False, True)
    return lambda value: "".join(pieces(value, 0))


def _are_simple_hints(hints: Sequence[object]) -> bool:
    try:
        return _SIMPLE.issuperset(hints)
    except TypeError:  # an annotation that has no hash
        return False


def _decode_plain_json(payloads: Sequence[Payload]) -> list[object] | None:
    """Return the values if all payloads are plain JSON that msgspec reads, which it reads as the `json` module does."""
    try:
        if all(one.metadata["encoding"] == b"json/plain" for one in payloads):
            return [msgspec.json.decode(one.data) for one in payloads]
    except (KeyError, ValueError):
        pass
    return None


async def _await_future_directly(future: asyncio.Future[object]) -> object:
    """Await one future in as many turns of the loop as `asyncio.wait` takes, without its work for many futures."""
    waiter = asyncio.get_running_loop().create_future()

    def wake_waiter(_: object) -> None:
        if not waiter.done():
            waiter.set_result(None)

    future.add_done_callback(wake_waiter)
    try:
        await waiter
    finally:
        future.remove_done_callback(wake_waiter)
    return future.result()


def _has_known_shield_await() -> bool:
    code = getattr(getattr(workflow_instance_module, "_shield_await", None), "__code__", None)
    return code is not None and code.co_names == ("asyncio", "wait", "result") and code.co_varnames == ("fut",)


_KNOWN = _has_known_shield_await()


@contextmanager
def use_fast_awaits() -> Iterator[None]:
    """Replace the SDK's `_shield_await` inside the block."""
    if not _KNOWN:
        yield
        return
    module = workflow_instance_module
    before, module._shield_await = module._shield_await, _await_future_directly
    try:
        yield
    finally:
        module._shield_await = before
