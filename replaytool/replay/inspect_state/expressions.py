"""Expressions about a workflow: compiled once, evaluated at a step of a replay, and unable to change it.

    expression = parse("points == 0 and trips")       # ReplaytoolError for what is no expression
    outcome = expression.evaluate(Scope(workflow, main_locals, event, task))
    outcome.holds, outcome.value, outcome.error

They see `self` (the workflow), its attributes as bare names, the local variables of its main coroutine, and `event` and
`task`. What stands behind a name is copied before it is used, and only that; so an expression that calls a method which
does change the workflow has changed a copy. What stands beside the workflow (the modules, the world) is out of reach:
names are looked up in the workflow and among harmless builtins, and nowhere else.
"""

from __future__ import annotations

import ast
import builtins
import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

import msgspec

from replaytool.errors import ReplaytoolError
from replaytool.model.debug_state import Value
from replaytool.replay.inspect_state.safe_copies import Copier, attributes
from replaytool.replay.inspect_state.snapshots import Snapshots

SECONDS = 1.0
"""How long one evaluation may take."""
_LONGEST = 2000
_BUILTINS = {
    name: getattr(builtins, name)
    for name in (
        "abs", "all", "any", "bin", "bool", "bytes", "chr", "dict", "divmod", "enumerate", "filter", "float", "format",
        "frozenset", "hasattr", "hash", "hex", "int", "isinstance", "issubclass", "len", "list", "map", "max", "min",
        "next", "oct", "ord", "pow", "range", "repr", "reversed", "round", "set", "slice", "sorted", "str", "sum",
        "tuple", "type", "zip",
    )
}  # fmt: skip
_MUTATES = {
    "append", "appendleft", "extend", "extendleft", "insert", "pop", "popleft", "popitem", "remove", "clear", "discard",
    "setdefault", "sort", "reverse", "put_nowait", "get_nowait", "acquire", "release", "set_result", "cancel",
}  # fmt: skip
_REFUSED: dict[type[ast.AST], str] = {
    ast.NamedExpr: "it assigns with :=",
    ast.Await: "it awaits",
    ast.Yield: "it yields",
    ast.YieldFrom: "it yields",
}


class EventFacts(int):
    """`event` in an expression: the event's id, which knows its type, time, build and raw attributes."""

    event_id: int
    event_type: str
    event_time: str | None
    build_id: str | None
    raw: bytes

    @classmethod
    def of(cls, event: Any, build_id: str | None) -> EventFacts:
        """Made of a recorded event, and of who ran the task before it."""
        new = cls(event.event_id)
        for name in ("event_id", "event_type", "event_time", "raw"):
            setattr(new, name, getattr(event, name))
        new.build_id = build_id
        return new

    @property
    def id(self) -> int:
        """The event's id."""
        return int(self)

    @property
    def type(self) -> str:
        """The event's type, as `TimerFired`."""
        return self.event_type

    @property
    def attributes(self) -> dict[str, Any]:
        """What the record says about it; payloads are not decoded."""
        found = msgspec.json.decode(self.raw)
        return next((value for key, value in found.items() if key.endswith("EventAttributes")), {})


class TaskFacts(int):
    """`task` in an expression: the task's ordinal, which knows its events and its build."""

    event_id: int
    build_id: str | None

    @classmethod
    def of(cls, ordinal: int, event_id: int, build_id: str | None) -> TaskFacts:
        """Made of a completed task."""
        new = cls(ordinal)
        new.event_id, new.build_id = event_id, build_id
        return new

    @property
    def ordinal(self) -> int:
        """1 for the first task."""
        return int(self)


