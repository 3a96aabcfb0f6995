"""Ask the SDK's sandbox whether it accepts a workflow, as the SDK does when a worker or a Replayer is made.

The sandbox imports the workflow's modules again for that. So it is asked once for each class in a process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from temporalio.worker import UnsandboxedWorkflowRunner, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from replaytool.engines.temporal.sdk.private import WorkflowDefinition
from replaytool.engines.temporal.sdk.quiet_runtime import silence_sdk_logs
from replaytool.engines.temporal.sdk.workflow_instance import get_creation_loop
from replaytool.replay.code.user_code import Code
from replaytool.replay.isolation import side_effects as guard
from replaytool.replay.isolation.state_keeper import restore_module_state

Answer = tuple[WorkflowRunner, BaseException | None]
"""A runner, and why it refuses a class. Only runners that are the same object are the same."""

_DEFAULT = SandboxedWorkflowRunner()
_answers: WeakKeyDictionary[type, list[Answer]] = WeakKeyDictionary()


def find_sandbox_refusal(code: Code, workflow: type, *, refuse_effects: bool) -> BaseException | None:
    """Return why the runner that the user's worker has refuses the class; None if it accepts it."""
    definition = WorkflowDefinition.must_from_class(workflow)
    name = "workflow_runner" if definition.sandboxed else "unsandboxed_workflow_runner"
    runner = code.settings.get(name) or (_DEFAULT if definition.sandboxed else None)
    if runner is None or type(runner) is UnsandboxedWorkflowRunner:
        return None
    answers = _answers.setdefault(workflow, [])
    known = next((answer for asked, answer in answers if asked is runner), _UNKNOWN)
    if known is not _UNKNOWN:
        return known
    found = _ask_runner(runner, definition, refuse_effects)
    answers.append((runner, found))
    return found


_UNKNOWN: Any = object()


def _ask_runner(runner: WorkflowRunner, definition: WorkflowDefinition, refuse_effects: bool) -> BaseException | None:
    watch = guard.SideEffectWatch(lambda frame: None, refuse_effects)
    try:
        with silence_sdk_logs(), guard.watch_side_effects(watch), _run_creation_loop():
            runner.prepare_workflow(definition)
    except (Exception, SystemExit) as error:
        # What replaytool refuses, the sandbox may allow: the replay itself reports it.
        return None if any(one.refused for one in watch.found_hazards) else error
    finally:
        restore_module_state()  # the import may have changed modules that are passed through
    return None


@contextmanager
def _run_creation_loop() -> Iterator[None]:
    before = asyncio._get_running_loop()
    asyncio._set_running_loop(get_creation_loop())
    try:
        yield
    finally:
        asyncio._set_running_loop(before)
