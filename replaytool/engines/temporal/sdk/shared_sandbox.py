"""One sandbox for all runs of a workflow type: its restrictions hold, and its modules are imported once.

The SDK imports the workflow's module anew for each run, so that no run sees what another one did to a module's globals.
Here it is looked at after each run whether it did anything to them. As soon as one does, or as soon as they hold
something that cannot be looked at, its type goes back to a sandbox for each run.
"""

from __future__ import annotations

import builtins
import dataclasses
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import temporalio.workflow
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner
from temporalio.worker.workflow_sandbox._in_sandbox import InSandbox
from temporalio.worker.workflow_sandbox._restrictions import _RestrictedProxy

from replaytool.replay.isolation.module_state import watch_modules


class SharedSandbox(WorkflowRunner):
    """A runner with one sandbox per workflow type."""

    def __init__(self, inner: SandboxedWorkflowRunner) -> None:
        self.inner = inner
        self._boxes: dict[type, _Box] = {}
        self.leaking: set[type] = set()
        """Types whose modules remember something from one run to the next."""

    def prepare_workflow(self, defn: temporalio.workflow._Definition) -> None:
        """Nothing: the first instance shows whether the module can be imported."""

    def set_worker_level_failure_exception_types(self, types: Sequence[type[BaseException]]) -> None:
        """As the SDK's sandbox does."""
        self.inner.set_worker_level_failure_exception_types(types)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """An instance in the sandbox that its type has, or in one of its own."""
        kind = det.defn.cls
        if kind in self.leaking:
            return self.inner.create_instance(det)
        box = self._boxes.get(kind)
        if box is None:
            first = self.inner.create_instance(det)
            self._boxes[kind] = _Box(first)
            return first
        return box.instance(det)

    def look_after(self, kind: type) -> bool:
        """To be called after each run of a type: whether its sandbox can be used again."""
        box = self._boxes.get(kind)
        if box is None or box.is_as_it_was():
            return True
        del self._boxes[kind]
        self.leaking.add(kind)
        return False

    @contextmanager
    def entered(self, kind: type) -> Iterator[None]:
        """Stay inside for a whole run, instead of going in and out for each activation."""
        box = self._boxes.get(kind)
        if box is None:
            yield
            return
        with box.entered():
            yield


class _Box:
    """An importer that has imported one workflow's module, and what that module looked like."""

    def __init__(self, first: Any) -> None:
        self.importer = first.importer
        self.workflow = first.globals_and_locals["__temporal_workflow_class"]
        self.runner = first.globals_and_locals["__temporal_runner_class"]
        self.is_entered = False
        modules = [module for name, module in self.importer.new_modules.items() if self._is_own(name, module)]
        self._modules = len(self.importer.new_modules)
        self._watched = watch_modules(modules)

    @contextmanager
    def entered(self) -> Iterator[None]:
        context = self.importer.restriction_context
        with self.importer.applied(), _quick_isinstance():
            temporalio.workflow.unsafe._set_in_sandbox(True)
            context.is_runtime = context.in_activation = self.is_entered = True
            try:
                yield
            finally:
                context.is_runtime = context.in_activation = self.is_entered = False
                temporalio.workflow.unsafe._set_in_sandbox(False)

    def instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        if self.is_entered:
            return _Inside(self, InSandbox(det, self.runner, self.workflow), det)
        with self.entered():
            return _Inside(self, InSandbox(det, self.runner, self.workflow), det)

    def is_as_it_was(self) -> bool:
        """Whether nothing that the modules hold has changed, and nothing was imported later."""
        if self._watched is None or len(self.importer.new_modules) != self._modules:
            return False
        return self._watched.is_unchanged()

    def _is_own(self, name: str, module: Any) -> bool:
        """Modules that are the sandbox's own, as against those that all of the process shares."""
        if name in ("sys", "builtins", "__main__") or not isinstance(module, types.ModuleType):
            return False
        return module is not self._outside().get(name) and not _is_standard(module)

    @staticmethod
    def _outside() -> Any:
        return getattr(sys.modules, "orig", sys.modules)


@contextmanager
def _quick_isinstance() -> Iterator[None]:
    """Inside, the SDK has each `isinstance` look for its proxies in four calls; nearly none has one."""
    careful: Callable[[Any, Any], bool] = builtins.isinstance
    plain = getattr(careful, "orig", None)
    if plain is None:
        yield
        return

    def quick(one: Any, kind: Any) -> bool:
        if type(one) is _RestrictedProxy or type(kind) is _RestrictedProxy:
            return careful(one, kind)
        found: bool = plain(one, kind)
        return found

    builtins.isinstance = quick
    try:
        yield
    finally:
        # Another thread that has come in meanwhile put the careful one back, or its own quick one in place.
        if builtins.isinstance is quick:
            builtins.isinstance = careful


def _is_standard(module: types.ModuleType) -> bool:
    return module.__name__.partition(".")[0] in sys.stdlib_module_names


class _Inside(WorkflowInstance):
    """An instance that lives in a shared sandbox."""

    def __init__(self, box: _Box, inside: InSandbox, details: WorkflowInstanceDetails) -> None:
        self._box = box
        self._inside = inside
        self._details = details

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        """Send the activation in."""
        return self._in(self._inside.activate, act)  # type: ignore[no-any-return]

    def _in(self, call: Callable[..., Any], *args: Any) -> Any:
        if self._box.is_entered:
            return call(*args)
        with self._box.entered():
            return call(*args)

    def get_serialization_context(self, command_info: Any) -> Any:
        """As the instance inside says."""
        return self._in(self._inside.get_serialization_context, command_info)

    def get_external_store_context(self, command_info: Any) -> Any:
        """As the instance inside says."""
        return self._in(self._inside.get_external_store_context, command_info)

    def get_info(self) -> Any:
        """As it was made."""
        return self._details.info

    def get_thread_id(self) -> int | None:
        """As the instance inside says."""
        found: int | None = self._inside.instance.get_thread_id()
        return found


def shared(given: WorkflowRunner | None) -> WorkflowRunner:
    """The runner with its sandbox shared, where it is the SDK's own."""
    if given is None:
        return SharedSandbox(SandboxedWorkflowRunner())
    if type(given) is SandboxedWorkflowRunner:
        return SharedSandbox(dataclasses.replace(given))
    return given


def entered(runner: WorkflowRunner, workflow: type) -> AbstractContextManager[Any]:
    """The sandbox of this workflow, to stay inside for a whole run; nothing where it has none of its own."""
    return runner.entered(workflow) if isinstance(runner, SharedSandbox) else nullcontext()
