"""What replayed code held, waited for and issued at each event of a run, as plain values.

A front end asks for them through the session:

    code = session.find_code_map(workflows=("app.workflows",), builds={"v2": "old/v2.py"})   # or git=True
    walk = session.open_walk(run, code, progress=tell)     # returns at once; child processes replay
    walk.at(28)                       ReplayedState       the state just after event 28
    walk.between(24, 28)              StateDifference     what changed between two events, forward or back
    walk.watch("len(trips)")          WatchResult         the value at every step
    walk.find("points == 0 and trips")    ExpressionHit   the first step where it is true, and the last where it is not
    walk.blame("points", 40)          Blame     the event, build and line that last changed it, as seen from event 40
    walk.parts()                      tuple[BuildSplit, ...]    where the states of two builds differ
    walk.source("v2", "app/wf.py")    SourceFile    a file as it is in that build
    walk.header                       which code replays which build
    walk.cancel()                     ends the current question as `cancelled`; the walk stays usable
    walk.close()                      ends the child processes, removes their checkouts

Questions block, so a screen asks on a thread of its own. Any thread may ask; `cancel` and `close` may be called from
any other. States are recorded once, so `at` takes a millisecond afterwards; `watch`, `find` and `blame` replay the run
again. A replay that fails is an answer with `trouble`. Only what the user must fix raises `ReplaytoolError`:
a syntax error in an expression, an unknown event, code that cannot be loaded.

All values are plain data from a child process; none holds a live object (see `StateValue`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from replaytool.model.verdict import CallSite

Scalar = str | int | float | bool | None
Kind = Literal["scalar", "list", "map", "object", "opaque", "again"]
_TEXT = 120


class StateValue(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A copy of one value in a workflow, as deep as it can be copied, with limits on depth, items and length."""

    type: str
    """The name of its type: int, list, Standing."""
    kind: Kind = "scalar"
    """`opaque`: it cannot be copied, or a limit is reached; `again`: it contains itself and is shown further out."""
    scalar: Scalar = None
    """The value of a scalar, or a text about an opaque value."""
    items: tuple[ValueItem, ...] = ()
    size: int = 0
    """How many items or characters it has. More than `items` or `scalar` holds if it was cut."""

    @property
    def text(self) -> str:
        """Return one short line for lists and titles. It is not yet safe for a terminal."""
        return "".join(_text_pieces(self, [_TEXT]))

    @property
    def is_cut(self) -> bool:
        """Return whether the copy holds less than the original."""
        held = len(self.scalar) if isinstance(self.scalar, str) else len(self.items)
        return self.kind in ("scalar", "list", "map", "object") and self.size > held

    def to_plain_data(self) -> Any:
        """Return the value as JSON data; an opaque value becomes its type in angle brackets."""
        if self.kind == "scalar":
            return self.scalar
        if self.kind == "list":
            return [item.value.to_plain_data() for item in self.items]
        if self.kind in ("map", "object"):
            return {item.label: item.value.to_plain_data() for item in self.items}
        return f"<{self.type}>"

    def __getitem__(self, label: str) -> StateValue:
        """Return the item with this label. Raise KeyError if there is none."""
        for item in self.items:
            if item.label == label:
                return item.value
        raise KeyError(label)


