"""`replaytool show`: print one run, event by event."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from replaytool.cli import open_session
from replaytool.cli.shared import options
from replaytool.render.tables import encode_json_line as json_line
from replaytool.render.tables import find_terminal_width, format_cell, format_table
from replaytool.text import escape_controls

if TYPE_CHECKING:
    from replaytool.store import ProblemRow


@click.command
@click.argument("run")
@click.option("--event", "event_id", type=int, metavar="N", help="Print this event in full, with decoded payloads.")
@options.decoding_options
@options.as_json
@options.store
@click.pass_context
def command(ctx: click.Context, /, run: str, event_id: int | None, as_json: bool, **settings: str | None) -> None:
    """Show the events of a run.

    RUN is a run key, a workflow ID, a run ID, or the start of one.

    \b
    Examples:
      replaytool show order-17
      replaytool show order-17 --event 11
    """
    work = open_session(ctx, **settings)
    row = work.find_run(run)
    if event_id is not None:
        event = work.read_event(row.run_key, event_id)
        # Indented JSON in ASCII: whatever an event says, a terminal shows it and does not obey it.
        click.echo(json_line(event).decode() if as_json else json.dumps(event, indent=2, default=str))
        return
    lines = list(work.read_event_lines(row.run_key))
    if as_json:
        events = [
            {"event_id": e.event_id, "event_time": e.event_time, "event_type": e.event_type, "name": e.name,
             "build_id": e.build_id, "value": e.value}
            for e in lines
        ]  # fmt: skip
        click.echo(
            json_line({"run": row.values, "problems": work.list_problems(row.run_key), "events": events}).decode()
        )
        return
    _print_run_heading(row, work.list_problems(row.run_key))
    columns = ("event", "time", "type", "name", "build", "value")
    rows = ((e.event_id, e.event_time, e.event_type, e.name, e.build_id, e.value) for e in lines)
    click.echo(format_table(columns, rows, width=find_terminal_width()), nl=False)


def _print_run_heading(row: object, problems: Sequence[ProblemRow]) -> None:
    names = ("workflow_type", "workflow_id", "run_id", "status", "started_at", "closed_at", "source")
    for name in names:
        if value := getattr(row, name):
            click.echo(f"{name.replace('_', ' '):14} {format_cell(value)}")
    for problem in problems:
        place = f" (event {problem['event_id']})" if problem["event_id"] else ""
        click.echo(escape_controls(f"{'problem':14} {problem['code']}: {problem['message']}{place}"))
    click.echo()
