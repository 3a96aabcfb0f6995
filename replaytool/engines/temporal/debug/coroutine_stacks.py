"""Capture where a workflow's coroutines wait: the user's frames, innermost first, with their variables."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from types import CoroutineType, FrameType, GeneratorType
from typing import Literal

from replaytool.engines.temporal.sdk.recorder import RecordingInstance
from replaytool.model.debug_state import CoroutineFrame, SourceLine
from replaytool.model.verdict import CallSite
from replaytool.replay import call_site as callsite
from replaytool.replay.inspect_state.snapshots import Snapshots

_DEEPEST = 60
_KINDS: dict[str, Literal["signal", "update"]] = {"signal: ": "signal", "update: ": "update"}


def capture_frames(instance: RecordingInstance, snapshots: Snapshots) -> tuple[CoroutineFrame, ...]:
    """Return the coroutines that wait in user code: main first, then handlers, then tasks."""
    found = []
    for number, (task, begun_at) in enumerate(instance.waiting_tasks()):
        lines = tuple(
            _capture_line(frame, (number, depth), snapshots) for depth, frame in enumerate(user_frames(task.get_coro()))
        )
        if lines:
            found.append(_build_frame(instance, task, lines, begun_at))
    return tuple(sorted(found, key=lambda frame: _ORDER.index(frame.kind)))


_ORDER = ("main", "signal", "update", "task")


def _build_frame(
    instance: RecordingInstance, task: asyncio.Task[object], lines: tuple[SourceLine, ...], begun_at: CallSite | None
) -> CoroutineFrame:
    if task is instance._primary_task:
        return CoroutineFrame("main", instance._info.workflow_type, lines)
    # The SDK names a handler's task "signal: NAME (workflow: TYPE, id: ID, run: RUN)"; nothing else tells it apart.
    called = task.get_name().partition(" (workflow: ")[0]
    for prefix, kind in _KINDS.items():
        if called.startswith(prefix):
            return CoroutineFrame(kind, called.removeprefix(prefix), lines)
    return CoroutineFrame("task", lines[-1].function, lines, begun_at)


def _capture_line(frame: FrameType, whose: tuple[int, int], snapshots: Snapshots) -> SourceLine:
    code = frame.f_code
    held = snapshots.snapshot_names(whose, code.co_name, frame_variables(frame))
    return SourceLine(callsite.relative_path(code.co_filename), frame.f_lineno, callsite.function_name(code), held)


def frame_variables(frame: FrameType) -> Iterator[tuple[str, object]]:
    """Yield the variables of a frame."""
    return ((name, value) for name, value in frame.f_locals.items() if name != "self" and name[:1] not in ".@")


def main_coroutine_variables(instance: RecordingInstance) -> dict[str, object]:
    """Return the variables of the main coroutine. If two functions have the same name for one, the inner one wins."""
    task = instance._primary_task
    if task is None:
        return {}
    inner_last = reversed(list(user_frames(task.get_coro())))
    return dict(itertools.chain.from_iterable(frame_variables(frame) for frame in inner_last))


def user_frames(coroutine: object) -> Iterator[FrameType]:
    """Return the user's frames down the chain of awaits, innermost first."""
    found: list[FrameType] = []
    for _ in range(_DEEPEST):
        # By exact type: of these two, the next await can be read without running the user's code.
        if type(coroutine) is CoroutineType:
            frame, coroutine = coroutine.cr_frame, coroutine.cr_await
        elif type(coroutine) is GeneratorType:
            frame, coroutine = coroutine.gi_frame, coroutine.gi_yieldfrom
        else:
            break
        if frame is not None and callsite.is_user_code(frame.f_code):
            found.append(frame)
    return reversed(found)
