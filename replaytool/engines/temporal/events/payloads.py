"""Decode recorded payloads: JSON as it is, anything else through the user's converter or codec.

Payloads are decoded when they are shown. Decoded values enter the store only with `load --decode`.
"""

from __future__ import annotations

import asyncio
import base64
import importlib
import json
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from replaytool.config import Settings
from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.model.history import Event, Payload, Run

if TYPE_CHECKING:
    from temporalio.api.common.v1 import Payload as ProtoPayload
    from temporalio.converter import DataConverter, PayloadCodec

Codec = Callable[[Sequence[Payload]], list[Payload]]
_TIMEOUT = 20


@dataclass(frozen=True, slots=True)
class PayloadDecoder:
    """Reads payloads: the codec undoes encryption and compression, then the converter returns the value."""

    codec: Codec | None = None
    to_value: Callable[[Payload], object] | None = None

    def decode_values(self, payloads: Sequence[Payload]) -> list[object]:
        """Return the values as plain data. A value that cannot be read becomes its encoding and size."""
        return (
            [self._decode_value(payload) for payload in self.codec(payloads)]
            if self.codec
            else [self._decode_value(payload) for payload in payloads]
        )

    def _decode_value(self, payload: Payload) -> object:
        # Plain JSON does not go through the user's converter: it would make objects of the user's classes, which a
        # report can neither print nor compare.
        if self.to_value is None or payload.encoding_name in _READERS:
            return read_plain_value(payload)
        return self.to_value(payload)

    def make_readable(self, event: object) -> Any:
        """Return an event's JSON with each payload replaced by its value."""
        # Collected first: a remote codec is then asked once for an event, and not once for each value.
        found = list(_iterate_payloads(event))
        values = iter(self.decode_values(found))
        return _replace_payloads(event, lambda _: next(values))

    def decode_run(self, run: Run) -> Run:
        """Return the run with payloads that the codec has decoded, for `load --decode`."""
        if self.codec is None:
            return run
        events = [self._decode_event(event) for event in run.events]
        return replace(run, events=events)

    def _decode_event(self, event: Event) -> Event:
        parsed = json.loads(event.raw)
        found = list(_iterate_payloads(parsed))
        if not found or self.codec is None:
            return event
        decoded = iter(self.codec(found))
        raw = json.dumps(_replace_payloads(parsed, lambda _: _payload_to_json(next(decoded))), separators=(",", ":"))
        return Event(event.event_id, event.event_type, event.event_time, event.build_id, raw.encode())


def build_payload_decoder(settings: Settings) -> PayloadDecoder:
    """Return the decoder that the settings ask for."""
    if settings.converter and settings.codec_endpoint:
        raise ReplaytoolError(
            "both a converter and a codec endpoint are set",
            "set only one: both decode payloads",
            code=ErrorCode.USAGE_COMBINATION,
        )
    if settings.converter:
        converter = _load_converter(settings.converter, settings)
        return PayloadDecoder(
            _wrap_codec(converter.payload_codec), lambda payload: _convert_payload(converter, payload)
        )
    if settings.codec_endpoint:
        return PayloadDecoder(_build_remote_codec(settings.codec_endpoint, settings.codec_auth))
    return PayloadDecoder()


def is_payload(value: object) -> TypeGuard[dict[str, Any]]:
    """Return whether this part of an event's JSON is a payload."""
    return (
        isinstance(value, dict)
        and isinstance(value.get("metadata"), dict)
        and "encoding" in value["metadata"]
        and isinstance(value.get("data", ""), str)
    )


def payload_from_json(value: Mapping[str, Any]) -> Payload:
    """Build a payload from an event's JSON."""
    metadata = {key: _decode_base64(item) for key, item in value["metadata"].items()}
    return Payload(_decode_base64(value.get("data", "")), metadata)


def read_plain_value(payload: Payload) -> object:
    """Return the value if the encoding is a common one, else the encoding and the size."""
    reader = _READERS.get(payload.encoding_name)
    if reader is not None:
        try:
            return reader(payload.data)
        except (ValueError, RecursionError):
            pass
    return {"encoding": payload.encoding_name, "bytes": len(payload.data)}


def _decode_text(data: bytes) -> object:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"encoding": "binary/plain", "bytes": len(data)}


_READERS: dict[str, Callable[[bytes], object]] = {
    "json/plain": json.loads,
    "json/protobuf": json.loads,
    "json": json.loads,
    "binary/plain": _decode_text,
    "binary/null": lambda data: None,
}


def _decode_base64(text: object) -> bytes:
    try:
        # Exports of the UI hold decoded text here, so what is not base64 is taken as it is.
        return base64.b64decode(str(text), validate=True)
    except ValueError:
        return str(text).encode("utf-8", "surrogatepass")


def _payload_to_json(payload: Payload) -> dict[str, object]:
    metadata = {key: base64.b64encode(value).decode() for key, value in payload.metadata.items()}
    return {"metadata": metadata, "data": base64.b64encode(payload.data).decode()}


