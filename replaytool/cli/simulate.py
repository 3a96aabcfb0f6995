"""`replaytool simulate`: continue a run from a point with other code or edited events."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Unpack

import click

from replaytool.cli.shared import code_options as code
from replaytool.cli.shared import options
from replaytool.errors import FINDINGS
from replaytool.render.tables import encode_json_line as json_line
from replaytool.text import escape_controls

if TYPE_CHECKING:
    from replaytool.model.simulation import Decision, Simulation


@click.command
@click.argument("run")
@click.option(
    "--from",
    "start",
    type=click.IntRange(1),
    metavar="EVENT",
    help="Continue from the last task completed up to this event.",
)
@click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="EDIT",
    help="Change a value: event:12.result=VALUE, .failure=TEXT, .input[0]=VALUE. Repeatable.",
)
@click.option(
    "--drop",
    "drops",
    multiple=True,
    metavar="EVENT",
    help="Remove a signal, an update or a result: event:30. Repeatable.",
)
@click.option(
    "--insert",
    "inserts",
    multiple=True,
    metavar="WHAT",
    help="Add signal:NAME[@EVENT][=VALUE], update:NAME… or cancel. Repeatable.",
)
@click.option("--query", "queries", multiple=True, metavar="NAME", help="Ask this query at the end. Repeatable.")
@code.replay_options
@options.as_json
@options.store
@click.pass_context
def command(
    ctx: click.Context,
    /,
    run: str,
    start: int | None,
    sets: tuple[str, ...],
    drops: tuple[str, ...],
    inserts: tuple[str, ...],
    queries: tuple[str, ...],
    as_json: bool,
    **given: Unpack[code.ReplayGiven],
) -> None:
    """Ask what if: continue a run from an event with other code or edited events, and show what differs.

    The results of activities, timers and children come from the history; the simulation invents none. VALUE is JSON or
    text. Without --from the simulation starts at the last task before the first edit. It exits with 1 if the code does
    not replay the events before that task, or if the history has no result for a command.

    \b
    Examples:
      replaytool simulate order-7 --workflows app/ --from 12
      replaytool simulate order-7 --workflows app/ --set 'event:12.result={"ok": false}' --drop event:30
      replaytool simulate order-7 --workflows app/ --from 20 --insert 'signal:trip=5' --set 'event:26.failure=no money'
    """
    from replaytool.model.simulation import HistoryEdits
    from replaytool.simulate.what_if import WhatIfQuestion, simulate_what_if

    work = code.open_code_session(ctx, **given)
    plan = code.require_replay_plan(work.settings, **given)
    question = WhatIfQuestion(plan.spec, start, HistoryEdits(sets, drops, inserts), queries, plan.options, plan.limits)
    row = work.find_run(run)
    answer = simulate_what_if(work.store, row, question)
    found = answer.simulation
    if as_json:
        whole = {"run_key": row.run_key, "workflow_id": row.workflow_id, "from": answer.point}
        click.echo(json_line({**whole, **_simulation_to_json(found)}).decode())
    else:
        click.echo("\n".join(escape_controls(line) for line in _format_simulation(answer.point, found)))
    if found.stopped or found.prefix_verdict not in ("ok", "drift"):
        ctx.exit(FINDINGS)


def _simulation_to_json(found: Simulation) -> dict[str, object]:
    return {name: value for name, value in dataclasses.asdict(found).items() if name not in ("seconds", "varies")}


def _format_simulation(point: int, found: Simulation) -> Iterator[str]:
    if found.state is None:
        yield f"from event {point}: {found.stopped}"
        return
    changed = len(found.changes)
    yield f"from event {point}: {found.same} commands as recorded, {changed} different; status: {found.status}"
    for one in found.changes:
        if one.recorded is not None:
            yield f"  - {_format_decision(one.recorded)}"
        if one.simulated is not None:
            yield f"  + {_format_decision(one.simulated)}"
    if found.stopped:
        yield f"stopped: {found.stopped}"
    for name, answers in found.updates.items():
        yield f"update {name}: {_shorten_json(answers['recorded'])} -> {_shorten_json(answers['simulated'])}"
    for name, answer in found.queries.items():
        yield f"query {name}: {_shorten_json(answer)}"
    if found.result is not None:
        yield f"result: {_shorten_json(found.result)}"
    for name, value in found.state.items():
        yield f"  {name} = {_shorten_json(value)}"
    if found.waiting:
        yield f"waits for {', '.join(found.waiting)}"
    yield f"results taken from the history: {found.exact} exact (same input), {found.assumed} assumed (same type)"


def _format_decision(one: Decision) -> str:
    place = f"event {one.event_id}: " if one.event_id else ""
    value = _shorten_json(one.value) if one.value is not None else ""
    return f"{place}{' '.join(filter(None, (one.kind, one.name)))} {value}"


def _shorten_json(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else f"{text[:199]}…"
