"""What a reset plan says, for reading: pure functions from the values of a plan to lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from replaytool.model.reset_plan import BLOCK, WARN, ItemOutcome, PlanWarning, ResetItem, ResetPlan
from replaytool.tui.styled_lines import Line, cell, line, tree

_LEVELS = {BLOCK: ("✗ blocks ", "bad"), WARN: ("! warns  ", "warn")}
_SIGNS = {"done": "✔", "failed": "✗", "refused": "✗", "lost": "?", "intended": "…"}


def choices(builds: Sequence[Mapping[str, Any]], event: int | None) -> list[Line]:
    """Where one can go back to: before a build, or before the task of an event."""
    found = [_build(row) for row in builds]
    if event is not None:
        found.append(line(("event ", "dim"), (str(event), "key"), "  the last task completed up to the cursor"))
    return found


def _build(row: Mapping[str, Any]) -> Line:
    seen = f"  {cell(row['first_seen'])[:19]} to {cell(row['last_seen'])[:19]}"
    odd = "  an SDK hash, which tells no versions apart" if row["is_hash"] else ""
    return line(
        ("build ", "dim"),
        (cell(row["build_id"], 60), "key"),
        f"  in {row['runs']:,} runs",
        (seen, "dim"),
        (odd, "warn"),
    )


def counted(counts: Mapping[str, int]) -> str:
    """Names with how often, those that happen at all."""
    return ", ".join(f"{count:,} {cell(name, 60)}" for name, count in counts.items() if count)


def worst(item: ResetItem) -> str:
    """The codes of the warnings, what blocks first."""
    order = sorted(item.warnings, key=lambda one: (one.level != BLOCK, one.level != WARN))
    return " ".join(f"{'✗' if one.level == BLOCK else '!' if one.level == WARN else '·'}{one.code}" for one in order)


def outcome(found: ItemOutcome | None) -> str:
    """What an apply did about the item."""
    return f"{_SIGNS.get(found.state, '·')} {found.state}" if found else ""


def simulated(item: ResetItem) -> str:
    """How sure the simulation is, in a few characters."""
    found = item.simulation
    if found is None:
        return ""
    if found.get("stopped"):
        return "✗ stopped"
    return f"~ {found['assumed']} assumed" if found.get("assumed") else "✔ exact"


def item(one: ResetItem, done: ItemOutcome | None) -> list[Line]:
    """All that is known about one reset."""
    return [*_outcome(done), *_point(one), *_effects(one), *_warnings(one.warnings), *_new_code(one), *_server(one)]


def _outcome(done: ItemOutcome | None) -> Iterator[Line]:
    if done is not None:
        good = done.state == "done"
        yield line((f"{outcome(done)}  ", "good" if good else "bad"), cell(done.message, 400))
        if done.new_run_id:
            yield line(("new run    ", "key"), cell(done.new_run_id))
        yield line()


def _point(one: ResetItem) -> Iterator[Line]:
    taken = "" if one.included else "  (left out: a warning blocks it; i takes it nevertheless)"
    yield line((cell(one.workflow_id, 120), "strong"), f"  {one.status}, {one.events:,} events", (taken, "bad"))
    by = f", completed by build {cell(one.point.build_id)}" if one.point.build_id else ""
    yield line(("back to    ", "key"), f"event {one.point.event_id}{by}", (f"  {cell(one.point.at)}", "dim"))
    yield line(("because    ", "key"), cell(one.point.rule, 200))


def _effects(one: ResetItem) -> Iterator[Line]:
    later = f", and {len(one.undone_runs)} later runs" if one.undone_runs else ""
    yield line(("undone     ", "key"), f"{one.undone_events:,} events{later}")
    yield line(("comes back ", "key"), counted(one.reapplied) or "nothing")
    yield line(("runs again ", "key"), counted(one.repeats) or "nothing")
    for title, found in (("local      ", one.repeats_local), ("under way  ", one.pending_activities)):
        if found:
            yield line((title, "key"), counted(found))
    if one.updates_may_change:
        names = ", ".join(cell(name, 60) for name in one.updates_may_change[:20])
        yield line(("may change ", "key"), f"the results of updates {names}")
    for child in one.children_again:
        fixed = "a new id" if child.random_id else "the same id"
        about = f"{cell(child.workflow_type)} {cell(child.workflow_id)} with {fixed}, now {child.state}"
        yield line(("child again", "key"), f" {about}")


def _warnings(found: list[PlanWarning]) -> Iterator[Line]:
    if found:
        yield line()
    for one in sorted(found, key=lambda one: (one.level != BLOCK, one.level != WARN)):
        sign, role = _LEVELS.get(one.level, ("· note   ", "dim"))
        yield line((sign, role), (f"{cell(one.code)}  ", "key"), cell(one.message, 500))


def _new_code(one: ResetItem) -> Iterator[Line]:
    """The kept part replayed with the new code, and what would follow."""
    if one.prefix_verdict is None and one.simulation is None:
        return
    yield line()
    if one.prefix_verdict is not None:
        good = one.prefix_verdict in ("ok", "drift")
        yield line(("kept part  ", "key"), (f"{'✔' if good else '✗'} {one.prefix_verdict}", "good" if good else "bad"))
    if one.simulation is not None:
        yield from _simulation(one.simulation)


def _simulation(found: Mapping[str, Any]) -> Iterator[Line]:
    """What becomes of it; what there is nothing of takes no room."""
    answers = f"{found['exact']:,} answers exact, {found['assumed']:,} assumed"
    yield line(("simulated  ", "key"), f"{answers}; then {cell(found.get('status')) or 'unknown'}")
    if found.get("stopped"):
        yield line(("stopped    ", "key"), (cell(found["stopped"], 400), "warn"))
    if found.get("again"):
        yield line(("really runs", "key"), f" {counted(found['again'])}")
    if found.get("state") is not None:
        yield line(("state after", "key"))
        yield from (line("  ", *row) for row in tree(found["state"], 200))
    rest = {name: value for name, value in found.items() if name not in _TOLD and value not in (None, [], {}, 0)}
    yield from (line("  ", *row) for row in tree(rest, 100))


_TOLD = ("exact", "assumed", "status", "stopped", "again", "state", "runs")


def _server(one: ResetItem) -> Iterator[Line]:
    if one.server is not None:
        yield line()
        yield line(("Server", "strong"))
        yield from (line("  ", *row) for row in tree(one.server, 50))


def as_json(one: ResetItem) -> Any:
    """Plain data, as the plan's file has it."""
    return msgspec.to_builtins(one)


def totals(plan: ResetPlan) -> str:
    """All items in a line."""
    found: dict[str, Any] = plan.totals
    again = counted(found["repeats"]) or "nothing"
    blocked = f", {found['blocked']:,} blocked" if found["blocked"] else ""
    left_out = f", {len(plan.skipped):,} left out" if plan.skipped else ""
    back = f"{found['signals']:,} signals and {found['updates']:,} updates come back"
    return f"{found['items']:,} workflows{blocked}{left_out}; {back}; runs again: {again}"


def skipped(plan: ResetPlan) -> list[Line]:
    """What is not in the plan, and why."""
    return [
        line((cell(one.workflow_id or one.run_id or "a run", 80), "key"), f"  {cell(one.reason, 400)}")
        for one in plan.skipped
    ]
