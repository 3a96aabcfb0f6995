"""`replaytool merge`: merge the JSON reports of several checks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Unpack

import click

from replaytool.cli.shared import report_output as reports


@click.command
@click.argument("given", metavar="REPORT…", nargs=-1, required=True, type=click.Path(path_type=Path))
@reports.baseline_options
@reports.report_format_options
@click.pass_context
def command(
    ctx: click.Context,
    /,
    given: tuple[Path, ...],
    formats: tuple[str, ...],
    as_json: bool,
    brief: bool,
    **gate: Unpack[reports.BaselineGiven],
) -> None:
    """Merge the JSON reports of several checks into one report, in any format.

    The exit code is that of one check of all these runs.

    \b
    Examples:
      replaytool merge shard-*.json
      replaytool merge shard-1.json shard-2.json --format html:report.html --format junit:report.xml
    """
    from replaytool.check.merge_reports import merge_reports, read_report

    outputs = reports.parse_outputs(formats, as_json=as_json, brief=brief)
    reports.probe_report_outputs(outputs, **gate)
    report = reports.apply_baseline(merge_reports([read_report(path) for path in given]), **gate)
    status = reports.choose_exit_status(report)
    reports.publish_report(replace(report, exit=status), outputs)
    ctx.exit(status.code)
