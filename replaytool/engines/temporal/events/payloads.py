"""Recorded values made readable: as JSON where they are JSON, through the user's converter or codec where not.

Decoding happens when something is read and shown. What is decoded enters the store only on explicit demand.
"""

from __future__ import annotations

import asyncio
import base64
import importlib
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from replaytool.config import Settings
from replaytool.errors import ReplaytoolError
from replaytool.model.history import Event, Payload, Run

if TYPE_CHECKING:
    from temporalio.api.common.v1 import Payload as ProtoPayload
    from temporalio.converter import DataConverter, PayloadCodec

Codec = Callable[[Sequence[Payload]], list[Payload]]
_TIMEOUT = 20


@dataclass(frozen=True, slots=True)
class Decoder:
    """How recorded values are read: first the codec, which undoes encryption and compression, then the converter."""

    codec: Codec | None = None
    to_value: Callable[[Payload], Any] | None = None

    def values(self, payloads: Sequence[Payload]) -> list[Any]:
        """The recorded values as plain data; what cannot be read says what it is."""
        return (
            [self._value(payload) for payload in self.codec(payloads)]
            if self.codec
            else [self._value(payload) for payload in payloads]
        )

    def _value(self, payload: Payload) -> Any:
        if self.to_value is None or payload.encoding in _READERS:
            return plain_value(payload)
        return self.to_value(payload)

    def readable(self, event: Any) -> Any:
        """An event's JSON with every payload in it replaced by its value."""
        found = list(_payloads(event))
        values = iter(self.values(found))
        return _replaced(event, lambda _: next(values))

    def decoded(self, run: Run) -> Run:
        """The run with its payloads as the codec decodes them, for `load --decode`."""
        if self.codec is None:
            return run
        events = [self._decoded_event(event) for event in run.events]
        return replace(run, events=events)

    def _decoded_event(self, event: Event) -> Event:
        parsed = json.loads(event.raw)
        found = list(_payloads(parsed))
        if not found or self.codec is None:
            return event
        decoded = iter(self.codec(found))
        raw = json.dumps(_replaced(parsed, lambda _: _as_json(next(decoded))), separators=(",", ":"))
        return Event(event.event_id, event.event_type, event.event_time, event.build_id, raw.encode())


def decoder(settings: Settings) -> Decoder:
    """The decoder that the settings ask for."""
    if settings.converter and settings.codec_endpoint:
        raise ReplaytoolError("both a converter and a codec endpoint are set", "choose one: they do the same work")
    if settings.converter:
        converter = _loaded(settings.converter)
        return Decoder(_codec_of(converter.payload_codec), lambda payload: _converted(converter, payload))
    if settings.codec_endpoint:
        return Decoder(_remote_codec(settings.codec_endpoint, settings.codec_auth))
    return Decoder()


def is_payload(value: object) -> bool:
    """Whether this piece of an event's JSON is a recorded value."""
    return (
        isinstance(value, dict)
        and isinstance(value.get("metadata"), dict)
        and "encoding" in value["metadata"]
        and isinstance(value.get("data", ""), str)
    )


def from_json(value: dict[str, Any]) -> Payload:
    """A payload as an event's JSON writes it."""
    metadata = {key: _bytes(item) for key, item in value["metadata"].items()}
    return Payload(_bytes(value.get("data", "")), metadata)


def plain_value(payload: Payload) -> Any:
    """The value where the encoding is a common one; else the encoding and the size."""
    reader = _READERS.get(payload.encoding)
    if reader is not None:
        try:
            return reader(payload.data)
        except (ValueError, RecursionError):
            pass
    return {"encoding": payload.encoding, "bytes": len(payload.data)}


def _text(data: bytes) -> Any:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"encoding": "binary/plain", "bytes": len(data)}


_READERS: dict[str, Callable[[bytes], Any]] = {
    "json/plain": json.loads,
    "json/protobuf": json.loads,
    "json": json.loads,
    "binary/plain": _text,
    "binary/null": lambda data: None,
}


def _bytes(text: object) -> bytes:
    try:
        return base64.b64decode(str(text), validate=True)
    except ValueError:
        return str(text).encode("utf-8", "surrogatepass")


def _as_json(payload: Payload) -> dict[str, Any]:
    metadata = {key: base64.b64encode(value).decode() for key, value in payload.metadata.items()}
    return {"metadata": metadata, "data": base64.b64encode(payload.data).decode()}


def _payloads(value: Any) -> Iterator[Payload]:
    if is_payload(value):
        yield from_json(value)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _payloads(item)
    elif isinstance(value, list):
        for item in value:
            yield from _payloads(item)


def _replaced(value: Any, new: Callable[[Any], Any]) -> Any:
    """The same tree with its payloads replaced, in the order in which `_payloads` gives them."""
    if is_payload(value):
        return new(value)
    if isinstance(value, dict):
        return {key: _replaced(item, new) for key, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, new) for item in value]
    return value


def _loaded(name: str) -> DataConverter:
    from temporalio.converter import DataConverter

    module, _, attribute = name.partition(":")
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        converter = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ReplaytoolError(f"cannot load the converter {name!r}: {error}", "write MODULE:ATTR") from error
    if not isinstance(converter, DataConverter):
        raise ReplaytoolError(f"{name} is no temporalio DataConverter", "name the one that your client is made with")
    return converter


def _codec_of(codec: PayloadCodec | None) -> Codec | None:
    if codec is None:
        return None

    def decode(payloads: Sequence[Payload]) -> list[Payload]:
        try:
            decoded = asyncio.run(codec.decode([_as_proto(payload) for payload in payloads]))
        except Exception as error:  # the user's own code: whatever it raises is about these payloads
            raise ReplaytoolError(
                f"the payload codec failed: {type(error).__name__}: {error}", "is it the codec of these histories?"
            ) from error
        return [Payload(one.data, dict(one.metadata)) for one in decoded]

    return decode


def _as_proto(payload: Payload) -> ProtoPayload:
    from temporalio.api.common.v1 import Payload as ProtoPayload

    return ProtoPayload(metadata=dict(payload.metadata), data=payload.data)


def _converted(converter: DataConverter, payload: Payload) -> Any:
    try:
        return converter.payload_converter.from_payload(_as_proto(payload))
    except Exception as error:  # the user's own code again; one value that it cannot read hides no other
        return {"encoding": payload.encoding, "bytes": len(payload.data), "error": f"{type(error).__name__}: {error}"}


def _remote_codec(endpoint: str, auth: str | None) -> Codec:
    if not endpoint.startswith(("http://", "https://")):
        raise ReplaytoolError(f"{endpoint!r} is no codec endpoint", "write http://… or https://…")
    url = endpoint.rstrip("/") + "/decode"
    headers = {"Content-Type": "application/json"} | ({"Authorization": auth} if auth else {})

    def decode(payloads: Sequence[Payload]) -> list[Payload]:
        if not payloads:
            return []
        body = json.dumps({"payloads": [_as_json(payload) for payload in payloads]}).encode()
        request = urllib.request.Request(url, body, headers)
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:
                decoded = json.load(response)["payloads"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ReplaytoolError(
                f"the codec endpoint {url} failed: {error}", "check its address and --codec-auth"
            ) from error
        if len(decoded) != len(payloads):
            raise ReplaytoolError(f"the codec endpoint {url} gave {len(decoded)} payloads for {len(payloads)}")
        return [from_json({"metadata": {}, **one}) for one in decoded]

    return decode
