"""Recorded and produced values as plain data, through the codec and the converter that the user's code works with."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from temporalio.api.common.v1 import Payload as ProtoPayload
from temporalio.converter import DataConverter

from replaytool.engines.temporal.events.payloads import read_plain_value
from replaytool.model.history import Payload
from replaytool.replay.compare.drift import Decode

_COMMON = {"json/plain", "json/protobuf", "binary/plain", "binary/null"}


def decode_with(converter: DataConverter) -> Decode:
    """A function that reads payloads; one that cannot be read becomes a description of itself."""

    def decode(payloads: Sequence[Payload]) -> list[Any]:
        return [_value(converter, payload) for payload in _through_codec(converter, payloads)]

    return decode


def _through_codec(converter: DataConverter, payloads: Sequence[Payload]) -> Sequence[Payload]:
    """What the code has just made is not encoded yet, so only what is in no common encoding goes through the codec."""
    codec = converter.payload_codec
    foreign = [index for index, one in enumerate(payloads) if one.encoding not in _COMMON]
    if codec is None or not foreign:
        return payloads
    protos = [ProtoPayload(data=payloads[index].data, metadata=dict(payloads[index].metadata)) for index in foreign]
    try:
        decoded = asyncio.run(_decoded(codec, protos))
    except Exception:  # the user's codec: whatever it raises, the values stay as they are
        return payloads
    result = list(payloads)
    for index, proto in zip(foreign, decoded, strict=False):
        result[index] = Payload(proto.data, dict(proto.metadata))
    return result


async def _decoded(codec: Any, protos: list[ProtoPayload]) -> list[ProtoPayload]:
    return list(await codec.decode(protos))


def _value(converter: DataConverter, payload: Payload) -> Any:
    if payload.encoding in _COMMON:
        return read_plain_value(payload)
    proto = ProtoPayload(data=payload.data, metadata=dict(payload.metadata))
    try:
        return converter.payload_converter.from_payload(proto)
    except Exception:  # the user's converter
        return {"encoding": payload.encoding, "bytes": len(payload.data)}
