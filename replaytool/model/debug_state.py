"""The replayed side of a run: what its code held, waited for and asked for at each event, as values.

How a front end asks, all of it through the session:

    code = session.code_map(workflows=("app.workflows",), builds={"v2": "old/v2.py"})   # or git=True
    walk = session.walk(run, code, progress=tell)     # returns at once; children replay behind it
    walk.at(28)                       Moment    the state just after event 28
    walk.between(24, 28)              Difference    what has changed from one to the other, forwards or backwards
    walk.watch("len(trips)")          Watched   its value at every step
    walk.find("points == 0 and trips")    Found     the first step where it holds, and the last where it did not
    walk.blame("points", 40)          Blame     the event, build and line that last changed it, as seen from event 40
    walk.parts()                      tuple[Part, ...]    where the builds' states part
    walk.source("v2", "app/wf.py")    Source    a file as it is in that build
    walk.header                       what to say above it all: which code serves which build
    walk.cancel()                     whatever is being answered ends as `cancelled`; the walk goes on
    walk.close()                      ends the children, removes what was checked out for them

Questions wait for their answer, so screens ask on a thread of their own; any thread may ask, and `cancel` and `close`
may be called from any other. The states are recorded once, so `at` takes a millisecond afterwards; `watch`, `find` and
`blame` replay the run again with the expression in place. What goes wrong in a replay is an answer: look at `trouble`.
Only what a person must mend is raised, as `ReplaytoolError`: an expression with bad syntax, an event that is not
there, code that cannot be loaded.

All of it is plain data that crosses from a child process, and says nothing of live objects: see `Value`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from replaytool.model.verdict import CallSite

Scalar = str | int | float | bool | None
Kind = Literal["scalar", "list", "map", "object", "opaque", "again"]
_TEXT = 120


class Value(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What stood somewhere in a workflow, copied as far as it can be, and bounded in every direction."""

    type: str
    """The name of its type: int, list, Standing."""
    kind: Kind = "scalar"
    """`opaque`: it cannot be copied, or has no place left; `again`: it holds itself, and is shown further out."""
    scalar: Scalar = None
    """The value itself where it is a scalar; a text about it where it is opaque."""
    items: tuple[Item, ...] = ()
    size: int = 0
    """How many items it has, or how many characters; more than are here where it was cut."""

    @property
    def text(self) -> str:
        """One short line, for lists and titles; not yet made safe for a terminal."""
        return "".join(_spelled(self, [_TEXT]))

    @property
    def is_cut(self) -> bool:
        """Whether there was more than is here."""
        held = len(self.scalar) if isinstance(self.scalar, str) else len(self.items)
        return self.kind in ("scalar", "list", "map", "object") and self.size > held

    def plain(self) -> Any:
        """As JSON writes it: scalars, lists and objects; what is opaque is its type in angle brackets."""
        if self.kind == "scalar":
            return self.scalar
        if self.kind == "list":
            return [item.value.plain() for item in self.items]
        if self.kind in ("map", "object"):
            return {item.label: item.value.plain() for item in self.items}
        return f"<{self.type}>"

    def __getitem__(self, label: str) -> Value:
        """The item with this label; KeyError where there is none."""
        for item in self.items:
            if item.label == label:
                return item.value
        raise KeyError(label)


