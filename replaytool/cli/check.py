"""`replaytool check`: replay recorded runs against workflow code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import click

from replaytool.cli.shared import code_options as code
from replaytool.cli.shared import options
from replaytool.cli.shared import report_output as reports
from replaytool.cli.shared.option_rules import require_fitting_options
from replaytool.cli.shared.release_checks import run_release_checks
from replaytool.model.check_origin import CheckOrigin
from replaytool.text import escape_controls

if TYPE_CHECKING:
    from replaytool.check.check_runs import CheckPlan, Progress
    from replaytool.check.guilty.find import GuiltyRequest
    from replaytool.config import Settings
    from replaytool.ingest import LoadObserver
    from replaytool.model.verdict import CheckReport, Shard
    from replaytool.session import Session

_ENGINES = ("auto", "direct", "sdk", "both")
_ARGUMENTS = "replaytool.check.arguments"
_SANDBOXES = ("shared", "per-run", "off")


class _CheckGiven(code.RunChoiceGiven, reports.BaselineGiven):
    engine: str
    sandbox: str
    repeat: int
    every_mismatch: bool
    guard: bool
    no_cache: bool
    base: str | None
    impacted: bool
    guilty: str | None
    guilty_limit: float
    fix: bool
    output: str | None
    write: bool
    releases: tuple[str, ...]
    find_links: tuple[str, ...]
    without: str | None
    deprecated: str | None
    shard: Shard | None
    include_pinned: bool


def _parse_shard(_: click.Context, parameter: click.Parameter, value: str | None) -> Shard | None:
    if value is None:
        return None
    from replaytool.model.verdict import Shard

    number, _slash, of = value.partition("/")
    if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
        raise click.BadParameter("write I/N, from 1/N to N/N", param=parameter)
    return Shard(int(number), int(of))


class _CheckCommand(click.Command):
    """A command in which `--guilty` alone means failures: an optional value would take the next argument."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Write the value out, and keep the arguments for the checks of `--with`."""
        ctx.meta[_ARGUMENTS] = list(args)
        return super().parse_args(ctx, ["--guilty=failures" if one == "--guilty" else one for one in args])


