"""`replaytool debug`: one run, at any of its events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from replaytool.cli import options, session
from replaytool.render.rows import as_json as json_line
from replaytool.render.rows import cell
from replaytool.text import shortened, visible

if TYPE_CHECKING:
    from replaytool.timeline import Pending, State


@click.command
@click.argument("run")
@click.option("--at", type=int, metavar="EVENT", help="Begin at this event; with --no-tui, the state just after it.")
@click.option("--no-tui", is_flag=True, help="Print instead of opening the screen.")
@options.decoding
@options.as_json
@options.store
@click.pass_context
def command(
    ctx: click.Context, /, run: str, at: int | None, no_tui: bool, as_json: bool, **settings: str | None
) -> None:
    r"""Walk through a run, forwards and backwards.

    Shows what each event says, what the run waited for, which signals and updates it had seen, and which build ran it.
    Prints the state at the last event, or at --at, with --no-tui or --json. RUN is a run key, a workflow id, a run id,
    or the beginning of one.

    \b
    Examples:
      replaytool debug order-17
      replaytool debug order-17 --at 11 --no-tui
    """
    work = session(ctx, **settings)
    if not (no_tui or as_json):
        from replaytool.tui import launch

        launch.tui(work, work.find(run).run_key, at)
        return
    from replaytool import payloads, timeline

    row, events = work.history(run)
    found = timeline.read(events, payloads.decoder(work.settings).readable)
    state = found.at(found.last if at is None else at)
    if as_json:
        click.echo(json_line({"at": {"run_key": row.run_key, **state.as_json()}}).decode())
    else:
        for line in _lines(row, state):
            click.echo(visible(line))


def _lines(row: Any, state: State) -> Iterator[str]:
    yield f"{row.workflow_type} {row.workflow_id or '-'} ({row.run_key}), {state.status}"
    yield f"event {state.event_id}: {state.event_type} {state.name}".rstrip() + f", {state.event_time or 'no time'}"
    yield f"build: {state.build_id or 'not recorded'}"
    if state.task is not None:
        cause = f" ({state.task.cause})" if state.task.cause and state.task_status == state.task.outcome else ""
        yield f"task: {state.task.ordinal}, {state.task_status}{cause}"
    if state.issued_by:
        yield f"asked for by the task that completed at {state.issued_by}"
    if state.consumed_by:
        yield f"seen by the task that completed at {state.consumed_by}"
    yield from _section("waiting for", [_work(one) for one in state.pending])
    yield from _section("signals", [_signal(one, state.event_id) for one in state.signals])
    yield from _section("updates", [_work(one) for one in state.updates])
    for title, values in (("search attributes", state.search_attributes), ("memo", state.memo)):
        yield from _section(title, [f"{key}: {shortened(cell(value), 100)}" for key, value in values.items()])


def _section(title: str, rows: list[str]) -> Iterator[str]:
    if rows:
        yield f"{title}:"
        yield from (f"  {row}" for row in rows)


def _work(one: Pending) -> str:
    key = f" #{one.key}" if one.key and one.key != one.name else ""
    attempt = "attempt " if one.kind == "activity" else ""
    note = f", {attempt}{one.note}" if one.note else ""
    return f"{one.kind} {one.name}{key}, {one.status}{note}, since event {one.since}"


def _signal(one: Any, event_id: int) -> str:
    handled = f"handled at {one.handled_by}" if one.handled_at(event_id) else "not handled yet"
    return f"{one.kind} {one.name}, event {one.event_id}, {handled}"
