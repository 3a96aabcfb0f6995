"""Compile expressions about a workflow and evaluate them at a step of a replay, without changing it.

    expression = parse_expression("points == 0 and trips")       # raises ReplaytoolError for an invalid expression
    outcome = expression.evaluate(ExpressionScope(workflow, main_locals, event, task))
    outcome.holds, outcome.value, outcome.error

An expression sees `self` (the workflow), its attributes as bare names, the local variables of its main coroutine, and
`event` and `task`. Each value is copied before use, so a method that changes the workflow changes a copy. Modules and
the world are out of reach: names are looked up in the workflow and among harmless builtins only.
"""

from __future__ import annotations

import ast
import builtins
import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import CodeType

import msgspec

from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.model.debug_state import StateValue
from replaytool.model.history import Event
from replaytool.replay.inspect_state.safe_copies import Copier, read_attributes
from replaytool.replay.inspect_state.snapshots import Snapshots

SECONDS = 1.0
"""Time limit of one evaluation."""
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
    """`event` in an expression: the event's id, with its type, time, build and raw attributes."""

    event_id: int
    event_type: str
    event_time: str | None
    build_id: str | None
    raw: bytes

    @classmethod
    def from_event(cls, event: Event, build_id: str | None) -> EventFacts:
        """Make it from a recorded event and the build that ran the task before it."""
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
        """The event's type, as the engine spells it."""
        return self.event_type

    @property
    def attributes(self) -> dict[str, object]:
        """The event's attributes as recorded; payloads are not decoded."""
        found = msgspec.json.decode(self.raw)
        return next((value for key, value in found.items() if key.endswith("EventAttributes")), {})


class TaskFacts(int):
    """`task` in an expression: the number of the workflow task, with its event and build."""

    event_id: int
    build_id: str | None

    @classmethod
    def from_task(cls, ordinal: int, event_id: int, build_id: str | None) -> TaskFacts:
        """Make it from a completed task."""
        new = cls(ordinal)
        new.event_id, new.build_id = event_id, build_id
        return new

    @property
    def ordinal(self) -> int:
        """1 for the first task."""
        return int(self)


@dataclass(frozen=True, slots=True)
class ExpressionScope:
    """What an expression sees."""

    workflow: object
    locals: Mapping[str, object] = field(default_factory=dict)
    """Local variables of the main coroutine's innermost function."""
    event: EventFacts | None = None
    task: TaskFacts | None = None


@dataclass(frozen=True, slots=True)
class ExpressionResult:
    """The result of an expression."""

    value: StateValue | None = None
    holds: bool = False
    error: str = ""
    """Why there is no value: an unknown name, an exception, the time limit."""


@dataclass(frozen=True)
class Expression:
    """A compiled expression."""

    text: str
    _code: CodeType = field(repr=False)
    _names: frozenset[str] = field(repr=False)
    _of_self: frozenset[str] | None = field(repr=False)
    """Attributes that it reads from `self`; None if it uses `self` in another way and needs all of it."""

    @property
    def uses_event(self) -> bool:
        """Whether its value can change from event to event while the workflow stays the same."""
        return "event" in self._names

    def evaluate(self, scope: ExpressionScope) -> ExpressionResult:
        """Return its value; it never raises, and stops after SECONDS."""
        from replaytool.replay.isolation.limits import call_with_deadline

        outcome, is_late = call_with_deadline(SECONDS, self._evaluate_unbounded, scope)
        return (
            ExpressionResult(error=f"it takes longer than {SECONDS:g} second")
            if is_late or outcome is None
            else outcome
        )

    def _evaluate_unbounded(self, scope: ExpressionScope) -> ExpressionResult:
        try:
            value = eval(self._code, {"__builtins__": _SAFE, **_NameResolver(self._names, self._of_self, scope).found})
            return ExpressionResult(Snapshots().snapshot_value(value), bool(value))
        except NameError as error:
            return ExpressionResult(error=f"there is no name {error.name!r} here{_suggest_name(error.name, scope)}")
        except Exception as error:
            return ExpressionResult(error=_describe_error(error))


