"""Lines about a reset plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from replaytool.model.reset_plan import BLOCK, WARN, ItemOutcome, PlanWarning, ResetItem, ResetPlan
from replaytool.tui.styled_lines import Line, cell_text, line, tree_lines

_LEVELS = {BLOCK: ("✗ block  ", "bad"), WARN: ("! warn   ", "warn")}
_SIGNS = {"done": "✔", "failed": "✗", "refused": "✗", "lost": "?", "intended": "…"}


def format_reset_choices(builds: Sequence[Mapping[str, object]], event: int | None) -> list[Line]:
    """Return the possible reset points: before each build, or before the task of an event."""
    found = [_format_build_choice(row) for row in builds]
    if event is not None:
        found.append(line(("event ", "dim"), (str(event), "key"), "  the last task completed up to the cursor"))
    return found


def _format_build_choice(row: Mapping[str, object]) -> Line:
    seen = f"  {cell_text(row['first_seen'])[:19]} to {cell_text(row['last_seen'])[:19]}"
    odd = "  the SDK's default build ID: two versions of the code can share it" if row["is_hash"] else ""
    return line(
        ("build ", "dim"),
        (cell_text(row["build_id"], 60), "key"),
        f"  in {row['runs']:,} runs",
        (seen, "dim"),
        (odd, "warn"),
    )


def format_counts(counts: Mapping[str, int]) -> str:
    """Return the nonzero counts with their names."""
    return ", ".join(f"{count:,} {cell_text(name, 60)}" for name, count in counts.items() if count)


def format_warning_codes(item: ResetItem) -> str:
    """Return the codes of the warnings, blocking ones first."""
    order = sorted(item.warnings, key=lambda one: (one.level != BLOCK, one.level != WARN))
    return " ".join(f"{'✗' if one.level == BLOCK else '!' if one.level == WARN else '·'}{one.code}" for one in order)


def format_outcome(found: ItemOutcome | None) -> str:
    """Return what an apply did with the item."""
    return f"{_SIGNS.get(found.state, '·')} {found.state}" if found else ""


def format_certainty(item: ResetItem) -> str:
    """Return how certain the simulation is, in a few characters."""
    found = item.simulation
    if found is None:
        return ""
    if found.get("stopped"):
        return "✗ stopped"
    return f"~ {found['assumed']} assumed" if found.get("assumed") else "✔ exact"


def format_item(one: ResetItem, done: ItemOutcome | None) -> list[Line]:
    """Return everything about one reset."""
    return [
        *_outcome_lines(done),
        *_point_lines(one),
        *_effect_lines(one),
        *_warning_lines(one.warnings),
        *_new_code_lines(one),
        *_server_lines(one),
    ]


def _outcome_lines(done: ItemOutcome | None) -> Iterator[Line]:
    if done is not None:
        good = done.state == "done"
        yield line((f"{format_outcome(done)}  ", "good" if good else "bad"), cell_text(done.message, 400))
        if done.new_run_id:
            yield line(("new run      ", "key"), cell_text(done.new_run_id))
        yield line()


def _point_lines(one: ResetItem) -> Iterator[Line]:
    taken = "" if one.included else "  (not included: a warning blocks it; press i to include it)"
    yield line((cell_text(one.workflow_id, 120), "strong"), f"  {one.status}, {one.events:,} events", (taken, "bad"))
    by = f", completed by build {cell_text(one.point.build_id)}" if one.point.build_id else ""
    yield line(("reset to     ", "key"), f"event {one.point.event_id}{by}", (f"  {cell_text(one.point.at)}", "dim"))
    yield line(("reason       ", "key"), cell_text(one.point.rule, 200))


def _effect_lines(one: ResetItem) -> Iterator[Line]:
    later = f", and {len(one.undone_runs)} later runs" if one.undone_runs else ""
    yield line(("undone       ", "key"), f"{one.undone_events:,} events{later}")
    yield line(("re-applied   ", "key"), format_counts(one.reapplied) or "nothing")
    yield line(("re-executed  ", "key"), format_counts(one.repeats) or "nothing")
    for title, found in (("re-exec local", one.repeats_local), ("pending      ", one.pending_activities)):
        if found:
            yield line((title, "key"), format_counts(found))
    if one.updates_may_change:
        names = ", ".join(cell_text(name, 60) for name in one.updates_may_change[:20])
        yield line(("may change   ", "key"), f"the results of updates {names}")
    for child in one.children_again:
        fixed = "a new ID" if child.random_id else "the same ID"
        about = f"{cell_text(child.workflow_type)} {cell_text(child.workflow_id)} with {fixed}, now {child.state}"
        yield line(("child restart", "key"), f" {about}")


def _warning_lines(found: list[PlanWarning]) -> Iterator[Line]:
    if found:
        yield line()
    for one in sorted(found, key=lambda one: (one.level != BLOCK, one.level != WARN)):
        sign, role = _LEVELS.get(one.level, ("· note   ", "dim"))
        yield line((sign, role), (f"{cell_text(one.code)}  ", "key"), cell_text(one.message, 500))


def _new_code_lines(one: ResetItem) -> Iterator[Line]:
    """Yield the verdict of the prefix under the new code, and the simulation."""
    if one.prefix_verdict is None and one.simulation is None:
        return
    yield line()
    if one.prefix_verdict is not None:
        good = one.prefix_verdict in ("ok", "drift")
        yield line(
            ("prefix       ", "key"), (f"{'✔' if good else '✗'} {one.prefix_verdict}", "good" if good else "bad")
        )
    if one.simulation is not None:
        yield from _simulation_lines(one.simulation)


def _simulation_lines(found: Mapping[str, Any]) -> Iterator[Line]:
    """Yield the result of the simulation; empty parts are left out."""
    answers = f"{found['exact']:,} results exact, {found['assumed']:,} assumed"
    yield line(("simulated    ", "key"), f"{answers}; status {cell_text(found.get('status')) or 'unknown'}")
    if found.get("stopped"):
        yield line(("stopped      ", "key"), (cell_text(found["stopped"], 400), "warn"))
    if found.get("again"):
        yield line(("re-executed  ", "key"), f"{format_counts(found['again'])}")
    if found.get("state") is not None:
        yield line(("state after  ", "key"))
        yield from (line("  ", *row) for row in tree_lines(found["state"], 200))
    rest = {name: value for name, value in found.items() if name not in _TOLD and value not in (None, [], {}, 0)}
    yield from (line("  ", *row) for row in tree_lines(rest, 100))


_TOLD = ("exact", "assumed", "status", "stopped", "again", "state", "runs")


def _server_lines(one: ResetItem) -> Iterator[Line]:
    if one.server is not None:
        yield line()
        yield line(("Server", "strong"))
        yield from (line("  ", *row) for row in tree_lines(one.server, 50))


def format_totals(plan: ResetPlan) -> str:
    """Return the totals of the plan on one line."""
    found: dict[str, Any] = plan.totals
    again = format_counts(found["repeats"]) or "nothing"
    blocked = f", {found['blocked']:,} blocked" if found["blocked"] else ""
    left_out = f", {len(plan.skipped):,} not in the plan" if plan.skipped else ""
    back = f"re-applied: {found['signals']:,} signals, {found['updates']:,} updates"
    return f"{found['items']:,} workflows{blocked}{left_out}; {back}; re-executed: {again}"


def format_skipped(plan: ResetPlan) -> list[Line]:
    """Return the workflows that are not in the plan, and why."""
    return [
        line((cell_text(one.workflow_id or one.run_id or "a run", 80), "key"), f"  {cell_text(one.reason, 400)}")
        for one in plan.skipped
    ]
