"""`replaytool check`: replay recorded runs against workflow code."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Unpack

import click

from replaytool.cli.shared import code_options as code
from replaytool.cli.shared import options
from replaytool.cli.shared import report_output as reports
from replaytool.errors import CLEAN, FINDINGS, NOTHING, ErrorCode, ReplaytoolError
from replaytool.text import escape_controls

if TYPE_CHECKING:
    from replaytool.check.check_runs import CheckPlan, Progress
    from replaytool.check.guilty.find import GuiltyRequest
    from replaytool.ingest import LoadObserver
    from replaytool.model.verdict import Shard, Verdict
    from replaytool.session import Session

_ENGINES = ("auto", "direct", "sdk", "both")
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
        """Write the value out."""
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
@reports.report_format_option
@options.store
@click.pass_context
def command(
    ctx: click.Context,
    /,
    sources: tuple[str, ...],
    formats: tuple[str, ...],
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

    _require_fitting_options(given)
    failing = choose_failing_verdicts(fail_on, strict=strict, allow_unverified=allow_unverified)
    outputs = reports.parse_outputs(formats)
    reports.probe_report_outputs(outputs, baseline=given["baseline"], update_baseline=given["update_baseline"])
    work = code.open_code_session(ctx, **given)
    plan = code.require_replay_plan(work.settings, **given)
    plan = _change_patch(work, _refine_plan(plan, given), given)
    with _show_check_progress() as (observer, progress):
        report, loaded = work.check_runs(
            code.choose_sources(work.settings, sources, given["store"] or ctx.obj["store"]),
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
    reports.publish_report(report, outputs)
    if given["output"] and report.guilty is not None and report.guilty.fix is not None:
        reports.write_fix(report.guilty.fix, given["output"])
    status = reports.choose_exit_code(report)
    ctx.exit(FINDINGS if status in (CLEAN, NOTHING) and loaded is not None and loaded.bad else status)


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


def _require_fitting_options(given: _CheckGiven) -> None:
    """Refuse options that mean nothing without --base."""
    if given["impacted"] and (not given["base"] or given["repeat"] > 1):
        raise ReplaytoolError(
            "--impacted needs --base, and excludes --repeat",
            "add --base REF, and leave --repeat out",
            code=ErrorCode.USAGE_COMBINATION,
        )
    changed = [name for name in ("without", "deprecated") if given[name] is not None]
    if changed and (len(changed) > 1 or given["base"] or given["update_baseline"]):
        raise ReplaytoolError(
            "--without and --deprecated exclude each other, --base and --update-baseline",
            "the code that it replays is written nowhere, so compare it with nothing",
            code=ErrorCode.USAGE_COMBINATION,
        )
    for name in ("guilty", "fix"):
        if given[name] and not given["base"]:
            raise ReplaytoolError(
                f"--{name} needs --base: it searches the edits since the merge base",
                "add --base REF",
                code=ErrorCode.USAGE_COMBINATION,
            )
    if given["output"] and not given["fix"]:
        raise ReplaytoolError(
            "--output needs --fix: it names the file for the fix",
            "add --fix, or write a report with --format FORMAT:FILE",
            code=ErrorCode.USAGE_COMBINATION,
        )


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
    """Show a progress bar with the number of runs that went wrong so far."""
    with options.show_load_progress("checking") as observer:
        wrong = 0

        def count_verdict(key: str, verdict: Verdict) -> None:
            nonlocal wrong
            wrong += verdict.verdict not in ("ok", "drift")
            observer.on_file(key, 0)

        yield observer, count_verdict
