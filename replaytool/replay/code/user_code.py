"""Load the user's workflow code: workflow classes by type, and the settings of the user's worker."""

from __future__ import annotations

import ast
import hashlib
import inspect
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.model.history import Run
from replaytool.model.verdict import CodeInfo
from replaytool.replay import call_site as callsite
from replaytool.replay.code.checkout import path_in_checkout, prefer_checkout, require_checkout_files
from replaytool.replay.code.code_spec import CodeSpec, split_class_name
from replaytool.replay.code.edited_texts import import_edited_texts
from replaytool.replay.code.failed_imports import FailedModule, make_overview_error
from replaytool.replay.code.importing import (
    add_to_path,
    find_foreign_name,
    find_import_root,
    find_module_file,
    import_found_file,
    import_modules,
    import_user_module,
    list_renamed_files,
    redirect_imports,
    user_code_error,
)
from replaytool.replay.code.project_reader import ProjectReader, SetupCalls
from replaytool.replay.code.source_search import SourceSearch
from replaytool.replay.code.type_choices import (
    EngineWorkflows,
    ServedClasses,
    WorkflowCode,
    choose_candidate,
    describe_ambiguity,
    index_workflows,
    make_ambiguity_error,
    read_served_classes,
)
from replaytool.replay.isolation import side_effects as guard


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
    setup_calls: SetupCalls
    """The library's calls that set up workers and clients."""

    def defines_workflows(self, tree: ast.Module) -> bool:
        """Return whether source that names the library defines a workflow. Nothing else of a folder is imported."""
        ...

    def list_workflow_names(self, tree: ast.Module) -> Iterable[tuple[str | None, str]] | None:
        """Return the type and the class of each workflow in this source; None if a type is known only when it runs."""
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
    by_engine: Mapping[str, EngineWorkflows] = field(default_factory=dict)
    """Workflows of each engine whose library the code imports."""
    failed: tuple[FailedModule, ...] = ()
    """Files with workflows that could not be imported."""
    served: ServedClasses = field(default_factory=dict)
    """Which classes the project's workers register, if several classes define one type."""
    _narrowed: dict[object, Code] = field(default_factory=dict, init=False, repr=False, compare=False)

    def workflow_class(self, type_name: str) -> Any:
        """Return the class that a worker would run for this type."""
        found = self.definitions.get(type_name)
        if found is not None or self.dynamic is None:
            return found
        return None if self.find_obstacle(type_name) or self._find_unread_module() else self.dynamic

    def explain_missing(self, type_name: str) -> str:
        """Return why there is no class for this type."""
        obstacle = self.find_obstacle(type_name)
        if obstacle is not None:
            return obstacle
        known = f"no code for workflow type {type_name!r} (known: {', '.join(self.definitions) or 'none'})"
        unread = self._find_unread_module()
        return f"{known}; a module could not be imported: {unread.sentence}" if unread is not None else known

    @property
    def workflow_classes(self) -> list[Any]:
        """All workflows, as a worker gets them."""
        return [*self.definitions.values(), *([self.dynamic] if self.dynamic is not None else [])]

    def find_obstacle(self, type_name: str) -> str | None:
        """Return why no class replays a type that the code does define."""
        for own in self.by_engine.values():
            for name in (type_name, None):
                if name in own.obstacles:
                    return own.obstacles[name]
                if name in own.undecided:
                    return describe_ambiguity(name, own.undecided[name], None)
        return None

    def _find_unread_module(self) -> FailedModule | None:
        """Return a module of which nobody can say which types it defines."""
        return next((one for one in self.failed if one.workflows is None), None)

    def for_run(self, run: Run) -> Code:
        """Return the same code with the workflows of the run's engine alone, and with the class that replays the run.

        Equal choices return one object: replayers are kept for a code.
        """
        own = self.by_engine.get(run.engine, EngineWorkflows())
        if not own.undecided:
            return self if self.by_engine.keys() <= {run.engine} else self._narrow_to(run.engine, None, own)
        is_known = run.workflow_type in {*own.named, *own.obstacles, *own.undecided}
        name = run.workflow_type if is_known else None
        if name not in own.undecided:
            return self._narrow_to(run.engine, None, replace(own, undecided={}))
        one = choose_candidate(own.undecided[name], run.task_queue, self.served)
        if one is None or one.code is None:
            why = describe_ambiguity(name, own.undecided[name], run.task_queue) if one is None else one.line
            lost = replace(own, undecided={}, obstacles={**own.obstacles, run.workflow_type: why})
            return self._narrow_to(run.engine, (run.workflow_type, run.task_queue), lost)
        named = own.named if name is None else {**own.named, name: one.code}
        decided = replace(own, undecided={}, named=named, dynamic=one.code if name is None else own.dynamic)
        return self._narrow_to(run.engine, one, decided)

    def _narrow_to(self, engine: str, choice: object, own: EngineWorkflows) -> Code:
        place = (engine, choice)
        if place not in self._narrowed:
            self._narrowed[place] = replace(self, definitions=own.named, dynamic=own.dynamic, by_engine={engine: own})
        return self._narrowed[place]


