"""What the SDK does anew for each value and each await, done once where that comes to the same.

All of it is used for the drive at full speed only: whatever is told of a run was seen by the SDK's own code. Where a
release does something else than what is known here, it is left alone.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.converter import AdvancedJSONEncoder, DefaultPayloadConverter, JSONPlainPayloadConverter
from temporalio.worker import _workflow_instance

_JSON, _NULL = {"encoding": b"json/plain"}, {"encoding": b"binary/null"}
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
    encode = AdvancedJSONEncoder(separators=(",", ":"), sort_keys=True).encode

    def payload(value: Any) -> Payload:
        return Payload(metadata=_NULL) if value is None else Payload(metadata=_JSON, data=encode(value).encode())

    class Shorter(base):  # type: ignore[misc]
        """The SDK's converter; it keeps no state, so that all runs and all contexts share it."""

        def to_payloads(self, values: Sequence[Any]) -> list[Payload]:
            if {type(value) for value in values} <= _TYPES:
                return [payload(value) for value in values]
            found: list[Payload] = super().to_payloads(values)
            return found

        def from_payloads(self, payloads: Sequence[Payload], type_hints: list[type] | None = None) -> list[Any]:
            if type_hints is None and all(one.metadata.get("encoding") == b"json/plain" for one in payloads):
                try:
                    return [json.loads(one.data) for one in payloads]
                except ValueError:
                    pass  # told in the SDK's own words
            found: list[Any] = super().from_payloads(payloads, type_hints)
            return found

        def with_context(self, context: Any) -> Shorter:
            return self

    return Shorter


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