def _iterate_payloads(value: object) -> Iterator[Payload]:
    if is_payload(value):
        yield payload_from_json(value)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _iterate_payloads(item)
    elif isinstance(value, list):
        for item in value:
            yield from _iterate_payloads(item)


def _replace_payloads(value: object, new: Callable[[object], object]) -> object:
    """Return the same tree with its payloads replaced, in the order of `_iterate_payloads`."""
    if is_payload(value):
        return new(value)
    if isinstance(value, dict):
        return {key: _replace_payloads(item, new) for key, item in value.items()}
    if isinstance(value, list):
        return [_replace_payloads(item, new) for item in value]
    return value


def _load_converter(name: str, settings: Settings) -> DataConverter:
    from temporalio.converter import DataConverter

    from replaytool.engines.temporal.events.converters import make_data_converter

    module, _, attribute = name.rpartition(":")
    # As `python -m` does. The first entry of a console script's path is the folder of the script.
    project = settings.folder.absolute()
    folders = [Path.cwd(), project, project / "src", *(project / one for one in settings.pythonpath)]
    if module.endswith(".py"):
        folders.insert(0, (project / module).parent)
        module = Path(module).stem
    sys.path[:0] = [str(one) for one in dict.fromkeys(folders) if str(one) not in sys.path and one.is_dir()]
    try:
        found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
        converter = make_data_converter(found)
    except (ImportError, AttributeError, ValueError) as error:
        raise ReplaytoolError(
            f"cannot load the converter {name!r}: {error}", "write MODULE:ATTR", code=ErrorCode.DECODE_CONVERTER
        ) from error
    except Exception as error:  # user code: a module that fails as it is imported, or a function that wants arguments
        raise ReplaytoolError(
            f"the converter {name!r} failed: {type(error).__name__}: {error}",
            "name a converter, or a function without arguments that returns one",
            code=ErrorCode.DECODE_CONVERTER,
        ) from error
    if not isinstance(converter, DataConverter):
        raise ReplaytoolError(
            f"{name} is not a temporalio DataConverter",
            "name the data converter of your client",
            code=ErrorCode.DECODE_CONVERTER,
        )
    return converter


def _wrap_codec(codec: PayloadCodec | None) -> Codec | None:
    if codec is None:
        return None

    def decode_payloads(payloads: Sequence[Payload]) -> list[Payload]:
        try:
            decoded = asyncio.run(codec.decode([_payload_to_proto(payload) for payload in payloads]))
        except Exception as error:  # user code: any exception is about these payloads
            raise ReplaytoolError(
                f"the payload codec failed: {type(error).__name__}: {error}",
                "check that it is the codec that these histories were written with",
                code=ErrorCode.DECODE_FAILED,
            ) from error
        return [Payload(one.data, dict(one.metadata)) for one in decoded]

    return decode_payloads


def _payload_to_proto(payload: Payload) -> ProtoPayload:
    from temporalio.api.common.v1 import Payload as ProtoPayload

    return ProtoPayload(metadata=dict(payload.metadata), data=payload.data)


def _convert_payload(converter: DataConverter, payload: Payload) -> object:
    try:
        return converter.payload_converter.from_payload(_payload_to_proto(payload))
    except Exception as error:  # user code: one unreadable value must not hide the others
        return {
            "encoding": payload.encoding_name,
            "bytes": len(payload.data),
            "error": f"{type(error).__name__}: {error}",
        }


def _build_remote_codec(endpoint: str, auth: str | None) -> Codec:
    if not endpoint.startswith(("http://", "https://")):
        raise ReplaytoolError(
            f"{endpoint!r} is not a codec endpoint", "write http://… or https://…", code=ErrorCode.DECODE_ENDPOINT
        )
    url = endpoint.rstrip("/") + "/decode"
    headers = {"Content-Type": "application/json"} | ({"Authorization": auth} if auth else {})

    def decode_payloads(payloads: Sequence[Payload]) -> list[Payload]:
        if not payloads:
            return []
        body = json.dumps({"payloads": [_payload_to_json(payload) for payload in payloads]}).encode()
        request = urllib.request.Request(url, body, headers)
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:
                decoded = json.load(response)["payloads"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ReplaytoolError(
                f"the codec endpoint {url} failed: {error}",
                "check its address and --codec-auth",
                code=ErrorCode.DECODE_FAILED,
            ) from error
        # The protocol pairs them by position. With another number, values would be shown in the wrong place.
        if len(decoded) != len(payloads):
            raise ReplaytoolError(
                f"the codec endpoint {url} returned {len(decoded)} payloads for {len(payloads)}",
                code=ErrorCode.DECODE_FAILED,
            )
        # Proto JSON leaves out an empty map.
        return [payload_from_json({"metadata": {}, **one}) for one in decoded]

    return decode_payloads