def import_code(spec: CodeSpec, finders: Sequence[CodeFinder]) -> Code:
    """Import everything that the spec names; raise ReplaytoolError for what the user must fix."""
    guard.install_hooks()  # before the code is imported: it may bind a clock function by name
    import_edited_texts(spec.edited)
    folder = Path(spec.folder or ".").resolve()
    if spec.instead_of is not None:
        redirect_imports(*map(Path, spec.instead_of))
    loaded_before = frozenset(sys.modules)
    for place in reversed(spec.pythonpath):
        add_to_path((folder / place).resolve())
    _prefer_named_checkouts(spec, folder, finders)
    search = SourceSearch(finders, folder, spec.exclude)
    modules, roots = _import_named_code(spec, folder, search)
    # The code has been imported: an engine whose library is not there has nothing to do with it.
    present = [finder for finder in finders if finder.library in sys.modules]
    given = _worker_settings(spec, folder, finders)
    chosen = _find_named_classes(spec, modules)
    settings, by_engine = _configure_engines(spec, present, modules, given, search.failed, chosen)
    require_checkout_files(loaded_before)
    by_engine = {engine: one for engine, one in by_engine.items() if not one.is_empty}
    if not by_engine:
        raise _make_nothing_found_error(spec, folder, search, present or finders)
    served = _read_served_classes(Path(next(iter(roots), folder)), folder, finders, spec, by_engine)
    definitions = {name: one for own in by_engine.values() for name, one in own.named.items()}
    dynamic = next((one.dynamic for one in by_engine.values() if one.dynamic is not None), None)
    callsite.skip_folders([folder for finder in present for folder in finder.frames_to_skip()])
    info = _describe_code(spec, modules, roots, given, present, search.failed, served)
    types = {name: one.__module__ for name, one in definitions.items()} | ({"": dynamic.__module__} if dynamic else {})
    info = replace(info, types=types)
    return Code(spec, definitions, dynamic, settings, info, roots, by_engine, tuple(search.failed), served)


def _import_named_code(
    spec: CodeSpec, folder: Path, search: SourceSearch
) -> tuple[dict[str, list[ModuleType]], tuple[str, ...]]:
    """Return the modules of each named place, and the folders that they are imported from."""
    found: dict[str, list[ModuleType]] = {}
    roots: set[str] = set()
    for item in (*spec.workflows, *(place for _, place in spec.types)):
        place = split_class_name(item)[0]
        file = (folder / place).resolve()
        if spec.is_found and file.is_file() and item in spec.workflows:
            module = import_found_file(file, search)
            found[item], root = [module] if module is not None else [], find_import_root(place, folder)
        else:
            found[item], root = _import_named_place(place, folder, search)
        roots.add(str(root or folder))
    return found, tuple(sorted(roots))


