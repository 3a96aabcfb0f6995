"""Options about workflow code and about which runs to replay, for every command that replays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

import click

from replaytool.cli import open_session
from replaytool.cli.shared import options
from replaytool.errors import ErrorCode, ReplaytoolError

if TYPE_CHECKING:
    from replaytool.check.check_runs import CheckPlan
    from replaytool.config import Settings
    from replaytool.engines import CodeSpec
    from replaytool.ingest import LoadObserver
    from replaytool.session import Session
    from replaytool.store import RunFilter

Function = TypeVar("Function", bound=Callable[..., object])


WORKFLOWS_HELP = "Module, package, file, folder or module:Class with the workflows. Repeatable."


def exclude_option(function: Function) -> Function:
    """Add the option that narrows a search for code."""
    return click.option(
        "--exclude",
        "exclude_code",
        multiple=True,
        metavar="PATTERN",
        help="A file, folder or module that a search for workflows leaves out; * and ? are wildcards. Repeatable.",
    )(function)


class ReplayGiven(TypedDict):
    """What `replay_options` gives to a command, with the store."""

    store: str | None
    workflows: tuple[str, ...]
    replayer: str | None
    converter: str | None
    jobs: int
    timeout: float
    memory: int


class RunChoiceGiven(ReplayGiven):
    """What `run_choice_options` gives to a command, besides the sources."""

    workflow_type: str | None
    where: str | None
    exclude_code: tuple[str, ...]


def replay_options(function: Function) -> Function:
    """Add the options that name the workflow code and limit its child processes."""
    return _add_replay_options(function, 60.0)


def run_choice_options(function: Function) -> Function:
    """Add the options that choose runs and name the workflow code."""
    return _add_choice_options(function, 60.0)


def run_choice_options_for(seconds: float) -> Callable[[Function], Function]:
    """Do the same as `run_choice_options`, with this default timeout for one run."""
    return lambda function: _add_choice_options(function, seconds)


def _add_choice_options(function: Function, seconds: float) -> Function:
    for option in (
        options.store,
        click.option("--type", "workflow_type", metavar="TYPE", help="Only this workflow type."),
        click.option("--where", metavar="SQL", help="Only runs that match this SQL condition on the view `runs`."),
        exclude_option,
        partial(_add_replay_options, seconds=seconds),
        click.argument("sources", metavar="[SOURCE]…", nargs=-1),
    ):
        function = option(function)
    return function


def _add_replay_options(function: Function, seconds: float) -> Function:
    for option in (
        click.option(
            "--memory",
            type=click.IntRange(0),
            default=1024,
            show_default=True,
            help="Megabytes allowed per run; 0: no limit.",
        ),
        click.option(
            "--timeout", type=click.FloatRange(0.1), default=seconds, show_default=True, help="Seconds allowed per run."
        ),
        click.option("-j", "--jobs", type=click.IntRange(0), default=0, help="Child processes; 0: one per CPU."),
        click.option("--converter", metavar="MODULE:ATTR", help="The DataConverter that the workflows use."),
        click.option(
            "--replayer",
            metavar="MODULE:FUNCTION",
            help="Function that returns keyword arguments for the SDK's Replayer.",
        ),
        click.option(
            "-w",
            "--workflows",
            multiple=True,
            metavar="CODE",
            help=WORKFLOWS_HELP,
        ),
    ):
        function = option(function)
    return function


def open_code_session(
    ctx: click.Context, *, replayer: str | None, converter: str | None, store: str | None = None, **_: object
) -> Session:
    """Open the session with the options that name its store and how to replay."""
    return open_session(ctx, store=store, replayer=replayer, converter=converter)


def make_run_filter(workflow_type: str | None, where: str | None, **_: object) -> RunFilter:
    """Return the filter of --type and --where."""
    from replaytool.store import RunFilter

    return RunFilter((("workflow_type", workflow_type),) if workflow_type else (), where)


def find_replay_plan(
    settings: Settings, *, workflows: tuple[str, ...], exclude_code: tuple[str, ...] = (), **given: Any
) -> CheckPlan | None:
    """Return how to replay, or None when no code is named or configured."""
    from replaytool.engines import make_code_spec

    if not (workflows or settings.workflows):
        return None
    return _make_plan(make_code_spec(settings, workflows, exclude=exclude_code), settings, **given)


def _make_plan(spec: CodeSpec, settings: Settings, *, jobs: int, timeout: float, memory: int, **_: object) -> CheckPlan:
    from replaytool.check.check_runs import CheckPlan
    from replaytool.engines import Options
    from replaytool.replay.compare.drift import check_policy
    from replaytool.workers.pool import WorkerLimits

    return CheckPlan(spec, Options(policy=check_policy(settings.drift)), WorkerLimits(jobs, timeout, memory))


def require_replay_plan(settings: Settings, **given: Any) -> CheckPlan:
    """Return how to replay. When no code is named or configured, look for it in the project, and say what was found."""
    return find_replay_plan(settings, **given) or _make_plan(
        _find_code(settings, given.get("exclude_code", ())), settings, **given
    )


def _find_code(settings: Settings, exclude: Sequence[str]) -> CodeSpec:
    from replaytool.engines import make_code_spec, open_project
    from replaytool.replay.code.project_code import find_project_code

    found = find_project_code(open_project(settings.folder, (*settings.exclude, *exclude)))
    if not found.files:
        raise ReplaytoolError(
            "no workflow code given, and none found in this project",
            'add --workflows MODULE-OR-PATH, or set workflows = ["…"] in [tool.replaytool]',
            code=ErrorCode.CODE_NOT_NAMED,
        )
    options.print_note(f"no workflows are configured; found in this project: {found.describe_files()}")
    spec = make_code_spec(settings, found.files, str(settings.folder), exclude)
    return replace(spec, is_found=True)


def choose_sources(settings: Settings, sources: tuple[str, ...], store: str | None) -> tuple[str, ...]:
    """Return the sources that were named, else those that the configuration names; with a store, none."""
    return sources or (settings.histories if store is None else ())


@contextmanager
def show_key_progress(what: str) -> Iterator[tuple[LoadObserver, Callable[[str], None]]]:
    """Show a progress bar that advances once per run key."""
    with options.show_load_progress(what) as observer:
        yield observer, lambda key: observer.on_file(key, 0)
