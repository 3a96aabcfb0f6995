"""`replaytool merge`: the reports of several jobs as one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from replaytool.cli.shared import report_output as reports


@click.command
@click.argument("given", metavar="REPORT…", nargs=-1, required=True, type=click.Path(path_type=Path))
@reports.baseline
@reports.formats
@click.pass_context
def command(ctx: click.Context, /, given: tuple[Path, ...], formats: tuple[str, ...], **gate: Any) -> None:
    """Merge the JSON reports of `check` into one, in any format; exits as one check of all the runs would.

    \b
    Examples:
      replaytool merge shard-*.json
      replaytool merge shard-1.json shard-2.json --format html:report.html --format junit:report.xml
    """
    from replaytool.check.merge_reports import merge_reports, read_report

    outputs = reports.outputs(formats)
    reports.probe(outputs, **gate)
    report = reports.gated(merge_reports([read_report(path) for path in given]), **gate)
    reports.publish(report, outputs)
    ctx.exit(reports.exit_code(report))
