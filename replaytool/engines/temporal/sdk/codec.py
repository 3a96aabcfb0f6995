"""Run codecs and external storage around an activation, as the SDK's worker does outside of the instance."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from functools import cache

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.converter import DataConverter, WorkflowSerializationContext
from temporalio.worker import WorkflowInstance

from replaytool.engines.temporal.sdk.private import CommandAwareDataConverter, decode_activation, encode_completion


def needs_codec(converter: DataConverter) -> bool:
    """Return whether payloads pass a codec or external storage."""
    return converter.payload_codec is not None or getattr(converter, "external_storage", None) is not None


class ActivationCodec:
    """Decodes the activations of one run and encodes its completions."""

    def __init__(self, converter: DataConverter, namespace: str, workflow_id: str, encodes_headers: bool) -> None:
        self._converter = converter
        self._context = WorkflowSerializationContext(namespace=namespace, workflow_id=workflow_id)

        # Each release takes some of these options.
        self._options = {"storage_concurrency_limit": 1, **dict.fromkeys(_HEADER_OPTIONS, encodes_headers)}

    def decode_in_place(self, activation: WorkflowActivation, instance: WorkflowInstance | None) -> None:
        """Decode an activation in place; there is no instance yet before the first one."""
        self._convert(decode_activation, activation, instance)

    def find_encoding_error(self, completion: WorkflowActivationCompletion, instance: WorkflowInstance) -> str | None:
        """Return why a completion cannot be encoded, or None; a copy is encoded, so that the commands stay readable."""
        copied = WorkflowActivationCompletion()
        copied.CopyFrom(completion)
        try:
            self._convert(encode_completion, copied, instance)
        except Exception as error:
            return f"Failed encoding completion: {error}"
        return None

    def _convert(
        self,
        function: Callable[..., Awaitable[object]],
        message: WorkflowActivation | WorkflowActivationCompletion,
        instance: WorkflowInstance | None,
    ) -> None:
        known = inspect.signature(function).parameters
        options = {name: value for name, value in self._options.items() if name in known}
        _get_codec_loop().run_until_complete(function(message, self._get_converter(instance), **options))

    def _get_converter(self, instance: WorkflowInstance | None) -> object:
        """Return the converter that tells a codec which command a payload belongs to, in releases that have it."""
        in_context = self._converter.with_context(self._context)
        if instance is None or CommandAwareDataConverter is None:
            return in_context
        return CommandAwareDataConverter.create(
            instance=instance,
            context_free_dc=self._converter,
            workflow_context_dc=in_context,
            workflow_context=self._context,
        )


_HEADER_OPTIONS = ("decode_headers", "encode_headers")
_get_codec_loop = cache(asyncio.new_event_loop)
