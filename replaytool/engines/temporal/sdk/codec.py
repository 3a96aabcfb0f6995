"""Run codecs and external storage around an activation, as the SDK's worker does outside of the instance."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from temporalio.converter import DataConverter, WorkflowSerializationContext

from replaytool.engines.temporal.sdk.private import CommandAwareDataConverter, decode_activation, encode_completion

if TYPE_CHECKING:
    from replaytool.engines.temporal.sdk.workflow_instance import InstanceFactory


def needs_codec(converter: DataConverter) -> bool:
    """Return whether payloads pass a codec or external storage."""
    return converter.payload_codec is not None or getattr(converter, "external_storage", None) is not None


def decode_in_place(worker: InstanceFactory, activation: Any, instance: Any, workflow_id: str) -> None:
    """Decode an activation in place."""
    converter = _converter_in_context(worker, instance, workflow_id)
    options = {"decode_headers": worker.encodes_headers, "storage_concurrency_limit": 1}
    _run_conversion(decode_activation, activation, converter, options)


def find_encoding_error(worker: InstanceFactory, completion: Any, instance: Any, workflow_id: str) -> str | None:
    """Return why a completion cannot be encoded, or None; a copy is encoded, so that the commands stay readable."""
    converter = _converter_in_context(worker, instance, workflow_id)
    copy = type(completion)()
    copy.CopyFrom(completion)
    options = {"encode_headers": worker.encodes_headers, "storage_concurrency_limit": 1}
    try:
        _run_conversion(encode_completion, copy, converter, options)
    except Exception as error:
        return f"Failed encoding completion: {error}"
    return None


def _converter_in_context(worker: InstanceFactory, instance: Any, workflow_id: str) -> Any:
    context = WorkflowSerializationContext(namespace=worker.namespace, workflow_id=workflow_id)
    converter = worker.converter.with_context(context)
    if instance is None or CommandAwareDataConverter is None:
        return converter
    return CommandAwareDataConverter.create(
        instance=instance,
        context_free_dc=worker.converter,
        workflow_context_dc=converter,
        workflow_context=context,
    )


@cache
def _codec_loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


def _run_conversion(
    function: Callable[..., Awaitable[Any]], message: Any, converter: Any, options: dict[str, Any]
) -> None:
    known = inspect.signature(function).parameters
    chosen = {name: value for name, value in options.items() if name in known}
    _codec_loop().run_until_complete(function(message, converter, **chosen))
