"""`replaytool diff`: compare two runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from replaytool.cli import open_session
from replaytool.cli.shared import options
from replaytool.errors import FINDINGS
from replaytool.render.tables import encode_json_line as json_line
from replaytool.render.tables import format_cell
from replaytool.text import escape_controls, shorten_text

if TYPE_CHECKING:
    from replaytool.debug.compare_runs import AlignedPair
    from replaytool.model.event_label import EventLabel


@click.command
@click.argument("left", metavar="RUN")
@click.argument("right", metavar="RUN")
@click.option("--all", "show_all", is_flag=True, help="List what is the same too.")
@options.decoding_options
@options.as_json
@options.store
@click.pass_context
def command(
    ctx: click.Context, /, left: str, right: str, show_all: bool, as_json: bool, **settings: str | None
) -> None:
    """Show where two runs differ.

    The command aligns the runs by what they did (activities, timers, signals, children, results), not by event ID. It
    exits with 1 if they differ.

    \b
    Example:
      replaytool diff order-17 order-18
    """
    one, other, pairs = open_session(ctx, **settings).diff_runs(left, right)
    differing = [pair for pair in pairs if pair.difference_mark != "="]
    if as_json:
        shown = pairs if show_all else differing
        click.echo(
            json_line({"left": one.run_key, "right": other.run_key, "pairs": [_pair_to_json(pair) for pair in shown]})
        )
    else:
        _print_differences(one, other, pairs, show_all=show_all)
    if differing:
        ctx.exit(FINDINGS)


def _print_differences(one: Any, other: Any, pairs: list[AlignedPair], *, show_all: bool) -> None:
    for mark, row in (("-", one), ("+", other)):
        click.echo(
            escape_controls(f"{mark} {row.run_key}  {row.workflow_type}  {row.workflow_id or '-'}  {row.status}")
        )
    first = next((pair for pair in pairs if pair.difference_mark != "="), None)
    if first is None:
        click.echo("no difference")
        return
    click.echo(f"\nfirst difference: {_format_pair(first)}\n")
    for pair in pairs:
        if show_all or pair.difference_mark != "=":
            click.echo(f"{pair.difference_mark} {_format_pair(pair)}")
        for change in pair.changes:
            click.echo(
                escape_controls(f"    {change.path}: {_shorten_value(change.left)} → {_shorten_value(change.right)}")
            )


def _format_pair(pair: AlignedPair) -> str:
    deed = pair.left or pair.right
    assert deed is not None
    return escape_controls(
        f"{_format_event_id(pair.left):>6} {_format_event_id(pair.right):>6}  {deed.kind} {deed.name}".rstrip()
    )


def _format_event_id(deed: EventLabel | None) -> str:
    return str(deed.event_id) if deed else "·"


def _shorten_value(value: object) -> str:
    return "nothing" if value is None else shorten_text(format_cell(value), 80)


def _pair_to_json(pair: AlignedPair) -> dict[str, object]:
    deed = pair.left or pair.right
    assert deed is not None
    return {
        "mark": pair.difference_mark,
        "kind": deed.kind,
        "name": deed.name,
        "left_event_id": pair.left.event_id if pair.left else None,
        "right_event_id": pair.right.event_id if pair.right else None,
        "changes": [{"path": one.path, "left": one.left, "right": one.right} for one in pair.changes],
    }
