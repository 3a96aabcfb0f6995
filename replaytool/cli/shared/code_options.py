"""Options about the workflow code, for commands that replay it but are not `check`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import click

from replaytool.cli.shared import options
from replaytool.errors import ReplaytoolError

if TYPE_CHECKING:
    from replaytool.check.check_runs import CheckPlan
    from replaytool.config import Settings

Function = TypeVar("Function", bound=Callable[..., Any])
SESSION = ("store", "replayer", "converter")


def replaying(function: Function) -> Function:
    """Which code, and what its children may take."""
    return _replaying(function, 60.0)


def choosing(function: Function) -> Function:
    """Which runs, and which code."""
    return _choosing(function, 60.0)


def choosing_for(seconds: float) -> Callable[[Function], Function]:
    """The same, with so much time for one run."""
    return lambda function: _choosing(function, seconds)


def _choosing(function: Function, seconds: float) -> Function:
    for option in (
        options.store,
        click.option("--type", "workflow_type", metavar="TYPE", help="Only this workflow type."),
        click.option("--where", metavar="SQL", help="Only runs for which this condition over the view `runs` holds."),
        partial(_replaying, seconds=seconds),
        click.argument("sources", metavar="[SOURCE]…", nargs=-1),
    ):
        function = option(function)
    return function


def _replaying(function: Function, seconds: float) -> Function:
    for option in (
        click.option(
            "--memory",
            type=click.IntRange(0),
            default=1024,
            show_default=True,
            help="Megabytes for a run; 0: no bound.",
        ),
        click.option(
            "--timeout", type=click.FloatRange(0.1), default=seconds, show_default=True, help="Seconds for a run."
        ),
        click.option(
            "-j", "--jobs", type=click.IntRange(0), default=0, help="Processes at once; 0 is one for each processor."
        ),
        click.option("--converter", metavar="MODULE:ATTR", help="The DataConverter that the workflows are run with."),
        click.option("--replayer", metavar="MODULE:FUNCTION", help="Returns keyword arguments for the SDK's Replayer."),
        click.option(
            "-w", "--workflows", multiple=True, metavar="CODE", help="A module, package, file or folder with workflows."
        ),
    ):
        function = option(function)
    return function


def condition(given: dict[str, Any]) -> str:
    """Which runs, as SQL."""
    quoted = (given["workflow_type"] or "").replace("'", "''")
    parts = [f"workflow_type = '{quoted}'"] if quoted else []
    return " AND ".join(parts + ([f"({given['where']}\n)"] if given["where"] else [])) or "true"


def plan(settings: Settings, given: dict[str, Any]) -> CheckPlan | None:
    """How to replay; None where no code is named anywhere."""
    from replaytool.check.check_runs import CheckPlan
    from replaytool.engines import CodeSpec, Options
    from replaytool.replay.compare.drift import check_policy
    from replaytool.workers.pool import WorkerLimits

    workflows = given["workflows"] or settings.workflows
    if not workflows:
        return None
    folder = "" if given["workflows"] else str(settings.folder)
    spec = CodeSpec(tuple(workflows), settings.replayer, settings.converter, folder)
    limits = WorkerLimits(given["jobs"], given["timeout"], given["memory"])
    return CheckPlan(spec, Options(policy=check_policy(settings.drift)), limits)


def needed(settings: Settings, given: dict[str, Any]) -> CheckPlan:
    """The same for commands that are about code."""
    found = plan(settings, given)
    if found is None:
        raise ReplaytoolError(
            "no workflow code was named", 'give --workflows MODULE-OR-PATH, or workflows = ["…"] in [tool.replaytool]'
        )
    return found


@contextmanager
def progress(what: str) -> Iterator[tuple[Any, Callable[[str], None]]]:
    """For a person who waits."""
    with options.watching(what) as observer:
        yield observer, lambda key: observer.on_file(key, 0)
