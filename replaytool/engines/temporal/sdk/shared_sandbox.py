"""Share one sandbox between all runs of a workflow type: the restrictions hold, and modules are imported once.

The SDK imports the workflow's modules for each run, so that no run sees changes of another to their globals. Here the
globals are checked after each run. Once a run changes them, or if they cannot be checked, each run of that type gets
a sandbox of its own.
"""

from __future__ import annotations

import builtins
import dataclasses
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from replaytool.engines.temporal.sdk.private import InSandbox, RestrictedProxy, WorkflowDefinition, set_in_sandbox
from replaytool.replay.isolation.module_state import watch_modules


class SharedSandbox(WorkflowRunner):
    """A runner with one sandbox for each workflow type."""

    def __init__(self, inner: SandboxedWorkflowRunner) -> None:
        self.inner = inner
        self._boxes: dict[type, _SandboxImport] = {}
        self.leaking: set[type] = set()
        """Types whose modules carry state from one run to the next."""

    def prepare_workflow(self, defn: WorkflowDefinition) -> None:
        """Do nothing: the first instance shows whether the module can be imported."""

    def set_worker_level_failure_exception_types(self, types: Sequence[type[BaseException]]) -> None:
        """Pass the types on to the SDK's sandbox."""
        self.inner.set_worker_level_failure_exception_types(types)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """Return an instance in its type's sandbox, or in a sandbox of its own."""
        kind = det.defn.cls
        if kind in self.leaking:
            return self.inner.create_instance(det)
        box = self._boxes.get(kind)
        if box is None:
            first = self.inner.create_instance(det)
            self._boxes[kind] = _SandboxImport(first)
            return first
        return box.create_instance(det)

    def check_after_run(self, kind: type) -> bool:
        """Check the sandbox after a run and return whether the next run can use it."""
        box = self._boxes.get(kind)
        if box is None or box.is_unchanged():
            return True
        del self._boxes[kind]
        self.leaking.add(kind)
        return False

    @contextmanager
    def enter_for_run(self, kind: type) -> Iterator[None]:
        """Enter the sandbox for a whole run instead of for each activation."""
        box = self._boxes.get(kind)
        if box is None:
            yield
            return
        with box.enter_importer():
            yield


class _SandboxImport:
    """A sandbox importer that has imported one workflow's modules, and the state of their globals."""

    def __init__(self, first: Any) -> None:
        self.importer = first.importer
        self.workflow = first.globals_and_locals["__temporal_workflow_class"]
        self.runner = first.globals_and_locals["__temporal_runner_class"]
        self.is_entered = False
        modules = [module for name, module in self.importer.new_modules.items() if self._is_own_module(name, module)]
        self._modules = len(self.importer.new_modules)
        self._watched = watch_modules(modules)

    @contextmanager
    def enter_importer(self) -> Iterator[None]:
        context = self.importer.restriction_context
        with self.importer.applied(), _use_fast_isinstance():
            set_in_sandbox(True)
            context.is_runtime = context.in_activation = self.is_entered = True
            try:
                yield
            finally:
                context.is_runtime = context.in_activation = self.is_entered = False
                set_in_sandbox(False)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        if self.is_entered:
            return _SandboxedInstance(self, InSandbox(det, self.runner, self.workflow), det)
        with self.enter_importer():
            return _SandboxedInstance(self, InSandbox(det, self.runner, self.workflow), det)

    def is_unchanged(self) -> bool:
        """Return whether the modules' globals are unchanged and no module was imported since."""
        if self._watched is None or len(self.importer.new_modules) != self._modules:
            return False
        return self._watched.is_unchanged()

    def _is_own_module(self, name: str, module: Any) -> bool:
        """Return whether a module was imported for the sandbox alone; the rest are shared by the process."""
        if name in ("sys", "builtins", "__main__") or not isinstance(module, types.ModuleType):
            return False
        return module is not self._get_process_modules().get(name) and not _is_stdlib_module(module)

    @staticmethod
    def _get_process_modules() -> Any:
        return getattr(sys.modules, "orig", sys.modules)


@contextmanager
def _use_fast_isinstance() -> Iterator[None]:
    """Speed up `isinstance`: the sandbox replaces it by one that looks for proxies, which takes four calls."""
    careful: Callable[[Any, Any], bool] = builtins.isinstance
    plain = getattr(careful, "orig", None)
    if plain is None:
        yield
        return

    def fast_isinstance(one: Any, kind: Any) -> bool:
        if type(one) is RestrictedProxy or type(kind) is RestrictedProxy:
            return careful(one, kind)
        found: bool = plain(one, kind)
        return found

    builtins.isinstance = fast_isinstance
    try:
        yield
    finally:
        # Another thread may have entered meanwhile and restored the SDK's version, or put its own in place.
        if builtins.isinstance is fast_isinstance:
            builtins.isinstance = careful


def _is_stdlib_module(module: types.ModuleType) -> bool:
    return module.__name__.partition(".")[0] in sys.stdlib_module_names


class _SandboxedInstance(WorkflowInstance):
    """A workflow instance inside a shared sandbox."""

    def __init__(self, box: _SandboxImport, inside: InSandbox, details: WorkflowInstanceDetails) -> None:
        self._box = box
        self._inside = inside
        self._details = details

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        """Run the activation inside the sandbox."""
        return self._call_inside(self._inside.activate, act)  # type: ignore[no-any-return]

    def _call_inside(self, call: Callable[..., Any], *args: Any) -> Any:
        if self._box.is_entered:
            return call(*args)
        with self._box.enter_importer():
            return call(*args)

    def get_serialization_context(self, command_info: Any) -> Any:
        """Ask the instance inside."""
        return self._call_inside(self._inside.get_serialization_context, command_info)

    def get_external_store_context(self, command_info: Any) -> Any:
        """Ask the instance inside."""
        return self._call_inside(self._inside.get_external_store_context, command_info)

    def get_info(self) -> Any:
        """Return the info that the instance was made with."""
        return self._details.info

    def get_thread_id(self) -> int | None:
        """Ask the instance inside."""
        found: int | None = self._inside.instance.get_thread_id()
        return found


def share_sandbox(given: WorkflowRunner | None) -> WorkflowRunner:
    """Return the runner with a shared sandbox; a runner class of the user's is returned as it is."""
    if given is None:
        return SharedSandbox(SandboxedWorkflowRunner())
    if type(given) is SandboxedWorkflowRunner:
        return SharedSandbox(dataclasses.replace(given))
    return given


def enter_sandbox(runner: WorkflowRunner, workflow: type) -> AbstractContextManager[Any]:
    """Enter this workflow's shared sandbox for a whole run; do nothing if the runner shares none."""
    return runner.enter_for_run(workflow) if isinstance(runner, SharedSandbox) else nullcontext()