def parse_expression(text: str) -> Expression:
    """Compile an expression; raise ReplaytoolError that says what is wrong with it."""
    if len(text) > _LONGEST:
        raise ReplaytoolError(
            "the expression is too long", f"at most {_LONGEST} characters", code=ErrorCode.DEBUG_EXPRESSION_INVALID
        )
    try:
        tree = ast.parse(text.strip(), "<expression>", "eval")
        code = compile(tree, "<expression>", "eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        why = error.msg if isinstance(error, SyntaxError) else str(error)
        raise ReplaytoolError(
            f"{text!r} is not an expression: {why}",
            'write for example "points == 0 and trips"',
            code=ErrorCode.DEBUG_EXPRESSION_INVALID,
        ) from None
    for node in ast.walk(tree):
        refused = _refusal_reason(node)
        if refused:
            raise ReplaytoolError(
                f"{text!r} cannot be evaluated: {refused}",
                "an expression may only read values",
                code=ErrorCode.DEBUG_EXPRESSION_REFUSED,
            )
    names = frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
    return Expression(text, code, names, _attributes_of_self(tree))


def _refusal_reason(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute) and node.attr.startswith("__"):
        return f"it uses {node.attr}"
    if isinstance(node, ast.Name) and node.id.startswith("__"):
        return f"it uses {node.id}"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _MUTATES:
        return f"it calls {node.func.attr}, which changes something"
    return _REFUSED.get(type(node), "")


def _attributes_of_self(tree: ast.AST) -> frozenset[str] | None:
    asked = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)]
    of_self = [node.attr for node in asked if isinstance(node.value, ast.Name) and node.value.id == "self"]
    uses = sum(isinstance(node, ast.Name) and node.id == "self" for node in ast.walk(tree))
    return frozenset(of_self) if len(of_self) == uses else None


class _NameResolver:
    """Looks up the names of one expression at one step, as copies that share objects."""

    def __init__(self, names: frozenset[str], of_self: frozenset[str] | None, scope: ExpressionScope) -> None:
        self._scope = scope
        self._copier = Copier()
        self._held = dict(read_attributes(scope.workflow))
        self._of_self = of_self
        self._copied: object = None
        self.found = {name: value for name in names for value in self._resolve_name(name)}

    def _resolve_name(self, name: str) -> list[object]:
        """Return the value of a name in a list, or an empty list."""
        scope = self._scope
        if name == "self":
            return [self._copy_self()]
        if name == "event" and scope.event is not None:
            return [scope.event]
        if name == "task" and scope.task is not None:
            return [scope.task]
        if name in self._held:
            return [self._copier.copy_value(self._held[name])]
        if name in scope.locals:
            return [self._copier.copy_value(scope.locals[name])]
        if hasattr(type(scope.workflow), name):
            return [getattr(self._copy_workflow(), name)]
        return []

    def _copy_self(self) -> object:
        """Return the workflow with only the attributes that are read, or all of it if a method may need more."""
        if self._of_self is None or not self._of_self <= self._held.keys():
            return self._copy_workflow()
        part = object.__new__(type(self._scope.workflow))
        for name in self._of_self:
            object.__setattr__(part, name, self._copier.copy_value(self._held[name]))
        return part

    def _copy_workflow(self) -> object:
        if self._copied is None:
            self._copied = self._copier.copy_value(self._scope.workflow)
        return self._copied


def _safe_getattr(value: object, name: str, *default: object) -> object:
    if name.startswith("__"):
        raise AttributeError(f"an expression cannot use {name}")
    return getattr(value, name, *default)


_SAFE = {**_BUILTINS, "getattr": _safe_getattr, "True": True, "False": False, "None": None}


def _suggest_name(name: str | None, scope: ExpressionScope) -> str:
    known = [*(one for one, _ in read_attributes(scope.workflow)), *scope.locals]
    near = difflib.get_close_matches(name or "", known, 1)
    return f", did you mean {near[0]}?" if near else ""


def _describe_error(error: Exception) -> str:
    """Return the exception's message; formatting it may fail as well."""
    try:
        return f"{type(error).__name__}: {error}"[:200]
    except Exception:
        return type(error).__name__
