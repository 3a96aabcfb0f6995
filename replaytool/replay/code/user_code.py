"""Load the user's workflow code: workflow classes by type, and the settings of the user's worker."""

from __future__ import annotations

import ast
import hashlib
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.model.verdict import CodeInfo
from replaytool.replay import call_site as callsite
from replaytool.replay.code.checkout import path_in_checkout, prefer_checkout, require_checkout_files
from replaytool.replay.code.importing import (
    add_to_path,
    find_foreign_name,
    find_import_root,
    import_modules,
    import_user_module,
    redirect_imports,
    user_code_error,
)
from replaytool.replay.code.source_search import SourceSearch
from replaytool.replay.isolation import side_effects as guard

WorkflowCode = type | Callable[..., object]
"""A workflow: a class, or a function in an engine that has functions."""
Definitions = tuple[Mapping[str, WorkflowCode], WorkflowCode | None]
"""Workflows by type, and the one that handles every other type."""


class CodeFinder(Protocol):
    """How an engine's workflow code is found, and told from library code."""

    engine: str
    """As runs have it."""
    library: str
    """The top package that workflow code imports. A file of a folder that never names it is not read."""
    how_to_write: str
    """What a workflow looks like, for the error when none was found."""
    settings: frozenset[str]
    """What a `replayer` function may return."""

    def defines_workflows(self, tree: ast.Module) -> bool:
        """Return whether source that names the library defines a workflow. Nothing else of a folder is imported."""
        ...

    def find_workflows(self, module: ModuleType) -> Iterable[tuple[str | None, WorkflowCode]]:
        """Yield each workflow in a module with its type name; None is the one that takes every type."""
        ...

    def name_workflow(self, workflow: object) -> str | None:
        """Return the type name of a workflow that a `replayer` function gave."""
        ...

    def configure_settings(self, settings: Mapping[str, Any], workflows: Sequence[Any]) -> dict[str, Any]:
        """Return the settings after the user's plugins have changed them, and `workflows` with those that they add."""
        ...

    def release(self) -> str:
        """Return the library's name and release: verdicts depend on them."""
        ...

    def frames_to_skip(self) -> Sequence[str]:
        """Return the folders of the library: their lines are never a call site."""
        ...


@dataclass(frozen=True, slots=True)
class CodeSpec:
    """Where the code is: everything that a worker process needs to load the same code."""

    workflows: tuple[str, ...]
    """Dotted modules, packages, files and folders."""
    replayer: str | None = None
    """`module:function` that returns keyword arguments for the SDK's Replayer."""
    converter: str | None = None
    """`module:attribute` of a data converter, if no replayer function gives one."""
    folder: str = ""
    """Base of relative paths and names; "" is the current folder."""
    instead_of: tuple[str, str] | None = None
    """A tree and another checkout of it: imports from the first are redirected to the second."""


@dataclass(frozen=True)
class Code:
    """Loaded code."""

    spec: CodeSpec
    definitions: Mapping[str, WorkflowCode] = field(default_factory=dict)
    dynamic: WorkflowCode | None = None
    """The workflow that handles every type without a workflow of its own."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Keyword arguments for the SDK's Replayer."""
    info: CodeInfo = field(default_factory=CodeInfo)
    roots: tuple[str, ...] = ()
    by_engine: Mapping[str, Definitions] = field(default_factory=dict)
    """Definitions and the dynamic workflow of each engine whose library the code imports."""

    def workflow_class(self, type_name: str) -> Any:
        """Return the class that a worker would run for this type."""
        return self.definitions.get(type_name) or self.dynamic

    @property
    def workflow_classes(self) -> list[Any]:
        """All workflows, as a worker gets them."""
        return [*self.definitions.values(), *([self.dynamic] if self.dynamic is not None else [])]

    def for_engine(self, engine: str) -> Code:
        """Return the same code with the workflows of one engine alone."""
        if self.by_engine.keys() <= {engine}:
            return self
        definitions, dynamic = self.by_engine.get(engine, ({}, None))
        return replace(self, definitions=definitions, dynamic=dynamic, by_engine={engine: (definitions, dynamic)})


