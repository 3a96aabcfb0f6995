"""The one list of temporalio's private names that replaytool uses, each with the releases in which it was seen.

The SDK may change them in any release. So all other modules import them from here, and `PRIVATE_NAMES` says what
each is used for. To support a new release: run the tests with it, then extend `seen` of each row that still holds.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from temporalio import workflow as _workflow_api
from temporalio.bridge.worker import decode_activation, encode_completion
from temporalio.worker import _worker, _workflow, _workflow_instance
from temporalio.worker._worker import load_default_build_id
from temporalio.worker._workflow import _WorkflowWorker as WorkflowWorker
from temporalio.worker._workflow_instance import _WorkflowInstanceImpl as WorkflowInstanceImpl
from temporalio.worker.workflow_sandbox._in_sandbox import InSandbox
from temporalio.worker.workflow_sandbox._restrictions import _RestrictedProxy as RestrictedProxy
from temporalio.worker.workflow_sandbox._runner import _Instance as SandboxInstance
from temporalio.workflow import _Definition as WorkflowDefinition

__all__ = [
    "PRIVATE_NAMES",
    "CommandAwareDataConverter",
    "InSandbox",
    "PrivateName",
    "RestrictedProxy",
    "SandboxInstance",
    "WorkflowDefinition",
    "WorkflowInstanceImpl",
    "WorkflowWorker",
    "decode_activation",
    "encode_completion",
    "load_default_build_id",
    "set_in_sandbox",
    "worker_module",
    "workflow_instance_module",
]

worker_module: Any = _worker
workflow_instance_module: Any = _workflow_instance
set_in_sandbox = _workflow_api.unsafe._set_in_sandbox
CommandAwareDataConverter: Any = getattr(_workflow, "_CommandAwareDataConverter", None)


class PrivateName(NamedTuple):
    """One private name: `owner` is a module, or a module and its class (`module:Class`)."""

    owner: str
    name: str
    why: str
    seen: str = "20-35"
    """Minor releases of temporalio 1, as ranges: "20-35" or "31-33, 35"."""

    def is_seen_in(self, minor: int) -> bool:
        """Return whether the name was seen in this minor release."""
        ends = [span.split("-") for span in self.seen.split(", ")]
        return any(int(first_last[0]) <= minor <= int(first_last[-1]) for first_last in ends)


_WORKER = "temporalio.worker._workflow"
_INSTANCE = "temporalio.worker._workflow_instance"
_SANDBOX = "temporalio.worker.workflow_sandbox"

PRIVATE_NAMES: tuple[PrivateName, ...] = (
    PrivateName("temporalio.workflow", "_Definition", "the type of a runner's `prepare_workflow`"),
    PrivateName("temporalio.workflow:_Definition", "must_from_class", "the names of its signal and update handlers"),
    PrivateName("temporalio.workflow:unsafe", "_set_in_sandbox", "enter a shared sandbox for a whole run"),
    PrivateName("temporalio.bridge.worker", "decode_activation", "run codecs on an activation"),
    PrivateName("temporalio.bridge.worker", "encode_completion", "run codecs on a completion"),
    PrivateName("temporalio.worker._worker", "load_default_build_id", "the build ID of the loaded code"),
    PrivateName("temporalio.worker._worker", "_default_build_id", "save the SDK from reading all loaded modules"),
    # The workflow worker: makes instances, and is never run.
    PrivateName(_WORKER, "_WorkflowWorker", "build what an instance is made from with the SDK's own code"),
    PrivateName(_WORKER, "_CommandAwareDataConverter", "give codecs the context of a command", "25-35"),
    PrivateName(f"{_WORKER}:_WorkflowWorker", "_create_workflow_instance", "make the instance of a run"),
    PrivateName(f"{_WORKER}:_WorkflowWorker", "_namespace", "give the next run its recorded namespace"),
    PrivateName(f"{_WORKER}:_WorkflowWorker", "_task_queue", "give the next run its recorded task queue"),
    PrivateName(f"{_WORKER}:_WorkflowWorker", "_data_converter", "replace its JSON converter by a faster one"),
    PrivateName(f"{_WORKER}:_WorkflowWorker", "_deadlock_timeout_seconds", "the SDK's limit for one activation"),
    PrivateName(f"{_WORKER}:_WorkflowWorker", "nondeterminism_as_workflow_fail", "have nondeterminism reported"),
    PrivateName(f"{_WORKER}:_WorkflowWorker", "nondeterminism_as_workflow_fail_for_types", "the same, by type"),
    PrivateName("temporalio.worker:Replayer", "_default_workflow_logic_flags", "pass them to its worker", "31-35"),
    # The workflow instance: an event loop that runs the user's coroutines.
    PrivateName(_INSTANCE, "_WorkflowInstanceImpl", "record what the code is told and asks for"),
    PrivateName(_INSTANCE, "_shield_await", "replace `asyncio.wait` by a faster await", "31-35"),
    PrivateName(f"{_INSTANCE}:_WorkflowInstanceImpl", "_run_once", "frames below are the SDK's; keep its errors"),
    PrivateName(f"{_INSTANCE}:_WorkflowInstanceImpl", "_add_command", "note the line that issues a command"),
    PrivateName(f"{_INSTANCE}:_WorkflowInstanceImpl", "_apply", "keep what a job raises"),
    PrivateName(f"{_INSTANCE}:_WorkflowInstanceImpl", "_make_workflow_input", "hold the frame of the run method"),
    PrivateName(f"{_INSTANCE}:_WorkflowInstanceImpl", "_object", "the workflow object: states and snapshots"),
    PrivateName(f"{_INSTANCE}:_WorkflowInstanceImpl", "_pending_activities", "who waits for a result"),
    PrivateName(f"{_INSTANCE}:_WorkflowInstanceImpl", "_pending_child_workflows", "who waits for a result"),
    PrivateName(f"{_INSTANCE}:_WorkflowInstanceImpl", "_tasks", "stacks; tear down at once what has no task"),
    PrivateName(f"{_INSTANCE}:_WorkflowInstanceImpl", "_primary_task", "tell the main coroutine from handlers"),
    PrivateName(f"{_INSTANCE}:_WorkflowInstanceImpl", "_updates", "the handler behind an update"),
    PrivateName(f"{_INSTANCE}:_WorkflowInstanceImpl", "_defn", "the workflow class before its object exists"),
    PrivateName(f"{_INSTANCE}:_WorkflowInstanceImpl", "_info", "the workflow type on a stack"),
    PrivateName(f"{_INSTANCE}:_WorkflowInstanceImpl", "_random", "go on with the same randomness past the record"),
    PrivateName(f"{_INSTANCE}:_WorkflowInstanceImpl", "_deleting", "silence `__del__` of an instance that is cleared"),
    # The sandbox: one for all runs of a type instead of one for each run.
    PrivateName(f"{_SANDBOX}._in_sandbox", "InSandbox", "make an instance in a shared sandbox"),
    PrivateName(f"{_SANDBOX}._restrictions", "_RestrictedProxy", "know a proxy without four calls"),
    PrivateName(f"{_SANDBOX}._runner", "_Instance", "find the instance inside a sandbox"),
    PrivateName(f"{_SANDBOX}._runner:_Instance", "importer", "enter its import restrictions again"),
    PrivateName(f"{_SANDBOX}._runner:_Instance", "globals_and_locals", "the classes that the sandbox imported"),
    PrivateName(f"{_SANDBOX}._runner:_Instance", "__temporal_in_sandbox", "the instance, in those globals"),
    PrivateName(f"{_SANDBOX}._runner:_Instance", "__temporal_workflow_class", "the workflow class, in those globals"),
    PrivateName(f"{_SANDBOX}._runner:_Instance", "__temporal_runner_class", "the instance runner, in those globals"),
    PrivateName(f"{_SANDBOX}._importer:Importer", "new_modules", "check their globals after a run"),
    PrivateName(f"{_SANDBOX}._importer:Importer", "applied", "enter its import restrictions again"),
    PrivateName(f"{_SANDBOX}._importer:Importer", "restriction_context", "switch the restrictions on"),
    # Converters: plain JSON by a faster way.
    PrivateName("temporalio.converter:DataConverter", "_new_payload_converter", "the factory to replace", "31-33, 35"),
    PrivateName(
        "temporalio.converter._payload_converter:_TemporalTransferTypePayloadConverter", "_inner_payload_converter",
        "check that it is the default one", "31-35",
    ),
    PrivateName("temporalio.converter:JSONPlainPayloadConverter", "_encoder", "check that it is the default one"),
    PrivateName("temporalio.converter:JSONPlainPayloadConverter", "_decoder", "check that it is the default one"),
    PrivateName("temporalio.converter:DataConverter", "external_storage", "run it around an activation", "24-35"),
)  # fmt: skip
