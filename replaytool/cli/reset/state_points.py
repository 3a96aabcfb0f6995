"""Rules and filters of `replaytool reset plan` that need stored verdicts or a replay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from replaytool.cli.shared import code_options as code
from replaytool.cli.shared import options
from replaytool.errors import ErrorCode, ReplaytoolError

if TYPE_CHECKING:
    from replaytool.model.reset_case import ResetRule
    from replaytool.reset.selection import RunSelection
    from replaytool.reset.state_points import StateSearch
    from replaytool.session import Session

_BY_REPLAYING = ("state_changed", "latest_clean")


def apply_state_rules(
    work: Session, given: dict[str, Any], rule: ResetRule, choice: RunSelection
) -> tuple[ResetRule, RunSelection]:
    """Return rule and choice, narrowed by stored verdicts and by the states that a replay finds."""
    from replaytool.reset import selection
    from replaytool.reset import state_points as looking

    choice = _choose_by_verdict(work, choice, diverged=given["only_diverged"], stuck=given["only_stuck"])
    if rule.kind not in _BY_REPLAYING and not given["where_state"]:
        return rule, choice
    with code.show_key_progress("replaying") as (_, told):
        how = _make_state_search(work, given, told)
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


def _choose_by_verdict(work: Session, choice: RunSelection, *, diverged: bool, stuck: bool) -> RunSelection:
    """Keep only runs whose last check found what --only-diverged or --only-stuck asks for."""
    if not (diverged or stuck):
        return choice
    rows = work.store.read_newest_verdicts()
    if not rows:
        raise ReplaytoolError(
            "the store has no verdicts",
            "run `replaytool check --workflows CODE` without a SOURCE first",
            code=ErrorCode.CHECK_NO_VERDICTS,
        )
    only = {
        row["run_key"]
        for row in rows
        if (diverged and row["detail"]["verdict"] == "diverged") or (stuck and row["detail"].get("stuck"))
    }
    return replace(choice, only=frozenset(only))


def _make_state_search(work: Session, given: dict[str, Any], told: Callable[[str], None]) -> StateSearch:
    from replaytool.reset.state_points import NO_CODE, StateSearch

    found = work.find_code_map(given["workflows"], options.parse_build_codes(given["by_build"]))
    if found is None:
        raise ReplaytoolError("no workflow code given", NO_CODE, code=ErrorCode.CODE_NOT_NAMED)
    plan = code.find_replay_plan(work.settings, **given)
    if plan is None:
        return StateSearch(found, progress=told)
    return StateSearch(found, plan.options, plan.limits, told)