def _import_named_place(place: str, folder: Path, search: SourceSearch) -> tuple[list[ModuleType], Path | None]:
    """Return the modules of a place; if its own code fails, note which workflows are missing with it."""
    try:
        return import_modules(place, folder, search)
    except ReplaytoolError as error:
        file = find_module_file(place, folder)
        if error.code is not ErrorCode.CODE_IMPORT_FAILED or file is None:
            raise
        inside = list(search.list_files(file.parent)) if file.name == "__init__.py" else []
        for one in inside or [file]:
            search.note_failure(one, error)
        return [], find_import_root(str(file), folder)


def _find_named_classes(spec: CodeSpec, modules: Mapping[str, list[ModuleType]]) -> list[WorkflowCode]:
    """Return the classes that `module:Class` names."""
    chosen: list[WorkflowCode] = []
    for item in modules:
        place, name = split_class_name(item)
        found: Any = modules[item][0] if name and modules[item] else None
        for part in name.split(".") if found is not None else ():
            found = getattr(found, part, None)
        if name and found is None and modules[item]:
            raise ReplaytoolError(
                f"{place} has no class {name}",
                "write module:Class with a class that the module has",
                code=ErrorCode.CODE_ATTRIBUTE_MISSING,
            )
        chosen += [found] if found is not None else []
    return chosen


def _make_nothing_found_error(
    spec: CodeSpec, folder: Path, search: SourceSearch, finders: Sequence[CodeFinder]
) -> ReplaytoolError:
    if search.failed:
        return make_overview_error(search.failed)
    hints = " or ".join(finder.how_to_write for finder in finders)
    passed = search.describe_passed_over(folder)
    return ReplaytoolError(
        f"no workflow found in {', '.join(spec.workflows)}",
        f"a workflow is {hints}" + (f"; passed over: {passed}; name a file to import it" if passed else ""),
        code=ErrorCode.CODE_NO_WORKFLOW,
    )


def _read_served_classes(
    root: Path,
    folder: Path,
    finders: Sequence[CodeFinder],
    spec: CodeSpec,
    by_engine: Mapping[str, EngineWorkflows],
) -> ServedClasses:
    """Read the project's workers if a type has several classes; fail if then no run at all can be replayed."""
    undecided = [pair for one in by_engine.values() for pair in one.undecided.items()]
    if not undecided:
        return {}
    start = folder if root.is_relative_to(folder) else root
    place = next((one for one in (start, *start.parents) if (one / "pyproject.toml").is_file()), start)
    served = read_served_classes(ProjectReader(place, finders, spec.exclude))
    if not served and not any(one.named or one.dynamic for one in by_engine.values()):
        raise make_ambiguity_error(*undecided[0])
    return served


def _describe_code(
    spec: CodeSpec,
    modules: Mapping[str, list[ModuleType]],
    roots: tuple[str, ...],
    given: Mapping[str, Any],
    present: Sequence[CodeFinder],
    failed: Sequence[FailedModule],
    served: ServedClasses,
) -> CodeInfo:
    names = tuple(dict.fromkeys(module.__name__ for group in modules.values() for module in group))
    files = _user_files(roots)
    parts = [finder.release() for finder in present] + [one.sentence for one in failed]
    parts += [repr(spec.edited)] * bool(spec.edited)
    named = (spec.converter, spec.plugins, spec.interceptors)
    parts += (
        [repr(named)] * any(named) + [repr(spec.types)] * bool(spec.types) + [_describe_served(served)] * bool(served)
    )
    return CodeInfo(
        names,
        fingerprint_code(roots, files, given.keys() - {"workflows"}, " ".join(parts)),
        list_loaded_files(names, files),
        files,
        roots=roots,
        not_imported=tuple(one.sentence for one in failed),
        renamed=list_renamed_files(),
    )


def _describe_served(served: ServedClasses) -> str:
    named = {str(queue): sorted((path_in_checkout(file), name) for file, name in one) for queue, one in served.items()}
    return repr(sorted(named.items()))