@dataclass(frozen=True, slots=True)
class Scope:
    """What an expression sees."""

    workflow: Any
    locals: Mapping[str, Any] = field(default_factory=dict)
    """Of the main coroutine's innermost function."""
    event: EventFacts | None = None
    task: TaskFacts | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an expression came to."""

    value: Value | None = None
    holds: bool = False
    error: str = ""
    """Why it came to nothing: a name that is not there yet, a comparison that cannot be made, too much time."""


@dataclass(frozen=True)
class Expression:
    """An expression, compiled."""

    text: str
    _code: CodeType = field(repr=False)
    _names: frozenset[str] = field(repr=False)
    _of_self: frozenset[str] | None = field(repr=False)
    """The attributes asked of `self`; None where it is used in another way, so that all of it is needed."""

    @property
    def speaks_of_event(self) -> bool:
        """Whether it can change from one event to the next, while the workflow does not."""
        return "event" in self._names

    def evaluate(self, scope: Scope) -> Outcome:
        """Its value there; never an exception, and never for long."""
        from replaytool.replay.isolation.limits import bounded

        outcome: Outcome | None
        outcome, is_late = bounded(SECONDS, self._evaluated, scope)
        return Outcome(error=f"it takes longer than {SECONDS:g} second") if is_late or outcome is None else outcome

    def _evaluated(self, scope: Scope) -> Outcome:
        try:
            value = eval(self._code, {"__builtins__": _SAFE, **_Names(self._names, self._of_self, scope).found})
            return Outcome(Snapshots().value(value), bool(value))
        except NameError as error:
            return Outcome(error=f"there is no name {error.name!r} here{_near(error.name, scope)}")
        except Exception as error:
            return Outcome(error=_words(error))


def parse(text: str) -> Expression:
    """Compile it, or say what is wrong with it."""
    if len(text) > _LONGEST:
        raise ReplaytoolError("the expression is too long", f"at most {_LONGEST} characters")
    try:
        tree = ast.parse(text.strip(), "<expression>", "eval")
        code = compile(tree, "<expression>", "eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        why = error.msg if isinstance(error, SyntaxError) else str(error)
        raise ReplaytoolError(f"{text!r} is no expression: {why}", 'for example "points == 0 and trips"') from None
    for node in ast.walk(tree):
        refused = _why_refused(node)
        if refused:
            raise ReplaytoolError(f"{text!r} cannot be evaluated: {refused}", "an expression only looks")
    names = frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
    return Expression(text, code, names, _asked_of_self(tree))


def _why_refused(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute) and node.attr.startswith("__"):
        return f"it reaches for {node.attr}"
    if isinstance(node, ast.Name) and node.id.startswith("__"):
        return f"it reaches for {node.id}"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _MUTATES:
        return f"it calls {node.func.attr}, which changes something"
    return _REFUSED.get(type(node), "")


def _asked_of_self(tree: ast.AST) -> frozenset[str] | None:
    asked = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)]
    of_self = [node.attr for node in asked if isinstance(node.value, ast.Name) and node.value.id == "self"]
    uses = sum(isinstance(node, ast.Name) and node.id == "self" for node in ast.walk(tree))
    return frozenset(of_self) if len(of_self) == uses else None


class _Names:
    """What the names of one expression lead to at one step, as copies that belong together."""

    def __init__(self, names: frozenset[str], of_self: frozenset[str] | None, scope: Scope) -> None:
        self._scope = scope
        self._copier = Copier()
        self._held = dict(attributes(scope.workflow))
        self._of_self = of_self
        self._copied: Any = None
        self.found = {name: value for name in names for value in self._value(name)}

    def _value(self, name: str) -> list[Any]:
        """The one value of a name, or none."""
        scope = self._scope
        if name == "self":
            return [self._self()]
        if name == "event" and scope.event is not None:
            return [scope.event]
        if name == "task" and scope.task is not None:
            return [scope.task]
        if name in self._held:
            return [self._copier.copy(self._held[name])]
        if name in scope.locals:
            return [self._copier.copy(scope.locals[name])]
        if hasattr(type(scope.workflow), name):
            return [getattr(self._whole(), name)]
        return []

    def _self(self) -> Any:
        """The workflow with what is asked of it; with everything where a method may ask for more."""
        if self._of_self is None or not self._of_self <= self._held.keys():
            return self._whole()
        part = object.__new__(type(self._scope.workflow))
        for name in self._of_self:
            object.__setattr__(part, name, self._copier.copy(self._held[name]))
        return part

    def _whole(self) -> Any:
        if self._copied is None:
            self._copied = self._copier.copy(self._scope.workflow)
        return self._copied


def _getattr(value: Any, name: str, *default: Any) -> Any:
    if name.startswith("__"):
        raise AttributeError(f"an expression cannot reach for {name}")
    return getattr(value, name, *default)


_SAFE = {**_BUILTINS, "getattr": _getattr, "True": True, "False": False, "None": None}


def _near(name: str | None, scope: Scope) -> str:
    known = [*(one for one, _ in attributes(scope.workflow)), *scope.locals]
    near = difflib.get_close_matches(name or "", known, 1)
    return f", did you mean {near[0]}?" if near else ""


def _words(error: Exception) -> str:
    """What an exception says, as long as saying it does not fail as well."""
    try:
        return f"{type(error).__name__}: {error}"[:200]
    except Exception:
        return type(error).__name__