@click.command(cls=_CheckCommand)
@click.argument("sources", metavar="[SOURCE]…", nargs=-1)
@click.option(
    "-w",
    "--workflows",
    multiple=True,
    metavar="CODE",
    help=code.WORKFLOWS_HELP,
)
@code.exclude_option
@click.option(
    "--replayer", metavar="MODULE:FUNCTION", help="Function that returns keyword arguments for the SDK's Replayer."
)
@click.option("--converter", metavar="MODULE:ATTR", help="The DataConverter that the workflows use.")
@click.option("--where", metavar="SQL", help="Only runs that match this SQL condition on the view `runs`.")
@click.option("--type", "workflow_type", metavar="TYPE", help="Only this workflow type.")
@click.option(
    "--engine",
    type=click.Choice(_ENGINES),
    default="auto",
    show_default=True,
    help="auto: direct, and sdk confirms every finding. both: each run with both.",
)
@click.option(
    "--sandbox",
    type=click.Choice(_SANDBOXES),
    default="shared",
    show_default=True,
    help="One sandbox per workflow type, one per run, or none.",
)
@click.option("-j", "--jobs", type=click.IntRange(0), default=0, help="Child processes; 0: one per CPU.")
@click.option("--timeout", type=click.FloatRange(0.1), default=60.0, show_default=True, help="Seconds allowed per run.")
@click.option(
    "--memory", type=click.IntRange(0), default=1024, show_default=True, help="Megabytes allowed per run; 0: no limit."
)
@click.option(
    "--repeat",
    type=click.IntRange(1),
    default=1,
    metavar="N",
    help="Replay each run N times, each time under other conditions.",
)
@click.option("--every-mismatch", is_flag=True, help="List every mismatch of a run, not only the first.")
@click.option("--guard/--no-guard", default=True, help="Refuse sockets, processes and file writes in workflow code.")
@click.option("--strict", is_flag=True, help="Fail on drift too.")
@click.option("--allow-unverified", is_flag=True, help="Do not fail on runs that cannot be verified.")
@click.option("--fail-on", metavar="VERDICTS", help="Fail on exactly these verdicts: diverged,failed,…")
@click.option("--no-cache", is_flag=True, help="Replay all runs, even if the store has their verdicts for this code.")
@click.option("--base", metavar="REF", help="Fail only on what is new since the merge base with REF.")
@click.option("--impacted", is_flag=True, help="With --base: replay only runs that the change can affect.")
@click.option(
    "--guilty",
    type=click.Choice(["failures", "drift"]),
    help="With --base: find the edits that break runs, by replaying subsets of the change. --guilty alone is failures.",
)
@click.option(
    "--guilty-limit",
    type=click.FloatRange(1),
    default=120.0,
    show_default=True,
    metavar="SECONDS",
    help="Time for the search of --guilty.",
)
@click.option(
    "--fix",
    is_flag=True,
    help="With --base: write guards for the guilty edits, and offer them if replays prove them.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="With --fix: write the fix to FILE, for `git apply`.",
)
@click.option("--write", is_flag=True, help="With --fix: change the files as the proven fix says.")
@click.option(
    "--with",
    "releases",
    multiple=True,
    metavar="RELEASE",
    help="Check also under this release, such as temporalio==1.31. Asks a package index. Repeatable.",
)
@click.option(
    "--find-links",
    multiple=True,
    metavar="FOLDER",
    help="With --with: take wheels from here and ask no index. Repeatable.",
)
@click.option("--without", metavar="PATCH", help="Replay as if the calls of this patch were taken out of the code.")
@click.option("--deprecated", metavar="PATCH", help="Replay as if this patch were deprecated: only its new branch.")
@reports.baseline_options
@click.option(
    "--shard",
    metavar="I/N",
    callback=_parse_shard,
    help="Check one of N shares of the runs; `merge` joins the reports.",
)
@click.option("--include-pinned", is_flag=True, help="Fail also on runs that worker versioning pins to their build.")
@reports.report_format_options
@options.store
@click.pass_context
def command(
    ctx: click.Context,
    /,
    sources: tuple[str, ...],
    formats: tuple[str, ...],
    as_json: bool,
    brief: bool,
    fail_on: str | None,
    strict: bool,
    allow_unverified: bool,
    **given: Unpack[_CheckGiven],
) -> None:
    """Replay recorded runs against workflow code, and report whether the code still follows them.

    SOURCE is a file, a folder, a glob or a store. Without SOURCE, the command checks the configured histories; if none
    are configured or --store is given, the runs of the store. Without --workflows and without configuration, it looks
    for workflows in the project and names the files that it took.

    It never executes an activity. It exits with 1 if a run diverges, fails, crashes or cannot be verified.

    \b
    Examples:
      replaytool check
      replaytool check histories/ --workflows app.workflows
      replaytool check --workflows app/ --where "status = 'Running'" --format json:report.json
    """
    from replaytool.check.check_runs import choose_failing_verdicts

    require_fitting_options(given)
    failing = choose_failing_verdicts(fail_on, strict=strict, allow_unverified=allow_unverified)
    outputs = reports.parse_outputs(formats, as_json=as_json, brief=brief)
    reports.probe_report_outputs(outputs, baseline=given["baseline"], update_baseline=given["update_baseline"])
    work = code.open_code_session(ctx, **given)
    if given["releases"]:
        arguments, used = ctx.meta[_ARGUMENTS], [name for name, _ in outputs]
        store = _find_store(work.settings, code.choose_sources(work.settings, sources, given["store"]))
        ctx.exit(run_release_checks(arguments, given["releases"], given["find_links"], used, store))
    plan = code.require_replay_plan(work.settings, **given)
    plan = _change_patch(work, _refine_plan(plan, given), given)
    chosen = code.choose_sources(work.settings, sources, given["store"] or ctx.obj["store"])
    origin = _describe_origin(chosen, given, ctx.obj["store"])
    with _show_check_progress() as (observer, progress):
        report, loaded = work.check_runs(
            chosen,
            code.make_run_filter(**given),
            plan,
            observer,
            progress,
            given["base"],
            only_impacted=given["impacted"],
            guilty=_guilty_request(given),
        )
    report = replace(report, failing=failing, include_pinned=given["include_pinned"])
    report = reports.apply_baseline(report, baseline=given["baseline"], update_baseline=given["update_baseline"])
    status = reports.choose_exit_status(report, len(loaded.bad) if loaded is not None else 0)
    reports.publish_report(replace(report, exit=status, origin=origin), outputs)
    _place_fix(report, plan, given)
    ctx.exit(status.code)


