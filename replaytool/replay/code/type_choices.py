"""Which class replays the runs of a workflow type, when several define it or one cannot be imported."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.replay.code.checkout import path_in_checkout
from replaytool.replay.code.code_spec import split_class_name
from replaytool.replay.code.failed_imports import FailedModule
from replaytool.replay.code.project_reader import ProjectReader

WorkflowCode = type | Callable[..., object]
"""A workflow: a class, or a function in an engine that has functions."""
ServedClasses = Mapping[str | None, frozenset[tuple[str, str]]]
"""By task queue: file and name of each class that a worker of the project registers. None: the queue is computed."""
_MOST_LISTED = 3
_ANY_CLASS = ("", "")
"""Stands for a list of classes that is computed."""


@dataclass(frozen=True)
class TypeCandidate:
    """A class that defines a workflow type."""

    file: str
    name: str
    shown: str = ""
    """The file, relative to its checkout."""
    module: str = ""
    code: WorkflowCode | None = None
    trouble: str = ""
    """Why its module could not be imported."""

    @property
    def line(self) -> str:
        """Return the class and its file."""
        place = f"{self.module}.{self.name}" if self.module else self.name
        return f"{place} ({self.shown})" + (f", which could not be imported: {self.trouble}" if self.trouble else "")

    def is_named_by(self, place: str) -> bool:
        """Return whether `module:Class` or `file.py:Class` means this class."""
        module, name = split_class_name(place)
        is_file = module.endswith(".py") and Path(self.file).as_posix().endswith(f"/{module.removeprefix('./')}")
        return name == self.name and (is_file or self.module == module or module == self.file)


@dataclass(frozen=True)
class EngineWorkflows:
    """The workflows of one engine in the loaded code."""

    named: Mapping[str, WorkflowCode] = field(default_factory=dict)
    dynamic: WorkflowCode | None = None
    """The workflow that handles every other type."""
    undecided: Mapping[str | None, Sequence[TypeCandidate]] = field(default_factory=dict)
    """Types that several classes define; None is the dynamic workflow."""
    obstacles: Mapping[str | None, str] = field(default_factory=dict)
    """Types whose only class could not be imported, and why."""

    @property
    def is_empty(self) -> bool:
        """Return whether nothing was found."""
        return not self.named and self.dynamic is None and not self.undecided

    @property
    def decided_workflows(self) -> list[WorkflowCode]:
        """The workflows that one worker could register together."""
        return [*self.named.values(), *([self.dynamic] if self.dynamic is not None else [])]


def index_workflows(
    found: Iterable[tuple[str | None, WorkflowCode]],
    failed: Iterable[FailedModule] = (),
    chosen: Sequence[WorkflowCode] = (),
    types: Iterable[tuple[str, str]] = (),
) -> EngineWorkflows:
    """Return the workflows by type. What was named, class by class, is preferred to what was found beside it."""
    by_type: dict[str | None, dict[tuple[str, str], TypeCandidate]] = {}
    for name, one in found:
        made = _make_candidate(one)
        by_type.setdefault(name, {}).setdefault((made.file, made.name), made)
    for module in failed:
        for name, class_name in module.workflows or ():
            lost = TypeCandidate(module.path, class_name, module.file, trouble=module.reason)
            by_type.setdefault(name, {}).setdefault((lost.file, lost.name), lost)
    configured = dict(types)
    left = {
        name: _prefer_candidates(list(one.values()), chosen, name, configured.get(name or ""))
        for name, one in by_type.items()
    }
    ready = {name: one[0].code for name, one in left.items() if len(one) == 1 and one[0].code is not None}
    return EngineWorkflows(
        {str(name): one for name, one in sorted(ready.items(), key=str) if name is not None},
        ready.get(None),
        {name: one for name, one in left.items() if len(one) > 1},
        {
            name: f"its module could not be imported: {one[0].shown}: {one[0].trouble}"
            for name, one in left.items()
            if len(one) == 1 and one[0].code is None
        },
    )


def _make_candidate(one: WorkflowCode) -> TypeCandidate:
    module = sys.modules.get(one.__module__)
    file = str(getattr(module, "__file__", None) or one.__module__)
    return TypeCandidate(file, one.__qualname__, path_in_checkout(file), one.__module__, one)


def _prefer_candidates(
    candidates: list[TypeCandidate], chosen: Sequence[WorkflowCode], name: str | None, configured: str | None
) -> list[TypeCandidate]:
    if configured is not None:
        named = [one for one in candidates if one.is_named_by(configured)]
        if not named:
            listed = "".join(f"\n  {one.line}" for one in candidates)
            raise ReplaytoolError(
                f"[tool.replaytool.types] gives workflow {name!r} to {configured}, which does not define it:{listed}",
                "name one of these classes as module:Class",
                code=ErrorCode.CODE_ATTRIBUTE_MISSING,
            )
        return named[:1]
    preferred = [one for one in candidates if one.code is not None and any(one.code is kind for kind in chosen)]
    return preferred or candidates


def make_ambiguity_error(name: str | None, candidates: Sequence[TypeCandidate]) -> ReplaytoolError:
    """Return the error for code of which no type can be replayed, because each is defined more than once."""
    listed = "\n".join(f"  {one.line}" for one in candidates)
    return ReplaytoolError(
        f"{_name_type(name)} is defined more than once:\n{listed}",
        f"{_advise(name, candidates)}, or name one module for each type with --workflows",
        code=ErrorCode.CODE_TYPE_TWICE,
    )


def describe_ambiguity(name: str | None, candidates: Sequence[TypeCandidate], queue: str | None) -> str:
    """Return why the class of a run cannot be known."""
    listed = " and ".join(one.line for one in candidates[:_MOST_LISTED])
    listed += f" and {len(candidates) - _MOST_LISTED} more" if len(candidates) > _MOST_LISTED else ""
    served = f"; no worker of the project tells which of them serves task queue {queue!r}" if queue else ""
    return f"{_name_type(name)} is defined more than once: {listed}{served}; {_advise(name, candidates)}"


def _name_type(name: str | None) -> str:
    return f"workflow {name!r}" if name is not None else "the dynamic workflow"


def _advise(name: str | None, candidates: Sequence[TypeCandidate]) -> str:
    first = next((one for one in candidates if one.module), candidates[0])
    if name is None:
        return "leave one out with --exclude"
    return f'set {name} = "{first.module or first.shown}:{first.name}" in [tool.replaytool.types]'


def choose_candidate(
    candidates: Sequence[TypeCandidate], queue: str | None, served: ServedClasses
) -> TypeCandidate | None:
    """Return the class that the workers of the run's task queue register, if there is exactly one."""
    classes = served.get(queue, frozenset()) | served.get(None, frozenset())
    registered = [one for one in candidates if (one.file, one.name) in classes]
    is_certain = len(registered) == 1 and _ANY_CLASS not in classes
    return registered[0] if is_certain else None


def read_served_classes(reader: ProjectReader) -> ServedClasses:
    """Return which classes the workers of a project register for which task queue."""
    found: dict[str | None, set[tuple[str, str]]] = {}
    for call in reader.setup_calls:
        listed = call.keywords.get(call.names.workflows)
        if call.kind != "worker" or listed is None:
            continue
        queue = reader.read_text(call.keywords.get(call.names.queue), call.file, call.scope)
        objects = reader.list_objects(listed, call.file, call.scope)
        classes = [_ANY_CLASS] if objects is None else [(str(one.file), one.name) for one in objects]
        found.setdefault(queue, set()).update(classes)
    return {queue: frozenset(classes) for queue, classes in found.items()}
