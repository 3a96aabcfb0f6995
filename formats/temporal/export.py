"""Write histories for other tools: the JSON of the CLI and the SDKs, or the binary History."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence

import msgspec

from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.formats.temporal.proto_files import UNKNOWN
from replaytool.model.history import Event


def export_json(events: Sequence[Event]) -> bytes:
    """Write `{"events":[…]}`, each event as it is stored."""
    return b'{"events":[' + b",\n".join(event.raw for event in events) + b"]}\n"


def export_binary(events: Sequence[Event]) -> bytes:
    """Write a serialized `temporal.api.history.v1.History`.

    An event that was read with unknown fields is written unchanged.
    """
    from google.protobuf.json_format import ParseDict, ParseError
    from google.protobuf.message import DecodeError
    from temporalio.api.history.v1 import History, HistoryEvent

    history = History()
    for event in events:
        parsed = msgspec.json.decode(event.raw)
        kept = parsed.get(UNKNOWN)
        try:
            if isinstance(kept, str):
                history.events.append(HistoryEvent.FromString(base64.b64decode(kept)))
            else:
                history.events.append(ParseDict(parsed, HistoryEvent(), ignore_unknown_fields=True))
        except (ParseError, DecodeError, ValueError) as error:
            message = f"event {event.event_id} cannot be written as protobuf: {error}"
            raise ReplaytoolError(
                message, "export the run as JSON, which keeps the event as it is", code=ErrorCode.FORMAT_INEXPRESSIBLE
            ) from error
    return history.SerializeToString()


EXPORTS: dict[str, Callable[[Sequence[Event]], bytes]] = {"json": export_json, "binary": export_binary}