def import_code(spec: CodeSpec, finders: Sequence[CodeFinder]) -> Code:
    """Import everything that the spec names; raise ReplaytoolError for what the user must fix."""
    guard.install_hooks()  # before the code is imported: it may bind a clock function by name
    folder = Path(spec.folder or ".").resolve()
    if spec.instead_of is not None:
        redirect_imports(*map(Path, spec.instead_of))
    loaded_before = frozenset(sys.modules)
    _prefer_named_checkouts(spec, folder, finders)
    search = SourceSearch(finders)
    found = [import_modules(item, folder, search) for item in spec.workflows]
    modules = [module for group, _ in found for module in group]
    roots = tuple(sorted({str(root) for _, root in found}))
    # The code has been imported: an engine whose library is not there has nothing to do with it.
    present = [finder for finder in finders if finder.library in sys.modules]
    given = _worker_settings(spec, folder, finders)
    settings, by_engine = _configure_engines(spec, present, modules, given)
    require_checkout_files(loaded_before)
    by_engine = {engine: one for engine, one in by_engine.items() if one[0] or one[1] is not None}
    if not by_engine:
        hints = " or ".join(finder.how_to_write for finder in present or finders)
        passed = search.describe_passed_over(folder)
        raise ReplaytoolError(
            f"no workflow found in {', '.join(spec.workflows)}",
            f"a workflow is {hints}" + (f"; passed over: {passed}; name a file to import it" if passed else ""),
            code=ErrorCode.CODE_NO_WORKFLOW,
        )
    definitions = {name: one for own, _ in by_engine.values() for name, one in own.items()}
    dynamic = next((one for _, one in by_engine.values() if one is not None), None)
    names = tuple(dict.fromkeys(module.__name__ for module in modules))
    types = {name: one.__module__ for name, one in definitions.items()} | ({"": dynamic.__module__} if dynamic else {})
    callsite.skip_folders([folder for finder in present for folder in finder.frames_to_skip()])
    releases = " ".join(finder.release() for finder in present)
    files = _user_files(roots)
    info = CodeInfo(
        names,
        fingerprint_code(roots, files, given.keys() - {"workflows"}, releases),
        list_loaded_files(names, files),
        files,
        types,
        roots,
    )
    return Code(spec, definitions, dynamic, settings, info, roots, by_engine)


def _configure_engines(
    spec: CodeSpec, finders: Sequence[CodeFinder], modules: list[ModuleType], given: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Definitions]]:
    """Return the settings in force, and each engine's workflows."""
    by_engine: dict[str, Definitions] = {}
    settings = dict(given)
    named = settings.pop("workflows", ())
    for finder in finders:
        found = [pair for module in modules for pair in finder.find_workflows(module)]
        found += [(finder.name_workflow(one), one) for one in named]
        workflows = by_engine[finder.engine] = _index_by_type(found)
        types = [*workflows[0].values(), *([workflows[1]] if workflows[1] is not None else [])]
        try:
            settings = finder.configure_settings(settings, types)
        except Exception as error:  # a plugin of the user's
            raise user_code_error(f"a plugin of replayer {spec.replayer!r} failed", error) from error
        if "workflows" in settings:
            by_engine[finder.engine] = _index_by_type(
                [(finder.name_workflow(one), one) for one in settings.pop("workflows")]
            )
    return settings, by_engine


def _prefer_named_checkouts(spec: CodeSpec, folder: Path, finders: Sequence[CodeFinder]) -> None:
    places = [folder, *(find_import_root(item, folder) or folder for item in spec.workflows)]
    foreign = [finder.library for finder in finders]
    foreign += [name for item in spec.workflows if (name := find_foreign_name(item, folder)) is not None]
    prefer_checkout(places, foreign, spec.instead_of)


def _user_files(roots: tuple[str, ...]) -> dict[str, str]:
    """Return the user's loaded modules and their files."""
    callsite.claim_user_folders(roots)
    found = {name: str(getattr(module, "__file__", None) or "") for name, module in list(sys.modules.items())}
    return {name: file for name, file in sorted(found.items()) if file.endswith(".py") and callsite.is_user_file(file)}


