"""Output of `replaytool reset`: a plan, the progress and result of an apply, and rows as table, JSON or CSV."""

from __future__ import annotations

import contextlib
import csv
import io
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import click

from replaytool.render.tables import encode_json_line as json_line
from replaytool.render.tables import find_terminal_width, format_table
from replaytool.text import count_noun, escape_controls

if TYPE_CHECKING:
    from replaytool.model.reset_plan import ResetPlan
    from replaytool.reset.apply import ApplyProgress, ApplyResult

NOT_SIMULATED = "not simulated: add --workflows CODE to replay the events before each point and predict the state after"


def print_plan(plan: ResetPlan, output: str | None) -> None:
    """Print a plan as a table, then its warnings and totals."""
    columns: dict[str, list[object]] = {
        "workflow_id": [item.workflow_id for item in plan.items],
        "run_id": [item.run_id for item in plan.items],
        "event": [item.point.event_id for item in plan.items],
        "reset_point": [item.point.rule for item in plan.items],
        "events_undone": [item.undone_events for item in plan.items],
        "signals_re-applied": [item.reapplied["signals"] for item in plan.items],
        "updates_re-applied": [item.reapplied["updates"] for item in plan.items],
        "re-executed": [sum(item.repeats.values()) for item in plan.items],
        **(_simulation_columns(plan) if plan.code is not None else {}),
        "included": ["yes" if item.included else "BLOCKED" for item in plan.items],
    }
    if plan.items:
        rows = zip(*columns.values(), strict=True)
        click.echo(format_table(tuple(columns), rows, width=find_terminal_width()), nl=False)
    for one in plan.skipped:
        click.echo(escape_controls(f"not in the plan: {one.workflow_id or one.run_id or 'a run'}: {one.reason}"))
    for text in _group_warnings(plan):
        click.echo(escape_controls(text))
    total = plan.totals
    again = ", ".join(f"{escape_controls(name)} ({count:,})" for name, count in total["repeats"].items()) or "none"
    back = f"{count_noun(total['signals'], 'signal')}, {count_noun(total['updates'], 'update')}"
    click.echo(
        f"{count_noun(total['items'], 'workflow')}, {total['blocked']:,} blocked; "
        f"re-applied: {back}; re-executed activities: {again}"
    )
    for text in (*_describe_inputs(plan), *_describe_spending(plan), _describe_simulation(plan)):
        click.echo(escape_controls(text))
    if output:
        click.echo(escape_controls(f"plan {plan.plan_id} written to {output}"))


def _simulation_columns(plan: ResetPlan) -> dict[str, list[object]]:
    found = [item.simulation or {} for item in plan.items]
    return {
        "prefix": [item.prefix_verdict for item in plan.items],
        "exact": [one.get("exact") for one in found],
        "assumed": [one.get("assumed") for one in found],
        "state_after": [one.get("state") for one in found],
    }


def _describe_simulation(plan: ResetPlan) -> str:
    if plan.code is None:
        return NOT_SIMULATED
    found = [item.simulation or {} for item in plan.items]
    whole = sum(not one.get("stopped") for one in found)
    exact, assumed = (sum(one.get(name) or 0 for one in found) for name in ("exact", "assumed"))
    return (
        f"Simulated with {', '.join(plan.code['modules'])}: {whole:,} of {len(found):,} complete; "
        f"results taken from the histories: {exact:,} exact (same input), {assumed:,} assumed (same type)"
    )


def _describe_inputs(plan: ResetPlan) -> Iterator[str]:
    """Describe whether re-executed activities get the recorded inputs, as far as the simulation knows."""
    found: dict[str, Counter[str]] = {}
    for item in plan.items:
        for name, counts in (item.repeats_inputs or {}).items() if item.included else ():
            found.setdefault(name, Counter()).update(counts)
    if found:
        told = (f"{name} {one['same']:,} same, {one['changed']:,} changed" for name, one in sorted(found.items()))
        yield f"Simulated inputs of re-executed activities: {'; '.join(told)}"


def _describe_spending(plan: ResetPlan) -> Iterator[str]:
    """Describe what the re-executed activities have cost, by model."""
    for name, models in plan.totals.get("repeats_usage", {}).items():
        for model, row in models.items():
            cost = row["cost"]
            price = (
                "n/a: [tool.replaytool.prices] has no price" if cost is None else f"{cost:.12f}".rstrip("0").rstrip(".")
            )
            yield (
                f"Recorded usage of {name} with model {model}: {row['calls']:,} calls, {row['input']:,} input tokens "
                f"({row['cached']:,} cached), {row['output']:,} output tokens; cost {price}"
            )


def _group_warnings(plan: ResetPlan) -> Iterator[str]:
    """Join equal warnings, with the number of workflows and one example."""
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for item in plan.items:
        for one in item.warnings:
            found.setdefault((one.level, one.code), []).append((item.workflow_id, one.message))
    for (level, code), examples in sorted(found.items()):
        workflow_id, message = examples[0]
        workflows = count_noun(len({name for name, _ in examples}), "workflow")
        yield f"{level}: {code} in {workflows}, for example {workflow_id}: {message}"


@contextlib.contextmanager
def show_apply_progress(tally: ApplyProgress) -> Iterator[None]:
    """Show the progress of an apply: a live line on a terminal, else a line every ten seconds."""
    over = threading.Event()
    on_terminal = sys.stderr.isatty()

    def print_progress() -> None:
        started = time.monotonic()
        while not over.wait(0.2 if on_terminal else 10):
            line = f"{_format_progress(tally)} in {time.monotonic() - started:.0f} s"
            print(
                f"\r\x1b[K{line}" if on_terminal else line, end="" if on_terminal else "\n", file=sys.stderr, flush=True
            )

    thread = threading.Thread(target=print_progress, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        if on_terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _format_progress(tally: ApplyProgress) -> str:
    counts = ", ".join(f"{count} {state}" for state, count in sorted(tally.states.items()))
    return f"{tally.phase}: {sum(tally.states.values())} of {tally.total}" + (f" ({counts})" if counts else "")


def print_applied(applied: ApplyResult, *, as_json: bool) -> None:
    """Print which resets succeeded and which did not."""
    tally = applied.tally
    counts = dict(sorted(tally.states.items()))
    if as_json:
        whole = {"total": tally.total, "done_before": tally.before, "states": counts, "stopped": applied.stopped}
        click.echo(json_line(whole).decode())
        return
    for one in applied.outcomes:
        if one.state != "done":
            click.echo(escape_controls(f"{one.state}: {one.workflow_id} (run {one.run_id}): {one.message}"))
    done = counts.get("done", 0)
    told = f"{done:,} of {count_noun(tally.total, 'workflow')}"
    click.echo(f"reset: {told}, {tally.before:,} of them by an earlier apply")
    if applied.stopped:
        click.echo(escape_controls(f"stopped: {applied.stopped}; run the same command again to continue"))


def print_rows(names: Sequence[str], rows: Iterable[Sequence[object]], csv_file: str | None, *, as_json: bool) -> None:
    """Print rows as a table or JSON, and write them as CSV if a file is named."""
    found = [list(row) for row in rows]
    if csv_file:
        from replaytool.session import open_output

        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(
            [json_line(cell).decode() if isinstance(cell, dict | list) else cell for cell in row] for row in found
        )
        with open_output(csv_file) as stream:
            stream.write(text.getvalue().encode("utf-8"))
    if as_json:
        click.echo(json_line([dict(zip(names, row, strict=True)) for row in found]).decode())
    else:
        click.echo(format_table(names, found, widest=None, width=find_terminal_width()), nl=False)
