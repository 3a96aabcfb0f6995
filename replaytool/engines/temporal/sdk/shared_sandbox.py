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
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, ParamSpec, TypeVar

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner
from temporalio.workflow import Info

from replaytool.engines.temporal.sdk.private import InSandbox, RestrictedProxy, SandboxInstance, set_in_sandbox
from replaytool.engines.temporal.sdk.recording_runner import LazyRunner
from replaytool.replay.isolation.module_state import watch_modules

_P = ParamSpec("_P")
_T = TypeVar("_T")


class SharedSandbox(LazyRunner):
    """A runner with one sandbox for each workflow type."""

    def __init__(self, inner: SandboxedWorkflowRunner) -> None:
        super().__init__(inner)
        self._imports: dict[type, _SandboxImport] = {}
        self.leaking: set[type] = set()
        """Types whose modules carry state from one run to the next."""

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """Return an instance in its type's sandbox, or in a sandbox of its own."""
        kind = det.defn.cls
        if kind in self.leaking:
            return self.inner.create_instance(det)
        found = self._imports.get(kind)
        if found is None:
            first = self.inner.create_instance(det)
            assert isinstance(first, SandboxInstance), "only the SDK's own sandbox is shared"
            self._imports[kind] = _SandboxImport(first)
            return first
        return found.create_instance(det)

    def check_after_run(self, kind: type) -> bool:
        """Check the sandbox after a run and return whether the next run can use it."""
        found = self._imports.get(kind)
        if found is None or found.is_unchanged():
            return True
        del self._imports[kind]
        self.leaking.add(kind)
        return False

    def enter_for_run(self, kind: type) -> AbstractContextManager[None]:
        """Enter the sandbox for a whole run instead of for each activation."""
        found = self._imports.get(kind)
        return found.enter_importer() if found is not None else nullcontext()


class _SandboxImport:
    """A sandbox importer that has imported one workflow's modules, and the state of their globals."""

    def __init__(self, first: SandboxInstance) -> None:
        self._importer = first.importer
        names: dict[str, Any] = first.globals_and_locals
        self._workflow, self._runner = names["__temporal_workflow_class"], names["__temporal_runner_class"]
        self.is_entered = False
        modules = self._importer.new_modules
        self._module_count = len(modules)
        self._watched = watch_modules([module for name, module in modules.items() if _is_own_module(name, module)])

    @contextmanager
    def enter_importer(self) -> Iterator[None]:
        context = self._importer.restriction_context
        with self._importer.applied(), _use_fast_isinstance():
            set_in_sandbox(True)
            context.is_runtime = context.in_activation = self.is_entered = True
            try:
                yield
            finally:
                context.is_runtime = context.in_activation = self.is_entered = False
                set_in_sandbox(False)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        inside = self.call_inside(InSandbox, det, self._runner, self._workflow)
        return _SandboxedInstance(self, inside, det.info)

    def call_inside(self, call: Callable[_P, _T], *args: _P.args, **options: _P.kwargs) -> _T:
        if self.is_entered:
            return call(*args, **options)
        with self.enter_importer():
            return call(*args, **options)

    def is_unchanged(self) -> bool:
        """Return whether the modules' globals are unchanged and no module was imported since."""
        if self._watched is None or len(self._importer.new_modules) != self._module_count:
            return False
        return self._watched.is_unchanged()


def _is_own_module(name: str, module: object) -> bool:
    """Return whether a module was imported for the sandbox alone; the rest are shared by the process."""
    if name in ("sys", "builtins", "__main__") or not isinstance(module, types.ModuleType):
        return False
    # Inside, the SDK puts a wrapper in place of `sys.modules`, and the process's modules are its `orig`.
    of_process = getattr(sys.modules, "orig", sys.modules)
    is_stdlib = module.__name__.partition(".")[0] in sys.stdlib_module_names
    return module is not of_process.get(name) and not is_stdlib


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


class _SandboxedInstance(WorkflowInstance):
    """A workflow instance inside a shared sandbox."""

    def __init__(self, imported: _SandboxImport, inside: InSandbox, info: Info) -> None:
        self._call_inside = imported.call_inside
        self._inside = inside
        self._info = info

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        """Run the activation inside the sandbox."""
        return self._call_inside(self._inside.activate, act)

    def get_serialization_context(self, command_info: Any) -> Any:
        """Ask the instance inside."""
        return self._call_inside(self._inside.get_serialization_context, command_info)

    def get_external_store_context(self, command_info: Any) -> Any:
        """Ask the instance inside."""
        return self._call_inside(self._inside.get_external_store_context, command_info)

    def get_info(self) -> Info:
        """Return the info that the instance was made with."""
        return self._info

    def get_thread_id(self) -> int | None:
        """Ask the instance inside."""
        return self._inside.instance.get_thread_id()


def share_sandbox(given: WorkflowRunner) -> WorkflowRunner:
    """Return the runner with a shared sandbox; a runner class of the user's is returned as it is."""
    return SharedSandbox(dataclasses.replace(given)) if type(given) is SandboxedWorkflowRunner else given


def enter_sandbox(runner: WorkflowRunner, workflow: type | None) -> AbstractContextManager[None]:
    """Enter this workflow's shared sandbox for a whole run; do nothing if the runner shares none."""
    if isinstance(runner, SharedSandbox) and workflow is not None:
        return runner.enter_for_run(workflow)
    return nullcontext()


def check_sandbox(runner: WorkflowRunner, workflow: type | None) -> None:
    """Check after a run whether the next one can use this workflow's shared sandbox."""
    if isinstance(runner, SharedSandbox) and workflow is not None:
        runner.check_after_run(workflow)