class ValueItem(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One part of a value, labelled with an attribute's name, a key or an index."""

    label: str
    value: StateValue


class Trouble(msgspec.Struct, frozen=True):
    """Why an answer is incomplete."""

    kind: Literal["failed", "diverged", "crashed", "cancelled", "unverified", "no code"]
    message: str
    event_id: int | None = None
    call_site: CallSite | None = None


class SourceLine(msgspec.Struct, frozen=True):
    """A line of user code where a coroutine waits, with the local variables of its function."""

    file: str
    line: int
    function: str
    locals: StateValue


class CoroutineFrame(msgspec.Struct, frozen=True):
    """One waiting coroutine."""

    kind: Literal["main", "signal", "update", "task"]
    name: str
    """The workflow type, the handler's name, or the function that a gathered task runs."""
    lines: tuple[SourceLine, ...]
    """Innermost first: where it waits, then its callers."""
    begun_at: CallSite | None = None
    """For a task, the line that started it."""

    @property
    def call_site(self) -> CallSite:
        """Return the line where it waits, with its callers."""
        first, *rest = [CallSite(one.file, one.line, one.function) for one in self.lines]
        return CallSite(first.file, first.line, first.function, tuple(rest))

    @property
    def locals(self) -> StateValue:
        """Return the variables of the innermost function."""
        return self.lines[0].locals


class IssuedCommand(msgspec.Struct, frozen=True):
    """A command that the code issued in a task, and the event that records it."""

    kind: str
    name: str
    event_id: int | None
    """None: no recorded event matched it."""
    call_site: CallSite | None = None


class ReplayedState(msgspec.Struct, frozen=True):
    """The replayed state just after one event: what the newest completed workflow task left behind."""

    event_id: int
    task: int
    """The ordinal of that task; 0 if none has completed yet."""
    task_event_id: int = 0
    """The event that completed that task."""
    build_id: str | None = None
    """The build that completed that task. The state is computed with its code."""
    code: str = ""
    """How that code is called: `v2 (old/v2.py)`, `app.workflows`, `v2 (commit 3f2a9c1)`."""
    state: StateValue = StateValue("", "object")
    """The attributes of the workflow object."""
    frames: tuple[CoroutineFrame, ...] = ()
    """The waiting coroutines: main first, then handlers, then tasks."""
    commands: tuple[IssuedCommand, ...] = ()
    """The commands that the code issued in that task."""
    command: IssuedCommand | None = None
    """The command that this event records, if it records one."""
    next: tuple[IssuedCommand, ...] = ()
    """After the last completed task, at the end of the record: what the code would issue next."""
    pending_until: int | None = None
    """If the code has not seen this event yet: the event that completes the task which shows it."""
    trouble: Trouble | None = None


class PathChange(msgspec.Struct, frozen=True):
    """One path whose value changed; None on the side where the path does not exist."""

    path: str
    """`points`, `trips[2]`, `standing.level`, `run.km` for a variable of a coroutine."""
    before: StateValue | None
    after: StateValue | None


class StateDifference(msgspec.Struct, frozen=True):
    """What changed from one event to another; `before` may be the later event."""

    before: int
    after: int
    state: tuple[PathChange, ...] = ()
    variables: tuple[PathChange, ...] = ()
    trouble: Trouble | None = None


class ExpressionValue(msgspec.Struct, frozen=True):
    """The value of an expression at one step."""

    event_id: int
    build_id: str | None
    value: StateValue | None
    """None if it cannot be evaluated there."""
    error: str = ""
    holds: bool = False
    """Whether the value is true in Python's sense."""


class WatchResult(msgspec.Struct, frozen=True):
    """An expression at every completed task, or at every event if it uses `event`."""

    expression: str
    steps: tuple[ExpressionValue, ...] = ()
    trouble: Trouble | None = None

    @property
    def changed_steps(self) -> Iterator[ExpressionValue]:
        """Yield the steps whose value differs from the step before."""
        before: tuple[StateValue | None, str] | None = None
        for step in self.steps:
            if (step.value, step.error) != before:
                yield step
            before = (step.value, step.error)


class ExpressionHit(msgspec.Struct, frozen=True):
    """The first step at which an expression is true."""

    expression: str
    event_id: int | None = None
    """None: it is true at no step."""
    build_id: str | None = None
    call_site: CallSite | None = None
    """The line that made it true."""
    last_false: int | None = None
    """The step before, where it was not true; None if it is true from the first step on."""
    until: int | None = None
    """The last step of this stretch. It is true at all steps from `event_id` to this one."""
    error: str = ""
    """Why it could not be evaluated at any step."""
    trouble: Trouble | None = None


class Blame(msgspec.Struct, frozen=True):
    """The event and line that last changed a value."""

    path: str
    event_id: int | None = None
    """The completed task that gave the value; None if the path does not exist."""
    build_id: str | None = None
    call_site: CallSite | None = None
    """The line that changed it, in the code of that build."""
    ran_at: int | None = None
    """The task in which that line ran. It is an earlier one if a new build replayed the work of an old one."""
    before: StateValue | None = None
    after: StateValue | None = None
    error: str = ""
    """Why the path does not exist there."""
    trouble: Trouble | None = None


class BuildSplit(msgspec.Struct, frozen=True):
    """A build took over the run, and its code computes another state from the same history."""

    event_id: int
    """The first task that the new build completed."""
    build_id: str | None
    previous: str | None
    parted_at: int
    """The first task after which the states of the two builds differ."""
    changes: tuple[PathChange, ...]
    """The state of the previous build and of the new one, path by path."""

    @property
    def words(self) -> str:
        """Return one sentence: under v2 points went from 120 to 0."""
        told = [
            f"{one.path} went from {one.before.text if one.before else 'nothing'} "
            f"to {one.after.text if one.after else 'nothing'}"
            for one in self.changes[:5]
        ]
        more = f" and {len(self.changes) - 5} more" if len(self.changes) > 5 else ""
        return f"under {self.build_id or 'the next build'} {', '.join(told)}{more}"


class SourceFile(msgspec.Struct, frozen=True):
    """A file of user code."""

    file: str
    text: str = ""
    trouble: Trouble | None = None


class ReplayProgress(msgspec.Struct, frozen=True):
    """How far a replay is."""

    code: str
    events: int
    of: int


def compare_values(before: StateValue | None, after: StateValue | None, path: str = "") -> Iterator[PathChange]:
    """Yield what differs between two values, as deep down as possible."""
    if before == after:
        return
    if before is None or after is None or not before.items or not after.items or before.kind != after.kind:
        yield PathChange(path, before, after)
        return
    was, now = ({item.label: item.value for item in value.items} for value in (before, after))
    for label in {**was, **now}:
        yield from compare_values(was.get(label), now.get(label), _join_path(path, label, before.kind))


def _join_path(path: str, label: str, kind: Kind) -> str:
    if kind == "list":
        return path + label
    if kind == "map":
        return f"{path}[{label!r}]"
    return f"{path}.{label}" if path else label


def _text_pieces(value: StateValue, room: list[int]) -> Iterator[str]:
    """Yield the text piece by piece until the line is full."""
    if value.kind in ("opaque", "again", "scalar"):
        text = _leaf_text(value)
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
        yield from _text_pieces(item.value, room)
    else:
        if value.is_cut:
            yield f", … {value.size} in all"
    yield brackets[1]


def _leaf_text(value: StateValue) -> str:
    if value.kind == "again":
        return f"<{value.type}, shown further out>"
    if value.kind == "opaque":
        return f"<{value.type}>" if value.scalar is None else str(value.scalar)
    return repr(value.scalar)


_BRACKETS = {"list": "[]", "map": "{}", "object": "()"}
_LABELS = {"list": "", "map": "{}: ", "object": "{}="}