def _index_by_type(
    found: Iterable[tuple[str | None, WorkflowCode]],
) -> Definitions:
    named: dict[str | None, dict[tuple[str, str], WorkflowCode]] = {}
    for name, one in found:
        named.setdefault(name, {}).setdefault(_definition_place(one), one)
    for name, versions in named.items():
        if len(versions) > 1:
            listed = "\n".join(
                f"  {one.__module__}.{one.__qualname__} ({_definition_place(one)[0]})" for one in versions.values()
            )
            what = f"workflow {name!r}" if name else "the dynamic workflow"
            raise ReplaytoolError(
                f"{what} is defined more than once:\n{listed}",
                "name one module for each type: --workflows takes modules and files as well as folders",
                code=ErrorCode.CODE_TYPE_TWICE,
            )
    first = {name: next(iter(versions.values())) for name, versions in named.items()}
    dynamic = first.pop(None, None)
    return {str(name): one for name, one in sorted(first.items(), key=str)}, dynamic


def _definition_place(one: WorkflowCode) -> tuple[str, str]:
    module = sys.modules.get(one.__module__)
    return (str(getattr(module, "__file__", None) or one.__module__), one.__qualname__)


def _worker_settings(spec: CodeSpec, folder: Path, finders: Sequence[CodeFinder]) -> dict[str, Any]:
    known = frozenset(name for finder in finders for name in finder.settings)
    settings = _settings_from_function(spec.replayer, folder, known) if spec.replayer else {}
    if spec.converter and "data_converter" not in settings:
        settings["data_converter"] = _load_attribute(spec.converter, folder, "converter")
    return settings


def _settings_from_function(name: str, folder: Path, known: frozenset[str]) -> dict[str, object]:
    function = _load_attribute(name, folder, "replayer")
    if not callable(function):
        raise ReplaytoolError(
            f"replayer {name!r} is not a function",
            "name a function that returns the Replayer's keyword arguments",
            code=ErrorCode.CODE_REPLAYER,
        )
    given = _call_settings_function(name, function)
    if not isinstance(given, Mapping):
        raise ReplaytoolError(
            f"replayer {name!r} returned {type(given).__name__}, not a mapping",
            "return for example {'data_converter': …, 'interceptors': […]}",
            code=ErrorCode.CODE_REPLAYER,
        )
    unknown = sorted(set(given) - known)
    if unknown:
        raise ReplaytoolError(
            f"replayer {name!r} returned unknown arguments: {', '.join(unknown)}",
            f"the Replayer takes {', '.join(sorted(known))}",
            code=ErrorCode.CODE_REPLAYER,
        )
    return dict(given)


def _call_settings_function(name: str, function: Callable[[], object]) -> object:
    try:
        return function()
    except Exception as error:  # the user's function
        raise user_code_error(f"replayer {name!r} failed", error) from error


def _load_attribute(name: str, folder: Path, what: str) -> object:
    place, _, attribute = name.rpartition(":")
    if not place or not attribute:
        raise ReplaytoolError(
            f"{what} {name!r} is not of the form module:attribute",
            f'write {what} = "module:name"',
            code=ErrorCode.CODE_ATTRIBUTE_FORM,
        )
    add_to_path(folder)
    is_file = place.endswith(".py")
    module = import_modules(place, folder, SourceSearch(()))[0][0] if is_file else import_user_module(place)
    if not hasattr(module, attribute):
        raise ReplaytoolError(
            f"{place} has no attribute {attribute!r}",
            f"set {what} to a name that the module has",
            code=ErrorCode.CODE_ATTRIBUTE_MISSING,
        )
    return getattr(module, attribute)


def list_loaded_files(names: Sequence[str], files: Mapping[str, str]) -> tuple[str, ...]:
    """Return the loaded files relative to their checkout: those of the named modules first."""
    named = [files[name] for name in names if name in files]
    return tuple(dict.fromkeys(path_in_checkout(file) for file in (*named, *sorted(files.values()))))


def fingerprint_code(roots: tuple[str, ...], files: Mapping[str, str], settings: Iterable[str], releases: str) -> str:
    """Return an id of the code: all loaded files of the user, the settings, and the engines' releases."""

    def stable_name(name: str, file: str) -> str:
        root = next((one for one in roots if file.startswith(one + os.sep)), None)
        return name if root is None else file[len(root) :]

    total = hashlib.sha256(f"{releases} {sorted(settings)}\n".encode())
    for place, file in sorted((stable_name(name, file), file) for name, file in files.items()):
        total.update(f"{place}\n".encode())
        total.update(hashlib.sha256(Path(file).read_bytes()).digest())
    return total.hexdigest()[:32]
