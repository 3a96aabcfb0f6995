"""`replaytool load`: load exported histories into the store."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from replaytool.cli import open_session
from replaytool.cli.shared import options
from replaytool.errors import FINDINGS
from replaytool.render.tables import encode_json_line as json_line
from replaytool.text import count_noun

if TYPE_CHECKING:
    from replaytool.ingest import LoadReport


@click.command
@click.argument("paths", metavar="PATH…", nargs=-1, required=True)
@click.option("--skip-bad", is_flag=True, help="Exit with 0 even if files were refused.")
@click.option("--decode", is_flag=True, help="Decode payloads with the codec before storing them.")
@options.decoding_options
@options.as_json
@options.store
@click.pass_context
def command(
    ctx: click.Context, /, paths: tuple[str, ...], skip_bad: bool, decode: bool, as_json: bool, **settings: str | None
) -> None:
    """Load exported histories into the store.

    PATH is a file, a folder with all its subfolders, a glob, - for standard input, or an object store address such as
    s3://bucket/prefix. The command recognises a format by its content, not by the file's name. Loading a run again
    changes nothing; a longer history of a run replaces the shorter one.

    \b
    Examples:
      replaytool load histories/
      temporal workflow show -w order-17 --output json | replaytool load -
      replaytool load 's3://exports/2026-11/**/*.gz' --skip-bad
    """
    with options.show_load_progress("loading") as observer:
        report = open_session(ctx, **settings).load_paths(paths, sys.stdin.buffer, observer, decode=decode)
    finish_load(ctx, report, as_json=as_json, skip_bad=skip_bad)


def finish_load(ctx: click.Context, report: LoadReport, *, as_json: bool, skip_bad: bool) -> None:
    """Print what was loaded, and exit with the matching code."""
    click.echo(json_line(load_report_to_json(report)).decode() if as_json else summarize_load(report))
    if report.bad and not skip_bad:
        ctx.exit(FINDINGS)


def summarize_load(report: LoadReport) -> str:
    """Return what was loaded, in a few lines."""
    outcomes = ", ".join(f"{count} {outcome}" for outcome, count in sorted(report.outcomes.items())) or "none"
    runs = sum(report.outcomes.values())
    taken = f"{count_noun(runs, 'run')} with {count_noun(report.events, 'event')} ({outcomes})"
    lines = [f"{count_noun(report.files, 'file')}: {taken}"]
    if report.problems:
        found = ", ".join(f"{code} in {count}" for code, count in report.problems.most_common())
        lines.append(f"problems: {found}")
    if report.bad:
        lines.append(f"refused: {count_noun(len(report.bad), 'file')}")
    return "\n".join(lines)


def load_report_to_json(report: LoadReport) -> dict[str, object]:
    """Return what was loaded as plain data for JSON."""
    return {
        "files": report.files,
        "events": report.events,
        "runs": dict(report.outcomes),
        "run_keys": report.run_keys,
        "problems": dict(report.problems),
        "refused": [
            {"source": bad.name, "position": bad.position, "reason": bad.reason, "hint": bad.hint, "code": bad.code}
            for bad in report.bad
        ],
    }
