"""One sandbox for all runs of a workflow type: its restrictions hold, and its modules are imported once.

The SDK imports the workflow's module anew for each run, so that no run sees what another one did to a module's globals.
Here it is looked at after each run whether it did anything to them. As soon as one does, or as soon as they hold
something that cannot be looked at, its type goes back to a sandbox for each run.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import temporalio.workflow
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner
from temporalio.worker.workflow_sandbox._in_sandbox import InSandbox

_LIMIT = 5000
_UNCHANGING = (
    str, bytes, int, float, complex, bool, type(None), type(Ellipsis), type(NotImplemented), types.BuiltinFunctionType,
    types.ModuleType, types.GenericAlias, types.UnionType, property, range, slice,
)  # fmt: skip


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
        self._names, self._looks = self._look()

    @contextmanager
    def entered(self) -> Iterator[None]:
        context = self.importer.restriction_context
        with self.importer.applied():
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
        return self._looks is not None and self._look() == (self._names, self._looks)

    def _look(self) -> tuple[Any, Any]:
        names, looks, left = [], [], [_LIMIT]
        for name, module in sorted(self.importer.new_modules.items()):
            if self._is_own(name, module):
                names.append((name, [(key, id(value)) for key, value in vars(module).items()]))
                try:
                    looks.append([_look_of(value, left, set()) for value in list(vars(module).values())])
                except _Unclear:
                    return names, None
        return names, looks

    def _is_own(self, name: str, module: Any) -> bool:
        """Modules that are the sandbox's own, as against those that all of the process shares."""
        if name in ("sys", "builtins", "__main__") or not isinstance(module, types.ModuleType):
            return False
        return module is not self._outside().get(name) and not _is_standard(module)

    @staticmethod
    def _outside() -> Any:
        import sys

        return getattr(sys.modules, "orig", sys.modules)


def _is_standard(module: types.ModuleType) -> bool:
    import sys

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


class _Unclear(Exception):
    """Something that may change and does not show it."""


def _look_of(value: Any, left: list[int], seen: set[int]) -> Any:
    """What a value looks like from outside, down to what cannot change."""
    left[0] -= 1
    if left[0] < 0:
        raise _Unclear
    if isinstance(value, _UNCHANGING):
        return id(value)
    if id(value) in seen:
        return None
    seen.add(id(value))
    for kinds, look in _LOOKS:
        if isinstance(value, kinds):
            return look(value, left, seen)
    return _look_of_object(value, left, seen)


def _look_of_each(value: Any, left: list[int], seen: set[int]) -> Any:
    return [(id(one), _look_of(one, left, seen)) for one in value]


def _look_of_mapping(value: Any, left: list[int], seen: set[int]) -> Any:
    return [(id(key), id(one), _look_of(one, left, seen)) for key, one in value.items()]


def _look_of_class(value: type, left: list[int], seen: set[int]) -> Any:
    """Classes are where code likes to keep what it shares; those of other modules are not this sandbox's."""
    if value.__module__.partition(".")[0] in ("builtins", "typing", "temporalio", "google"):
        return id(value)
    hidden = {"__abstractmethods__", "_abc_impl", "__weakref__", "__dict__", "__annotations__"}
    own = {key: one for key, one in vars(value).items() if key not in hidden and not key.startswith("__temporal")}
    return [(key, id(one), _look_of(one, left, seen)) for key, one in own.items()]


def _look_of_function(value: Any, left: list[int], seen: set[int]) -> Any:
    cells = [_cell(cell) for cell in value.__closure__ or ()]
    held = [value.__defaults__, value.__kwdefaults__, vars(value), *cells]
    return [_look_of(one, left, seen) for one in held]


def _cell(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return None


def _look_of_count(value: Any, left: list[int], seen: set[int]) -> Any:
    return repr(value)


def _look_of_object(value: Any, left: list[int], seen: set[int]) -> Any:
    info = getattr(value, "cache_info", None)
    if callable(info):
        return repr(info())
    kind = type(value)
    if kind.__module__ in ("datetime", "decimal", "re", "typing", "uuid", "enum", "fractions", "pathlib", "logging"):
        return id(value)
    slots = [getattr(value, name, None) for one in kind.__mro__ for name in getattr(one, "__slots__", ()) if name]
    held = getattr(value, "__dict__", None)
    if held is None and not slots:
        if hasattr(value, "__next__") or not _is_plain(kind):
            raise _Unclear
        return id(value)
    return [_look_of(held, left, seen), *(_look_of(one, left, seen) for one in slots)]


def _is_plain(kind: type) -> bool:
    """A type without state of its own: an object(), a type variable, a descriptor of a class."""
    return kind is object or kind.__module__ in ("builtins", "typing", "types", "_thread", "temporalio", "__future__")


_LOOKS: tuple[tuple[Any, Callable[..., Any]], ...] = (
    (type, _look_of_class),
    (types.FunctionType, _look_of_function),
    ((list, tuple, collections.deque), _look_of_each),
    ((set, frozenset), lambda value, left, seen: sorted(id(one) for one in value)),
    ((dict, types.MappingProxyType), _look_of_mapping),
    ((staticmethod, classmethod), lambda value, left, seen: _look_of(value.__func__, left, seen)),
    (types.MethodType, lambda value, left, seen: _look_of(value.__self__, left, seen)),
    ((itertools.count, bytearray), _look_of_count),
)


def shared(given: WorkflowRunner | None) -> WorkflowRunner:
    """The runner with its sandbox shared, where it is the SDK's own."""
    if given is None:
        return SharedSandbox(SandboxedWorkflowRunner())
    if type(given) is SandboxedWorkflowRunner:
        return SharedSandbox(dataclasses.replace(given))
    return given