def _configure_engines(
    spec: CodeSpec,
    finders: Sequence[CodeFinder],
    modules: Mapping[str, list[ModuleType]],
    given: Mapping[str, Any],
    failed: Sequence[FailedModule],
    chosen: Sequence[WorkflowCode],
) -> tuple[dict[str, Any], dict[str, EngineWorkflows]]:
    """Return the settings in force, and each engine's workflows."""
    by_engine: dict[str, EngineWorkflows] = {}
    settings = dict(given)
    named = settings.pop("workflows", ())
    for finder in finders:
        found = list(_list_workflows(finder, modules, chosen))
        found += [(finder.name_workflow(one), one) for one in named]
        own = by_engine[finder.engine] = index_workflows(found, failed, chosen, spec.types)
        try:
            settings = finder.configure_settings(settings, own.decided_workflows)
        except Exception as error:  # a plugin of the user's
            origin = f"a plugin of replayer {spec.replayer!r}" if spec.replayer else "the converter or a plugin"
            raise user_code_error(f"{origin} failed", error) from error
        if "workflows" in settings:
            left = index_workflows((finder.name_workflow(one), one) for one in settings.pop("workflows"))
            by_engine[finder.engine] = replace(own, named=left.named, dynamic=left.dynamic)
    return settings, by_engine


def _list_workflows(
    finder: CodeFinder, modules: Mapping[str, list[ModuleType]], chosen: Sequence[WorkflowCode]
) -> Iterator[tuple[str | None, WorkflowCode]]:
    """Yield the workflows of the modules; where one class was named, only this class of its module."""
    for item, group in modules.items():
        is_class = bool(split_class_name(item)[1])
        for module in group:
            for name, one in finder.find_workflows(module):
                if not is_class or any(one is kind for kind in chosen):
                    yield name, one


def _prefer_named_checkouts(spec: CodeSpec, folder: Path, finders: Sequence[CodeFinder]) -> None:
    named = [split_class_name(item)[0] for item in (*spec.workflows, *(place for _, place in spec.types))]
    places = [folder, *(find_import_root(item, folder) or folder for item in named)]
    places += [place for one in spec.pythonpath if (place := (folder / one).resolve()).is_dir()]
    foreign = [finder.library for finder in finders]
    foreign += [name for item in named if (name := find_foreign_name(item, folder)) is not None]
    prefer_checkout(places, foreign, spec.instead_of)


def _user_files(roots: tuple[str, ...]) -> dict[str, str]:
    """Return the user's loaded modules and their files."""
    callsite.claim_user_folders(roots)
    found = {name: str(getattr(module, "__file__", None) or "") for name, module in list(sys.modules.items())}
    return {name: file for name, file in sorted(found.items()) if file.endswith(".py") and callsite.is_user_file(file)}


def _worker_settings(spec: CodeSpec, folder: Path, finders: Sequence[CodeFinder]) -> dict[str, Any]:
    known = frozenset(name for finder in finders for name in finder.settings)
    settings = _settings_from_function(spec.replayer, folder, known) if spec.replayer else {}
    if spec.converter and "data_converter" not in settings:
        settings["data_converter"] = _load_attribute(spec.converter, folder, "converter")
    for what, names in (("plugins", spec.plugins), ("interceptors", spec.interceptors)):
        found = [one for name in names for one in _load_objects(name, folder, what)]
        if found:
            already: Any = settings.get(what, ())
            settings[what] = [*already, *found]
    return settings


def _load_objects(name: str, folder: Path, what: str) -> list[object]:
    """Return an object, the objects of a list, or those that a class or a function makes."""
    found = _load_attribute(name, folder, what)
    if isinstance(found, type) or inspect.isroutine(found):
        try:
            found = found()
        except Exception as error:  # the user's class or function
            raise user_code_error(f"{what} {name!r} failed", error) from error
    return list(found) if isinstance(found, list | tuple) else [found]


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
    found: object = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            raise ReplaytoolError(
                f"{place} has no attribute {attribute!r}",
                f"set {what} to a name that the module has",
                code=ErrorCode.CODE_ATTRIBUTE_MISSING,
            )
        found = getattr(found, part)
    return found


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