class Item(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A part of a value, with what leads to it: an attribute's name, a key, an index."""

    label: str
    value: Value


class Trouble(msgspec.Struct, frozen=True):
    """Why an answer is not whole."""

    kind: Literal["failed", "diverged", "crashed", "cancelled", "unverified", "no code"]
    message: str
    event_id: int | None = None
    call_site: CallSite | None = None


class Line(msgspec.Struct, frozen=True):
    """One line of the user's that a coroutine stands at, and the local variables of its function."""

    file: str
    line: int
    function: str
    locals: Value


class Frame(msgspec.Struct, frozen=True):
    """One waiting coroutine."""

    kind: Literal["main", "signal", "update", "task"]
    name: str
    """The workflow's type, the handler's name, or the function that a gathered task runs."""
    lines: tuple[Line, ...]
    """The innermost first: where it waits, then what called that."""
    begun_at: CallSite | None = None
    """For a task, the line that began it."""

    @property
    def call_site(self) -> CallSite:
        """Where it waits, with the chain of callers."""
        first, *rest = [CallSite(one.file, one.line, one.function) for one in self.lines]
        return CallSite(first.file, first.line, first.function, tuple(rest))

    @property
    def locals(self) -> Value:
        """The variables of the function that waits."""
        return self.lines[0].locals


class Issued(msgspec.Struct, frozen=True):
    """A command that the code issued in a task, and the event that records it."""

    kind: str
    name: str
    event_id: int | None
    """None: no event of the record matched it."""
    call_site: CallSite | None = None


class Moment(msgspec.Struct, frozen=True):
    """The replayed side of a run just after one event: the state that the newest completed task left behind."""

    event_id: int
    task: int
    """The ordinal of that task; 0 where none has completed yet."""
    task_event_id: int = 0
    """Its WorkflowTaskCompleted."""
    build_id: str | None = None
    """The build that completed that task, and whose code this is the state of."""
    code: str = ""
    """What that code is called: `v2 (old/v2.py)`, `app.workflows`, `v2 (commit 3f2a9c1)`."""
    state: Value = Value("", "object")
    """The attributes of the workflow object."""
    frames: tuple[Frame, ...] = ()
    """The coroutines that wait: main first, then handlers, then tasks."""
    commands: tuple[Issued, ...] = ()
    """What the code asked for in that task."""
    command: Issued | None = None
    """Where the event records a command: that one."""
    next: tuple[Issued, ...] = ()
    """Past the last completed task, where the record ends: what the code would ask for next."""
    pending_until: int | None = None
    """Where the code has not seen this event yet: the WorkflowTaskCompleted of the task that will show it."""
    trouble: Trouble | None = None


class ChangeAt(msgspec.Struct, frozen=True):
    """One path in the state or the variables that is not what it was; None on the side where it is not there."""

    path: str
    """`points`, `trips[2]`, `standing.level`, `run.km` for a variable of a coroutine."""
    before: Value | None
    after: Value | None


class Difference(msgspec.Struct, frozen=True):
    """From one event to another; backwards, the first stands behind the second."""

    before: int
    after: int
    state: tuple[ChangeAt, ...] = ()
    variables: tuple[ChangeAt, ...] = ()
    trouble: Trouble | None = None


class Seen(msgspec.Struct, frozen=True):
    """An expression at one step."""

    event_id: int
    build_id: str | None
    value: Value | None
    """None where it cannot be evaluated there."""
    error: str = ""
    holds: bool = False
    """Whether it is true there, as Python takes it."""


class Watched(msgspec.Struct, frozen=True):
    """An expression at every step of a run: at each completed task, or at each event if it speaks of `event`."""

    expression: str
    steps: tuple[Seen, ...] = ()
    trouble: Trouble | None = None

    @property
    def changes(self) -> Iterator[Seen]:
        """The steps at which it was not what it was at the step before."""
        before: tuple[Value | None, str] | None = None
        for step in self.steps:
            if (step.value, step.error) != before:
                yield step
            before = (step.value, step.error)


class Found(msgspec.Struct, frozen=True):
    """Where an expression holds for the first time."""

    expression: str
    event_id: int | None = None
    """None: it holds at no step."""
    build_id: str | None = None
    call_site: CallSite | None = None
    """The line after which it held."""
    last_false: int | None = None
    """The step just before, where it did not hold; None where it holds from the first step on."""
    until: int | None = None
    """The last step of this stretch; it holds at all steps from `event_id` to there."""
    error: str = ""
    """Why it could be evaluated at no step, if so."""
    trouble: Trouble | None = None


class Blame(msgspec.Struct, frozen=True):
    """What last changed a value."""

    path: str
    event_id: int | None = None
    """The completed task after which it was what it is; None where the path leads to nothing."""
    build_id: str | None = None
    call_site: CallSite | None = None
    """The line that did it, in the code of that build."""
    ran_at: int | None = None
    """The task in which that line ran: an earlier one where a new build replayed what an old one had done."""
    before: Value | None = None
    after: Value | None = None
    error: str = ""
    """Why the path leads to nothing there, if so."""
    trouble: Trouble | None = None


class Part(msgspec.Struct, frozen=True):
    """Another build took the run over, and its code makes another state of what had happened before."""

    event_id: int
    """The first task that the build completed."""
    build_id: str | None
    previous: str | None
    parted_at: int
    """The first task at which the states that the two builds make are not equal."""
    changes: tuple[ChangeAt, ...]
    """What the one had and what the other has instead, of the same history."""

    @property
    def words(self) -> str:
        """One sentence for each thing that differs: under v2 points went from 120 to 0."""
        told = [
            f"{one.path} went from {one.before.text if one.before else 'nothing'} "
            f"to {one.after.text if one.after else 'nothing'}"
            for one in self.changes[:5]
        ]
        more = f" and {len(self.changes) - 5} more" if len(self.changes) > 5 else ""
        return f"under {self.build_id or 'the next build'} {', '.join(told)}{more}"


class Source(msgspec.Struct, frozen=True):
    """A file of the code."""

    file: str
    text: str = ""
    trouble: Trouble | None = None


class Progress(msgspec.Struct, frozen=True):
    """How far a replay is."""

    code: str
    events: int
    of: int


def changed(before: Value | None, after: Value | None, path: str = "") -> Iterator[ChangeAt]:
    """What is not the same in two values, as deep down as it can be told."""
    if before == after:
        return
    if before is None or after is None or not before.items or not after.items or before.kind != after.kind:
        yield ChangeAt(path, before, after)
        return
    was, now = ({item.label: item.value for item in value.items} for value in (before, after))
    for label in {**was, **now}:
        yield from changed(was.get(label), now.get(label), _joined(path, label, before.kind))


def _joined(path: str, label: str, kind: Kind) -> str:
    if kind == "list":
        return path + label
    if kind == "map":
        return f"{path}[{label!r}]"
    return f"{path}.{label}" if path else label


def _spelled(value: Value, room: list[int]) -> Iterator[str]:
    """The value piece by piece, until there is no room left on the line."""
    if value.kind in ("opaque", "again", "scalar"):
        text = _leaf(value)
        yield text if len(text) <= room[0] else text[: max(room[0], 0)] + "…"
        room[0] -= len(text)
        return
    brackets = _BRACKETS[value.kind]
    yield (value.type if value.kind == "object" else "") + brackets[0]
    for number, item in enumerate(value.items):
        if room[0] <= 0:
            yield "…"
            break
        yield ", " * bool(number) + _LABELS[value.kind].format(item.label)
        room[0] -= len(item.label) + 2
        yield from _spelled(item.value, room)
    else:
        if value.is_cut:
            yield f", … {value.size} in all"
    yield brackets[1]


def _leaf(value: Value) -> str:
    if value.kind == "again":
        return f"<{value.type}, shown further out>"
    if value.kind == "opaque":
        return f"<{value.type}>" if value.scalar is None else str(value.scalar)
    return repr(value.scalar)


_BRACKETS = {"list": "[]", "map": "{}", "object": "()"}
_LABELS = {"list": "", "map": "{}: ", "object": "{}="}
