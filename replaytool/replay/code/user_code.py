"""The workflow code to replay: found, imported, and told by type name, with what the user's worker is made with."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from replaytool.errors import ReplaytoolError
from replaytool.model.verdict import CodeInfo
from replaytool.replay.code.importing import imported, in_user_code, look_elsewhere, modules_of, on_path
from replaytool.replay.isolation import side_effects as guard

_SETTINGS = {
    "data_converter", "debug_mode", "disable_safe_workflow_eviction", "header_codec_behavior", "identity",
    "interceptors", "namespace", "plugins", "runtime", "unsandboxed_workflow_runner", "workflow_task_executor",
    "workflow_failure_exception_types", "workflow_runner", "build_id", "workflows",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class CodeSpec:
    """Where the code is. It says all that a child process must know to load the same."""

    workflows: tuple[str, ...]
    """Dotted modules, packages, files and folders."""
    replayer: str | None = None
    """`module:function`, which returns what the SDK's Replayer is to be made with."""
    converter: str | None = None
    """`module:attribute` of a data converter, where no replayer function gives one."""
    folder: str = ""
    """What relative paths and names start from; "" is the current folder."""
    instead_of: tuple[str, str] | None = None
    """A tree and another checkout of it: what the import path has in the one is looked up in the other."""


@dataclass(frozen=True)
class Code:
    """Code that is loaded."""

    spec: CodeSpec
    definitions: Mapping[str, type] = field(default_factory=dict)
    dynamic: type | None = None
    """The workflow that takes every type which no other one has."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Keyword arguments for the SDK's Replayer."""
    info: CodeInfo = field(default_factory=CodeInfo)
    roots: tuple[str, ...] = ()

    def workflow(self, type_name: str) -> type | None:
        """The class that a worker would take for this type."""
        return self.definitions.get(type_name) or self.dynamic


def load(spec: CodeSpec) -> Code:
    """Import all that the spec names; raises ReplaytoolError for what a person must mend."""
    guard.install()  # before the code is there: it may import a clock by name
    folder = Path(spec.folder or ".").resolve()
    if spec.instead_of is not None:
        look_elsewhere(*map(Path, spec.instead_of))
    found = [modules_of(item, folder) for item in spec.workflows]
    modules = [module for group, _ in found for module in group]
    roots = tuple(sorted({str(root) for _, root in found}))
    settings = _settings(spec, folder)
    classes = [*(one for module in modules for one in _classes(module)), *settings.pop("workflows", ())]
    definitions, dynamic = _by_type(classes)
    if not definitions and dynamic is None:
        raise ReplaytoolError(
            f"no workflow was found in {', '.join(spec.workflows)}", "a workflow is a class with @workflow.defn"
        )
    names = tuple(dict.fromkeys(module.__name__ for module in modules))
    types = {name: one.__module__ for name, one in definitions.items()} | ({"": dynamic.__module__} if dynamic else {})
    info = CodeInfo(names, fingerprint(roots, modules, settings), _files(roots), types, roots)
    return Code(spec, definitions, dynamic, settings, info, roots)


def _files(roots: tuple[str, ...]) -> dict[str, str]:
    """The user's modules that are loaded now."""
    from replaytool.replay import call_site as callsite

    callsite.claim(roots)
    found = {name: str(getattr(module, "__file__", None) or "") for name, module in list(sys.modules.items())}
    return {name: file for name, file in sorted(found.items()) if file.endswith(".py") and callsite.is_users(file)}


def _classes(module: ModuleType) -> list[type]:
    """The workflows that a module holds, its own and those that it takes from elsewhere."""
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type) and "__temporal_workflow_definition" in vars(value)
    ]


def _by_type(classes: list[type]) -> tuple[dict[str, type], type | None]:
    named: dict[str | None, dict[tuple[str, str], type]] = {}
    for one in classes:
        name = vars(one)["__temporal_workflow_definition"].name
        named.setdefault(name, {}).setdefault(_place(one), one)
    for name, versions in named.items():
        if len(versions) > 1:
            listed = "\n".join(f"  {one.__module__}.{one.__qualname__} ({_place(one)[0]})" for one in versions.values())
            what = f"workflow {name!r}" if name else "the dynamic workflow"
            raise ReplaytoolError(
                f"{what} is there more than once:\n{listed}",
                "name one module for each type: --workflows takes modules and files as well as folders",
            )
    first = {name: next(iter(versions.values())) for name, versions in named.items()}
    dynamic = first.pop(None, None)
    return {str(name): one for name, one in sorted(first.items(), key=str)}, dynamic


def _place(one: type) -> tuple[str, str]:
    module = sys.modules.get(one.__module__)
    return (str(getattr(module, "__file__", None) or one.__module__), one.__qualname__)


def _settings(spec: CodeSpec, folder: Path) -> dict[str, Any]:
    settings = _from_function(spec.replayer, folder) if spec.replayer else {}
    if spec.converter and "data_converter" not in settings:
        settings["data_converter"] = _attribute(spec.converter, folder, "converter")
    return settings


def _from_function(name: str, folder: Path) -> dict[str, Any]:
    function = _attribute(name, folder, "replayer")
    if not callable(function):
        raise ReplaytoolError(f"replayer {name!r} is no function", "it must return the Replayer's keyword arguments")
    given = _called(name, function)
    if not isinstance(given, Mapping):
        raise ReplaytoolError(
            f"replayer {name!r} returned {type(given).__name__}, not a mapping",
            "return for example {'data_converter': …, 'interceptors': […]}",
        )
    unknown = sorted(set(given) - _SETTINGS)
    if unknown:
        raise ReplaytoolError(
            f"replayer {name!r} returned what no Replayer takes: {', '.join(unknown)}",
            f"it takes {', '.join(sorted(_SETTINGS))}",
        )
    return dict(given)


def _called(name: str, function: Callable[[], Any]) -> Any:
    try:
        return function()
    except Exception as error:  # the user's function
        raise in_user_code(f"replayer {name!r} failed", error) from error


def _attribute(name: str, folder: Path, what: str) -> Any:
    place, _, attribute = name.rpartition(":")
    if not place or not attribute:
        raise ReplaytoolError(f"{what} {name!r} is no module:attribute", f'write {what} = "module:name"')
    on_path(folder)
    module = modules_of(place, folder)[0][0] if place.endswith(".py") else imported(place)
    if not hasattr(module, attribute):
        raise ReplaytoolError(f"{place} has no {attribute!r}", f"{what} must name something in the module")
    return getattr(module, attribute)


def fingerprint(roots: tuple[str, ...], modules: list[ModuleType], settings: Mapping[str, Any]) -> str:
    """One word for the code: the sources of all that is loaded from its folders, the settings, and the SDK."""
    import temporalio

    files = {str(getattr(module, "__file__", None) or "") for module in modules}
    files |= {str(getattr(module, "__file__", None) or "") for module in list(sys.modules.values())}
    own = sorted(
        file for file in files if file.endswith(".py") and file.startswith(tuple(one + os.sep for one in roots))
    )
    total = hashlib.sha256(f"temporalio {temporalio.__version__} {sorted(settings)}\n".encode())
    for file in own:
        root = next(one for one in roots if file.startswith(one + os.sep))
        total.update(f"{file[len(root) :]}\n".encode())
        total.update(hashlib.sha256(Path(file).read_bytes()).digest())
    return total.hexdigest()[:32]
