"""`replaytool diff`: where two runs did different things."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from replaytool.cli import session
from replaytool.cli.shared import options
from replaytool.errors import FINDINGS
from replaytool.render.tables import as_json as json_line
from replaytool.render.tables import cell
from replaytool.text import shortened, visible

if TYPE_CHECKING:
    from replaytool.debug.compare_runs import AlignedPair
    from replaytool.engines.temporal.events.labels import EventLabel


@click.command
@click.argument("left", metavar="RUN")
@click.argument("right", metavar="RUN")
@click.option("--all", "show_all", is_flag=True, help="Also what is the same.")
@options.decoding
@options.as_json
@options.store
@click.pass_context
def command(
    ctx: click.Context, /, left: str, right: str, show_all: bool, as_json: bool, **settings: str | None
) -> None:
    """Show where two runs did different things.

    The runs are aligned by what they did (activities, timers, signals, children, results), not by event id. Exits
    with 1 where they differ.

    \b
    Example:
      replaytool diff order-17 order-18
    """
    one, other, pairs = session(ctx, **settings).diff(left, right)
    differing = [pair for pair in pairs if pair.difference_mark != "="]
    if as_json:
        shown = pairs if show_all else differing
        click.echo(
            json_line({"left": one.run_key, "right": other.run_key, "pairs": [_as_object(pair) for pair in shown]})
        )
    else:
        _print(one, other, pairs, show_all=show_all)
    if differing:
        ctx.exit(FINDINGS)


def _print(one: Any, other: Any, pairs: list[AlignedPair], *, show_all: bool) -> None:
    for mark, row in (("-", one), ("+", other)):
        click.echo(visible(f"{mark} {row.run_key}  {row.workflow_type}  {row.workflow_id or '-'}  {row.status}"))
    first = next((pair for pair in pairs if pair.difference_mark != "="), None)
    if first is None:
        click.echo("the same, event for event")
        return
    click.echo(f"\nfirst difference: {_line(first)}\n")
    for pair in pairs:
        if show_all or pair.difference_mark != "=":
            click.echo(f"{pair.difference_mark} {_line(pair)}")
        for change in pair.changes:
            click.echo(visible(f"    {change.path}: {_short(change.left)} → {_short(change.right)}"))


def _line(pair: AlignedPair) -> str:
    deed = pair.left or pair.right
    assert deed is not None
    return visible(f"{_id(pair.left):>6} {_id(pair.right):>6}  {deed.kind} {deed.name}".rstrip())


def _id(deed: EventLabel | None) -> str:
    return str(deed.event_id) if deed else "·"


def _short(value: Any) -> str:
    return "nothing" if value is None else shortened(cell(value), 80)


def _as_object(pair: AlignedPair) -> dict[str, Any]:
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
