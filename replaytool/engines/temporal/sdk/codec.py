"""Codecs and external storage, which the SDK's worker runs around each activation, outside of the instance."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from functools import cache
from typing import TYPE_CHECKING, Any

import temporalio.bridge.worker
from temporalio.converter import DataConverter, WorkflowSerializationContext
from temporalio.worker import _workflow

if TYPE_CHECKING:
    from replaytool.engines.temporal.sdk.workflow_instance import Worker


def is_needed(converter: DataConverter) -> bool:
    """Whether anything is done to payloads at all."""
    return converter.payload_codec is not None or getattr(converter, "external_storage", None) is not None


def decode(worker: Worker, activation: Any, instance: Any, workflow_id: str) -> None:
    """Decode what the code is told, where it stands."""
    converter = _in_context(worker, instance, workflow_id)
    options = {"decode_headers": worker.encodes_headers, "storage_concurrency_limit": 1}
    _run(temporalio.bridge.worker.decode_activation, activation, converter, options)


def encode(worker: Worker, completion: Any, instance: Any, workflow_id: str) -> str | None:
    """Try to encode what the code says; a failure fails the task. The commands themselves stay readable."""
    converter = _in_context(worker, instance, workflow_id)
    copy = type(completion)()
    copy.CopyFrom(completion)
    options = {"encode_headers": worker.encodes_headers, "storage_concurrency_limit": 1}
    try:
        _run(temporalio.bridge.worker.encode_completion, copy, converter, options)
    except Exception as error:
        return f"Failed encoding completion: {error}"
    return None


def _in_context(worker: Worker, instance: Any, workflow_id: str) -> Any:
    context = WorkflowSerializationContext(namespace=worker.namespace, workflow_id=workflow_id)
    converter = worker.converter.with_context(context)
    aware = getattr(_workflow, "_CommandAwareDataConverter", None)
    if instance is None or aware is None:
        return converter
    return aware.create(
        instance=instance,
        context_free_dc=worker.converter,
        workflow_context_dc=converter,
        workflow_context=context,
    )


@cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


def _run(function: Callable[..., Awaitable[Any]], message: Any, converter: Any, options: dict[str, Any]) -> None:
    known = inspect.signature(function).parameters
    chosen = {name: value for name, value in options.items() if name in known}
    _loop().run_until_complete(function(message, converter, **chosen))
