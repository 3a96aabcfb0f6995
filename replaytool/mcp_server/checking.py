"""Tools that replay runs with the code of the checkout: check, explain, guilty, fix."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from replaytool.mcp_server.answers import Answer, format_value, name_in_call
from replaytool.mcp_server.desk import Desk, Given, pass_option, refuse, split_list
from replaytool.text import count_noun


def _ask_check(desk: Desk, given: Given, *more: str) -> Any:
    """Return the report of a check, or the answer that says why there is none."""
    histories = [desk.access.require_readable(one) for one in split_list(given.get("histories", ""))]
    options = [*desk.code_options(given), *pass_option(given, "where", "type", "base"), *more]
    result = desk.ask(["check"], options, histories)
    return result.json if result.has_output and result.out.lstrip().startswith("{") else refuse(result)


def check_code(desk: Desk, given: Given) -> Answer:
    """Answer with the verdict of all runs, by cause."""
    told = _ask_check(desk, given, "--format=brief")
    if isinstance(told, Answer):
        return told
    summary, causes = told["summary"], told["causes"]
    words = ", ".join(f"{summary[word]} {word}" for word in summary if word not in ("runs", "seconds", "events"))
    said = f"{count_noun(summary['runs'], 'run')} checked: {words}. {told['failing_runs']} failing."
    if not told["complete"]:
        said += " The check was interrupted."
    lines = [_write_cause(one) for one in causes]
    if told["causes_left_out"]:
        lines.append(f"… and {told['causes_left_out']} more causes")
    lines += [f"code: {one}" for one in told["code"]] + [f"cannot be seen: {one}" for one in told["cannot_see"]]
    return Answer(said, lines, _suggest_after_check(told, given))


def _suggest_after_check(told: Mapping[str, Any], given: Given) -> str:
    if not told["failing_runs"] or not told["causes"]:
        return ""
    if given.get("base"):
        return f'guilty(base="{name_in_call(given["base"])}")'
    return f'explain(run="{name_in_call(told["causes"][0]["run"])}")'


def _write_cause(one: Mapping[str, Any]) -> str:
    runs, place = count_noun(one["runs"], "run"), one.get("where") or "no line"
    event = f", event {one['event']}" if one.get("event") else ""
    advice = f" Advice: {one['advice']}" if one.get("advice") else ""
    return f"{one['verdict']} ({runs}, such as {one['run']}{event}) at {place}: {one['message']}.{advice}"


def explain_run(desk: Desk, given: Given) -> Answer:
    """Answer with what the code does otherwise than one run, where, and what to do."""
    known = desk.ask(["show", "--json"], (), [given["run"]])
    if not known.has_output:
        return refuse(known)
    key = known.json["run"]["run_key"]
    told = _ask_check(desk, {**given, "where": f"run_key = '{str(key).replace(chr(39), '')}'"}, "--format=json")
    if isinstance(told, Answer):
        return told
    if not told["runs"]:
        return Answer("This run was not replayed.", is_error=True)
    run = told["runs"][0]
    name = name_in_call(key)
    lines = [*_explain_verdict(run)]
    event = run.get("divergence") or run.get("failure") or {}
    next_call = f'state(run="{name}", event="{event["event_id"]}")' if event else ""
    return Answer(f"Run {name} is {run['verdict']}.", lines, next_call)


def _explain_verdict(run: Mapping[str, Any]) -> Iterator[str]:
    yield f"workflow {run['workflow_id']} of type {run['workflow_type']}: {run['reason'] or 'the code follows it'}"
    told = run.get("divergence")
    if told:
        yield f"history: event {told['event_id']}: {_write_side(told.get('expected'))}"
        yield f"code: {_write_side(told.get('actual'))}"
        yield from _name_line(told.get("call_site"))
        yield from ([f"advice: {told['advice']}"] if told.get("advice") else [])
    failure = run.get("failure")
    if failure:
        yield f"failure at event {failure['event_id']}: {failure['type']}: {failure['message']}"
        yield from _name_line(failure.get("call_site"))
        yield from ([f"advice: {failure['advice']}"] if failure.get("advice") else [])
    for one in run.get("drift") or ():
        sides = f"{format_value(one['recorded'])} → {format_value(one['produced'])}"
        yield f"drift at event {one['event_id']}: {one['path']}: {sides}"
    for one in run.get("hazards") or ():
        yield f"hazard: {format_value(one)}"
    for one in run.get("cannot_see") or ():
        yield f"cannot be seen: {one}"


def _write_side(side: Mapping[str, Any] | None) -> str:
    if not side:
        return "nothing"
    fields = {key: value for key, value in side["fields"].items() if value}
    return f"{side['kind']} {side['name']} {format_value(fields) if fields else ''}".rstrip()


def _name_line(site: Mapping[str, Any] | None) -> Iterator[str]:
    if site:
        callers = "".join(f", called at {one['file']}:{one['line']}" for one in site["chain"][:3])
        yield f"line: {site['file']}:{site['line']} in {site['function']}{callers}"


def find_guilty_edits(desk: Desk, given: Given) -> Answer:
    """Answer with the edits since the base that break runs."""
    told = _ask_check(desk, given, "--guilty=failures", "--format=brief")
    if isinstance(told, Answer):
        return told
    found, search = told["guilty"], told["guilty_search"]
    if not found:
        return Answer(f"No edit is guilty; {told['failing_runs']} runs fail.", [search["note"]])
    lines = [_join_edits(one) for one in found]
    more = told["guilty_left_out"]
    said = f"{count_noun(len(found) + more, 'guilty set')} of edits, proven by replaying subsets of the change."
    if not search["complete"]:
        said += " The search ran out of time: this is the best so far."
    return Answer(said, lines, f'fix(base="{name_in_call(given["base"])}")')


def _join_edits(one: Mapping[str, Any]) -> str:
    edits: Sequence[Mapping[str, str]] = one["edits"]
    listed = "; ".join(f"{each['where']}: -{each['removed']} +{each['added']}" for each in edits)
    more = f" and {one['more_edits']} more edits" if one["more_edits"] else ""
    alone = "" if one["alone"] else " (these could not be separated)"
    return f"breaks {count_noun(one['breaks'], 'run')}: {listed}{more}{alone}"


def propose_fix(desk: Desk, given: Given) -> Answer:
    """Answer with the diff of a proven fix; no file of the project is written."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "fix.diff"
        told = _ask_check(desk, given, "--fix", f"--output={file}", "--format=brief")
        if isinstance(told, Answer):
            return told
        diff = file.read_text(errors="replace") if file.exists() else ""
    fix = told["guilty_search"].get("fix") or {}
    if not diff:
        return Answer("There is no proven fix.", [fix.get("note") or told["guilty_search"]["note"]])
    said = f"A fix for `git apply`. Replays have proven it: {count_noun(fix['healed'], 'run')} pass again."
    return Answer(said, diff.splitlines(), f'check(base="{name_in_call(given["base"])}")')


def judge_patches(desk: Desk, given: Given) -> Answer:
    """Answer with what may become of each patch, proven by replays of the open runs."""
    histories = [desk.access.require_readable(one) for one in split_list(given.get("histories", ""))]
    options = [*desk.code_options(given), *pass_option(given, "where", "type", "patch")]
    result = desk.ask(["patches", "--json"], options, histories)
    if not result.has_output:
        return refuse(result)
    told = result.json
    lines = [_write_patch(one) for one in told["patches"]]
    lines += [f"note: {format_value(one)}" for one in (*told["unreadable"], *told["notes"])]
    runs = told["runs"]
    said = f"Patches: {len(told['patches'])}; {runs['open']} open and {runs['closed']} closed runs."
    return Answer(f"{said} A person decides before a patch is deleted.", lines)


def _write_patch(one: Mapping[str, Any]) -> str:
    calls = ", ".join(f"{call['file']}:{call['line']}" for call in one["calls"]) or "no call"
    counts = ", ".join(f"{count} open {word}" for word, count in one["open"].items())
    more = "".join(f" {format_value(text)}" for text in (one["caution"], *one["findings"]) if text)
    return f"{one['id']}: {one['verdict'] or 'no call'}: {one['reason']} ({counts}; {calls}){more}"
