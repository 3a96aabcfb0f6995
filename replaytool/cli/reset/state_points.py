"""What `replaytool reset plan` has to replay before it can plan: rules and choices about states and verdicts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from replaytool.cli.shared import code_options as code
from replaytool.cli.shared import options
from replaytool.errors import ReplaytoolError

if TYPE_CHECKING:
    from replaytool.engines.temporal.reset.points import ResetRule
    from replaytool.reset.selection import RunSelection
    from replaytool.reset.state_points import StateSearch
    from replaytool.session import Session

_BY_REPLAYING = ("state_changed", "latest_clean")


def looked(
    work: Session, given: dict[str, Any], rule: ResetRule, choice: RunSelection
) -> tuple[ResetRule, RunSelection]:
    """The same, with what checks and replays know of the runs."""
    from replaytool.reset import selection
    from replaytool.reset import state_points as looking

    choice = _checked(work, given, choice)
    if rule.kind not in _BY_REPLAYING and not given["where_state"]:
        return rule, choice
    with code.progress("replaying") as (_, told):
        how = _looking(work, given, told)
        if given["where_state"]:
            chosen = selection.select_runs(work.store, choice)
            records = [one for one in chosen.records if one.run_key in chosen.matched]
            choice = replace(choice, only=looking.find_runs_where_true(work.store, records, given["where_state"], how))
        if rule.kind in _BY_REPLAYING:
            records = list(selection.select_runs(work.store, choice).records)
            seen = (
                looking.find_state_changes(work.store, records, rule.value, how)
                if rule.kind == "state_changed"
                else looking.find_clean_prefixes(work.store, records, how)
            )
            rule = replace(rule, points=seen.points, troubles=seen.troubles)
    return rule, choice


def _checked(work: Session, given: dict[str, Any], choice: RunSelection) -> RunSelection:
    """Only what the last check of each run said."""
    if not (given["only_diverged"] or given["only_stuck"]):
        return choice
    rows = work.store.read_newest_verdicts()
    if not rows:
        raise ReplaytoolError("no run has been checked", "`replaytool check --workflows …` keeps verdicts in the store")
    only = {
        row["run_key"]
        for row in rows
        if (given["only_diverged"] and row["detail"]["verdict"] == "diverged")
        or (given["only_stuck"] and row["detail"].get("stuck"))
    }
    return replace(choice, only=frozenset(only))


def _looking(work: Session, given: dict[str, Any], told: Any) -> StateSearch:
    from replaytool.reset.state_points import NO_CODE, StateSearch

    found = work.code_map(given["workflows"], options.by_build(given["by_build"]))
    if found is None:
        raise ReplaytoolError("no workflow code was named to replay with", NO_CODE)
    plan = code.plan(work.settings, given)
    if plan is None:
        return StateSearch(found, progress=told)
    return StateSearch(found, plan.options, plan.limits, told)
