"""Tools that look inside a run by replaying it: state, find, blame, simulate, plan_reset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from replaytool.mcp_server.answers import Answer, format_value, name_in_call
from replaytool.mcp_server.desk import Desk, Given, pass_option, refuse, split_list
from replaytool.text import count_noun


def show_state(desk: Desk, given: Given) -> Answer:
    """Answer with the state of a run after an event."""
    options = [*desk.code_options(given), f"--at={given['event']}"]
    result = desk.ask(["debug", "--json"], options, [given["run"]])
    if not result.has_output:
        return refuse(result)
    told = result.json["at"]
    lines = [f"event {told['event_id']} {told['event_type']} {told['name']}, build {told['build_id']}"]
    lines += [f"state.{name} = {format_value(value)}" for name, value in (told.get("state") or {}).items()]
    lines += [f"local {name} = {format_value(value)}" for name, value in (told.get("locals") or {}).items()]
    for frame in told.get("frames") or ():
        site = frame["call_site"] or {}
        lines.append(f"{frame['kind']} {frame['name']} waits at {site.get('file')}:{site.get('line')}")
    lines += [f"waits for: {format_value(one)}" for one in told["pending"]]
    replayed = told.get("replayed") or {}
    if replayed.get("trouble"):
        lines.append(f"trouble: {format_value(replayed['trouble'])}")
    return Answer(f"State after event {told['event_id']}.", lines)


def find_state(desk: Desk, given: Given) -> Answer:
    """Answer with the first event at which an expression over the state is true."""
    if not given.get("run"):
        return _find_in_all_runs(desk, given)
    options = [*desk.code_options(given), f"--find={given['expression']}"]
    return _answer_of_debugger(desk, given, options, "find", "The expression is never true in this run.")


def _find_in_all_runs(desk: Desk, given: Given) -> Answer:
    options = [*desk.code_options(given), *pass_option(given, "where")]
    result = desk.ask(["find", "--json"], options, [given["expression"]])
    if not result.has_output:
        return refuse(result)
    told = result.json
    lines = [
        f"{one['workflow_id']} [{one['run_key']}]: event {one['event_id']}, build {one['build_id']}, "
        f"{one['file']}:{one['line']}: {format_value(one['before'])} → {format_value(one['after'])}"
        for one in told["matches"]
    ]
    lines += [f"not replayed: {one['workflow_id']}: {one['why']}" for one in told["not_replayed"]]
    unknown = f", and nobody knows of {len(told['not_replayed'])}" if told["not_replayed"] else ""
    first = next((name_in_call(one["run_key"]) for one in told["matches"]), "")
    next_call = f'blame(run="{first}", path="…")' if first else ""
    return Answer(f"True in {len(told['matches'])} of {count_noun(told['runs'], 'run')}{unknown}.", lines, next_call)


def blame_value(desk: Desk, given: Given) -> Answer:
    """Answer with the event, build and line that last changed a value."""
    options = [*desk.code_options(given), f"--blame={given['path']}"]
    return _answer_of_debugger(desk, given, options, "blame", "Nothing changed this value.")


def _answer_of_debugger(desk: Desk, given: Given, options: list[str], key: str, nothing: str) -> Answer:
    result = desk.ask(["debug", "--json"], options, [given["run"]])
    if not result.has_output:
        return refuse(result)
    told: Mapping[str, Any] = result.json[key]
    if told.get("error"):
        return Answer("The expression cannot be evaluated.", [str(told["error"])], is_error=True)
    if told.get("event_id") is None:
        return Answer(nothing)
    site = told.get("call_site") or {}
    lines = [f"event {told['event_id']}, build {told['build_id']}, line {site.get('file')}:{site.get('line')}"]
    if "before" in told:
        lines.append(f"{told['path']}: {format_value(told['before'])} → {format_value(told['after'])}")
    if told.get("until"):
        lines.append(f"true up to event {told['until']}")
    name = name_in_call(given["run"])
    return Answer(f"Event {told['event_id']}.", lines, f'state(run="{name}", event="{told["event_id"]}")')


def simulate_run(desk: Desk, given: Given) -> Answer:
    """Answer with what a run would do from an event on, with the code or with edited events."""
    edits = [f"--{name}={one}" for name in ("set", "drop", "insert") for one in split_list(given.get(name, ""))]
    options = [*desk.code_options(given), *pass_option(given, "from"), *edits]
    result = desk.ask(["simulate", "--json"], options, [given["run"]])
    if not result.has_output:
        return refuse(result)
    told = result.json
    lines = [f"prefix: {told['prefix_verdict']} {told['prefix_reason']}".rstrip()]
    lines += [f"stopped: {told['stopped']}"] if told["stopped"] else []
    lines += [f"result: {format_value(told['result'])}"] if told["result"] is not None else []
    lines += [
        f"recorded {format_value(one['recorded'])}, now {format_value(one['simulated'])}" for one in told["changes"]
    ]
    lines += [f"state.{name} = {format_value(value)}" for name, value in (told["state"] or {}).items()]
    lines += [f"executed again: {name} ({count})" for name, count in told["again"].items()]
    assumed = f", {told['assumed']} results assumed" if told["assumed"] else ""
    said = f"From event {told['from']}: {told['same']} commands as recorded, {len(told['changes'])} different{assumed}."
    return Answer(f"{said} It ends {told['status']}.", lines)


def plan_reset(desk: Desk, given: Given) -> Answer:
    """Answer with what a reset would touch. The plan is not written, and no server is contacted."""
    code = desk.code_options(given) if given.get("workflows") else []
    rule = pass_option(given, "build", "event", "before_activity", "where")
    rule += ["--first-task"] if given.get("first_task") in ("true", "1", "yes") else []
    result = desk.ask(["reset", "plan", "--json"], [*code, *rule])
    if not result.has_output:
        return refuse(result)
    told = result.json
    totals = told["totals"]
    lines = [f"executed again: {name} ({count})" for name, count in totals["repeats"].items()]
    lines += [f"warning: {format_value(one)}" for one in told["warnings"]]
    lines += [_describe_item(one) for one in told["items"]]
    lines += [f"left out: {one['workflow_id']}: {one['reason']}" for one in told["skipped"]]
    said = f"{count_noun(totals['items'], 'workflow')} would be reset, {totals['blocked']} are blocked by a warning."
    return Answer(f"{said} Nothing was written; a person applies a plan.", lines)


def _describe_item(one: Mapping[str, Any]) -> str:
    said = "; ".join(f"{each['code']}: {each['message']}" for each in one["warnings"][:3])
    prefix = f", prefix {one['prefix_verdict']}" if one["prefix_verdict"] else ""
    return f"{one['workflow_id']}: to event {one['point']['event_id']}, {one['undone_events']} undone{prefix}. {said}"