def _find_store(settings: Settings, sources: Sequence[str]) -> Path | None:
    """Return the store that is checked; None where files are."""
    from replaytool.session import is_store

    if not sources:
        return settings.store
    return Path(sources[0]) if len(sources) == 1 and is_store(Path(sources[0])) else None


def _describe_origin(sources: Sequence[str], given: _CheckGiven, store: str | None) -> CheckOrigin:
    """Return what the commands of the report must repeat."""
    from replaytool.session import is_store

    if len(sources) == 1 and is_store(Path(sources[0])):
        store, sources = sources[0], ()
    else:
        store = given["store"] or store
    named: list[tuple[str, str | None]] = [("--workflows", one) for one in given["workflows"]]
    named += [("--store", store), ("--replayer", given["replayer"]), ("--converter", given["converter"])]
    return CheckOrigin(bool(sources), tuple(word for name, value in named if value for word in (name, value)))


def _place_fix(report: CheckReport, plan: CheckPlan, given: _CheckGiven) -> None:
    """Put a proven fix where it was asked for: into a file, or into the code."""
    from replaytool.check.base_branch import find_repository_folder
    from replaytool.check.fix.apply_fix import apply_fix

    fix = report.guilty.fix if report.guilty is not None else None
    if given["output"] and fix is not None:
        reports.write_fix(fix, given["output"])
    if not given["write"]:
        return
    if fix is None or not fix.diff:
        options.print_note("no file was changed: there is no proven fix")
        return
    for path in apply_fix(fix, find_repository_folder(plan.spec)):
        options.print_note(f"{path}: changed as the fix says; check again, and commit it")


def _change_patch(work: Session, plan: CheckPlan, given: _CheckGiven) -> CheckPlan:
    """Return the plan with the calls of a patch changed, and say on stderr what was changed."""
    if given["without"] is not None:
        plan, places = work.change_patch(plan, given["without"], "without")
        said = "is taken out"
    elif given["deprecated"] is not None:
        plan, places = work.change_patch(plan, given["deprecated"], "deprecated")
        said = "is deprecated"
    else:
        return plan
    name = escape_controls(given["without"] or given["deprecated"] or "")
    options.print_note(f"this check replays edited code: the patch {name} {said} at {', '.join(places)}")
    return plan


def _guilty_request(given: _CheckGiven) -> GuiltyRequest | None:
    from replaytool.check.guilty.find import GuiltyRequest

    if not (given["guilty"] or given["fix"]):
        return None
    return GuiltyRequest(given["guilty"] == "drift", given["fix"], given["guilty_limit"])


def _refine_plan(plan: CheckPlan, given: _CheckGiven) -> CheckPlan:
    """Return the plan with the options that only `check` has."""
    choices = replace(
        plan.options, sandbox=given["sandbox"], guard=given["guard"], every_mismatch=given["every_mismatch"]
    )
    use_known = not given["no_cache"]
    return replace(
        plan, options=choices, engine=given["engine"], repeat=given["repeat"], use_known=use_known, shard=given["shard"]
    )


@contextmanager
def _show_check_progress() -> Iterator[tuple[LoadObserver, Progress]]:
    """Show a progress bar that counts files while they load, and then replays."""
    with options.show_load_progress("checking") as observer:
        yield observer, lambda key, _: observer.on_file(key, 0)
