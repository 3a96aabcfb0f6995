"""Tools that only look at what is loaded: they run no workflow code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from replaytool.mcp_server.answers import Answer, format_value, name_in_call
from replaytool.mcp_server.desk import Desk, Given, pass_option, refuse
from replaytool.text import count_noun


def list_runs(desk: Desk, given: Given) -> Answer:
    """Answer with one line a run."""
    result = desk.ask(["runs", "--json"], pass_option(given, "where", "type", "status", "build", "verdict"))
    if not result.has_output:
        return refuse(result)
    rows = result.json
    names = ("run_key", "workflow_id", "workflow_type", "status", "event_count", "first_build", "last_build")
    lines = [" ".join(f"{name}={format_value(row[name], 60)}" for name in names) for row in rows]
    first = name_in_call(rows[0]["run_key"]) if rows else "…"
    return Answer(f"{count_noun(len(rows), 'run')}, oldest first.", lines, f'show(run="{first}")' if rows else "")


def show_run(desk: Desk, given: Given) -> Answer:
    """Answer with the events of a run, or with one of them in full."""
    event = pass_option(given, "event")
    result = desk.ask(["show", "--json"], event, [given["run"]])
    if not result.has_output:
        return refuse(result)
    told = result.json
    if event:
        return Answer("One event, in full.", json.dumps(told, indent=1, ensure_ascii=False).splitlines())
    key, events = name_in_call(told["run"]["run_key"]), told["events"]
    lines = [f"{name}={format_value(told['run'][name])}" for name in ("workflow_id", "workflow_type", "status")]
    lines += [f"problem: {format_value(one)}" for one in told["problems"]]
    lines += [_describe_event(one) for one in events]
    return Answer(f"Run {key}: {count_noun(len(events), 'event')}.", lines, f'explain(run="{key}")')


def _describe_event(event: Mapping[str, Any]) -> str:
    names = ("event_type", "name", "build_id")
    return " ".join([str(event["event_id"]), *(str(event[name]) for name in names if event.get(name))])


def list_builds(desk: Desk, given: Given) -> Answer:
    """Answer with one line a build."""
    result = desk.ask(["builds", "--json"])
    if not result.has_output:
        return refuse(result)
    names = ("build_id", "runs", "tasks", "activities", "first_seen", "last_seen")
    lines = [" ".join(f"{name}={format_value(row[name], 60)}" for name in names) for row in result.json]
    return Answer(f"{count_noun(len(lines), 'build')}, oldest first.", lines, 'runs(build="…")')


def compare_runs(desk: Desk, given: Given) -> Answer:
    """Answer with what two runs did differently."""
    result = desk.ask(["diff", "--json"], (), [given["left"], given["right"]])
    if not result.has_output:
        return refuse(result)
    pairs = result.json["pairs"]
    lines = []
    for one in pairs:
        changes = "; ".join(
            f"{each['path']}: {format_value(each['left'], 60)} → {format_value(each['right'], 60)}"
            for each in one["changes"][:4]
        )
        place = f"events {one['left_event_id']} and {one['right_event_id']}"
        lines.append(f"{one['mark']} {one['kind']} {one['name']} ({place}) {changes}".rstrip())
    return Answer(f"{count_noun(len(pairs), 'difference')}. - only left, + only right, ~ both.", lines)


def query_store(desk: Desk, given: Given) -> Answer:
    """Answer with the rows of a read-only query."""
    result = desk.ask(["sql", "--json"], (), [given["query"]])
    if not result.has_output:
        return refuse(result)
    rows = result.json
    return Answer(
        f"{count_noun(len(rows), 'row')}.", [json.dumps(row, ensure_ascii=False, default=str) for row in rows]
    )
