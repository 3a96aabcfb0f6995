"""Decode recorded and produced payloads to plain data with the user's codec and converter."""

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


def make_payload_decoder(converter: DataConverter) -> Decode:
    """Return a function that reads payloads. A payload that cannot be read becomes its encoding and size."""

    def decode_payloads(payloads: Sequence[Payload]) -> list[Any]:
        return [_convert_payload(converter, payload) for payload in _decode_by_codec(converter, payloads)]

    return decode_payloads


def _decode_by_codec(converter: DataConverter, payloads: Sequence[Payload]) -> Sequence[Payload]:
    """Decode the payloads that need the codec: produced values are not encoded yet, common encodings need none."""
    codec = converter.payload_codec
    foreign = [index for index, one in enumerate(payloads) if one.encoding_name not in _COMMON]
    if codec is None or not foreign:
        return payloads
    protos = [ProtoPayload(data=payloads[index].data, metadata=dict(payloads[index].metadata)) for index in foreign]
    try:
        decoded = asyncio.run(_await_codec(codec, protos))
    except Exception:  # the user's codec may raise anything; the values then stay encoded
        return payloads
    result = list(payloads)
    for index, proto in zip(foreign, decoded, strict=False):
        result[index] = Payload(proto.data, dict(proto.metadata))
    return result


async def _await_codec(codec: Any, protos: list[ProtoPayload]) -> list[ProtoPayload]:
    return list(await codec.decode(protos))


def _convert_payload(converter: DataConverter, payload: Payload) -> Any:
    if payload.encoding_name in _COMMON:
        return read_plain_value(payload)
    proto = ProtoPayload(data=payload.data, metadata=dict(payload.metadata))
    try:
        return converter.payload_converter.from_payload(proto)
    except Exception:  # the user's converter may raise anything
        return {"encoding": payload.encoding_name, "bytes": len(payload.data)}
