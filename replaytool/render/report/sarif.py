"""SARIF 2.1.0, which code scanning services read: a rule for each verdict, a result for each cause."""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from replaytool import __version__
from replaytool.model.verdict import CallSite, CheckReport, MatchedPair
from replaytool.render.code_frame import in_repository
from replaytool.render.report.summary import Told, command_line, expected_line, look, name, told
from replaytool.text import visible

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_MOST_RESULTS = 5_000
"""GitHub keeps so many."""
_MOST_RUNS = 100
_RULES = {
    "diverged": ("Nondeterminism", "The code asks for something else than the history records.", "error"),
    "failed": ("TaskFails", "A workflow task fails with this code.", "error"),
    "crashed": ("ReplayCrashed", "The replay's process died, or ran out of time or memory.", "error"),
    "unverified": ("Unverified", "It could not be decided whether the code follows the history.", "warning"),
    "drift": ("Drift", "The same commands with another input, option or result.", "warning"),
}
_ORDER = list(_RULES)


def render(report: CheckReport) -> str:
    """One log with one run."""
    fails = any(report.is_failing(one) for one in report.runs)
    run = {
        "tool": {"driver": {
            "name": "replaytool", "version": __version__, "semanticVersion": __version__,
            "rules": [_rule(word) for word in _ORDER],
        }},
        "columnKind": "unicodeCodePoints",
        "automationDetails": {"id": "replaytool/"},
        "invocations": [{"executionSuccessful": report.complete, "exitCode": int(fails)}],
        "results": [_result(one) for one in told(report)[:_MOST_RESULTS]],
        "properties": {"summary": report.count_blast_radius().sentence()},
    }  # fmt: skip
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1) + "\n"


def _rule(word: str) -> dict[str, Any]:
    called, said, level = _RULES[word]
    return {
        "id": word, "name": called, "shortDescription": {"text": said}, "fullDescription": {"text": said},
        "help": {"text": f"{said} `replaytool check --format text` shows both sides and the line."},
        "defaultConfiguration": {"level": level},
    }  # fmt: skip


def _result(one: Told) -> dict[str, Any]:
    cause = one.cause
    keys = [run.subject.run_key for run in one.runs[:_MOST_RUNS]]
    result: dict[str, Any] = {
        "ruleId": cause.verdict, "ruleIndex": _ORDER.index(cause.verdict), "level": one.level,
        "message": {"text": _message(one)},
        "locations": [_location(cause.call_site or CallSite(one.example.subject.source, 1, ""))],
        "partialFingerprints": {"replaytool/v1": cause.fingerprint},
        "occurrenceCount": cause.runs,
        "properties": {"runs": keys, "known": cause.known},
    }  # fmt: skip
    if cause.known:
        result["baselineState"] = "unchanged" if cause.known == cause.runs else "updated"
    if flow := _flow(one):
        result["codeFlows"] = [{"threadFlows": [{"locations": flow}]}]
    return result


def _message(one: Told) -> str:
    divergence = one.example.verdict.divergence
    lines = [f"{one.title} ({one.count})"]
    if divergence is not None and divergence.advice:
        lines.append(visible(divergence.advice))
    lines.append(f"For example {visible(one.example.subject.workflow_type)} {name(one.example)}: {look(one.example)}")
    return "\n".join(lines)


def _flow(one: Told) -> list[dict[str, Any]]:
    """The commands that still agreed, one after the other, and the one that does not."""
    found = one.example.verdict.divergence
    if found is None or found.call_site is None:
        return []
    steps = [_step(match.actual.call_site, _agreed(match)) for match in found.before if match.actual.call_site]
    asked = command_line(found.actual) if found.actual else "nothing"
    recorded = expected_line(found.expected) if found.expected else "nothing"
    return [*steps, _step(found.call_site, f"history: {recorded}; code: {asked}")]


def _agreed(match: MatchedPair) -> str:
    return f"{expected_line(match.expected)}: as recorded"


def _step(site: CallSite, said: str) -> dict[str, Any]:
    return {"location": {**_location(site), "message": {"text": said}}}


def _location(site: CallSite) -> dict[str, Any]:
    path = in_repository(site.file)
    is_inside = path and not PurePath(path).is_absolute() and ":" not in path
    artifact = {"uri": quote(path), "uriBaseId": "%SRCROOT%"} if is_inside else {"uri": _elsewhere(path)}
    location: dict[str, Any] = {
        "physicalLocation": {"artifactLocation": artifact, "region": {"startLine": max(site.line, 1)}}
    }
    if site.function:
        location["logicalLocations"] = [{"fullyQualifiedName": visible(site.function), "kind": "function"}]
    return location


def _elsewhere(path: str) -> str:
    """What lies outside, or has no place at all: a bucket, a server, standard input."""
    return PurePath(path).as_uri() if PurePath(path).is_absolute() else quote(path or "unknown", safe="/:")
