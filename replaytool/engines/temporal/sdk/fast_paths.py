"""What the SDK does anew for each value and each await, done once where that comes to the same.

It is used for the drive at full speed and where a run is walked through. A divergence that is told was seen without it,
by the SDK's own code. Where a release does something else than what is known here, it is left alone.
"""

from __future__ import annotations

import asyncio
import copy
import json
import json.encoder
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
from temporalio.api.common.v1 import Payload
from temporalio.converter import AdvancedJSONEncoder, DefaultPayloadConverter, JSONPlainPayloadConverter
from temporalio.worker import _workflow_instance

_JSON, _NULL = {"encoding": b"json/plain"}, {"encoding": b"binary/null"}
_SIMPLE: frozenset[Any] = frozenset({str, int, float, bool, dict, list})
"""A value of the very type that is asked for is handed on as it is."""
_TYPES = frozenset({str, int, float, bool, dict, list, type(None)})
"""Of these very types, no converter before the one for JSON wants anything; inside them it is the encoder's affair."""


def shorten(worker: Any) -> None:
    """Have a worker's instances convert plain JSON by a shorter way, where they convert by the SDK's defaults."""
    make: Callable[[], Any] | None = getattr(worker._data_converter, "_new_payload_converter", None)
    if make is None:
        return
    made = make()
    inner = getattr(made, "_inner_payload_converter", None)
    if not _is_default(inner):
        return
    shorter = _shorter(type(made))(inner)
    worker._data_converter = copy.copy(worker._data_converter)
    object.__setattr__(worker._data_converter, "_new_payload_converter", lambda: shorter)


def _is_default(inner: Any) -> bool:
    if type(inner) is not DefaultPayloadConverter:
        return False
    plain = inner.converters.get(b"json/plain")
    return type(plain) is JSONPlainPayloadConverter and plain._encoder is AdvancedJSONEncoder and plain._decoder is None


def _shorter(base: type[Any]) -> type[Any]:
    encoder = AdvancedJSONEncoder(separators=(",", ":"), sort_keys=True)
    begun = Payload(metadata=_JSON)
    written = _writer(encoder)

    def payload(value: Any) -> Payload:
        if value is None:
            return Payload(metadata=_NULL)
        made = Payload()
        made.CopyFrom(begun)
        made.data = written(value).encode()
        return made

    class Shorter(base):  # type: ignore[misc]
        """The SDK's converter; it keeps no state, so that all runs and all contexts share it."""

        def to_payloads(self, values: Sequence[Any]) -> list[Payload]:
            if {type(value) for value in values} <= _TYPES:
                try:
                    return [payload(value) for value in values]
                except (TypeError, ValueError, RecursionError):
                    pass  # told in the SDK's own words
            found: list[Payload] = super().to_payloads(values)
            return found

        def from_payloads(self, payloads: Sequence[Payload], type_hints: list[type] | None = None) -> list[Any]:
            if type_hints is None or _are_simple(type_hints):
                made = _plainly(payloads)
                if made is not None and (type_hints is None or [type(value) for value in made] == type_hints):
                    return made
            found: list[Any] = super().from_payloads(payloads, type_hints)
            return found

        def with_context(self, context: Any) -> Shorter:
            return self

    return Shorter


def _writer(encoder: json.JSONEncoder) -> Callable[[Any], str]:
    """What an encoder does, without what it makes anew for each value; circles end in a RecursionError."""
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return encoder.encode
    pieces = make(None, encoder.default, json.encoder.encode_basestring_ascii, None, ":", ",", True, False, True)
    return lambda value: "".join(pieces(value, 0))


def _are_simple(hints: Sequence[Any]) -> bool:
    try:
        return _SIMPLE.issuperset(hints)
    except TypeError:  # an annotation that has no hash
        return False


def _plainly(payloads: Sequence[Payload]) -> list[Any] | None:
    """The values, where they are plain JSON that a strict parser reads; it reads what it reads as Python's does."""
    try:
        if all(one.metadata["encoding"] == b"json/plain" for one in payloads):
            return [msgspec.json.decode(one.data) for one in payloads]
    except (KeyError, ValueError):
        pass
    return None


async def _shield_await(future: asyncio.Future[Any]) -> Any:
    """`asyncio.wait` for one future: as many turns of the loop, and none of what it does for many futures."""
    waiter = asyncio.get_running_loop().create_future()

    def wake(_: Any) -> None:
        if not waiter.done():
            waiter.set_result(None)

    future.add_done_callback(wake)
    try:
        await waiter
    finally:
        future.remove_done_callback(wake)
    return future.result()


def _waits_as_known() -> bool:
    code = getattr(getattr(_workflow_instance, "_shield_await", None), "__code__", None)
    return code is not None and code.co_names == ("asyncio", "wait", "result") and code.co_varnames == ("fut",)


_KNOWN = _waits_as_known()


@contextmanager
def short_waits() -> Iterator[None]:
    """Have operations awaited the short way, for a while."""
    if not _KNOWN:
        yield
        return
    module: Any = _workflow_instance
    before, module._shield_await = module._shield_await, _shield_await
    try:
        yield
    finally:
        module._shield_await = before
