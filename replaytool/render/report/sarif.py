"""SARIF 2.1.0 for code scanning services: one rule per verdict, one result per cause."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import PurePath
from urllib.parse import quote

from replaytool import __version__
from replaytool.model.guilty import EditHunk
from replaytool.model.verdict import CallSite, CheckReport
from replaytool.render.code_frame import path_in_repository
from replaytool.render.report.guilty_edits import find_line, format_headline, format_proof, list_guilty_edits
from replaytool.render.report.summary import (
    ReportedCause,
    format_command,
    format_expected,
    format_run_name,
    list_reported_causes,
)
from replaytool.text import cut_long_words_inside, escape_controls

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_MOST_RESULTS = 5_000
"""GitHub keeps this many results."""
_MOST_RUNS = 100
_MOST_RELATED = 20
_RULES = {
    "diverged": ("Nondeterminism", "The code issues other commands than the history records.", "error"),
    "failed": ("TaskFails", "A workflow task fails with this code.", "error"),
    "crashed": ("ReplayCrashed", "The replay's process died, or ran out of time or memory.", "error"),
    "unverified": ("Unverified", "It could not be decided whether the code follows the history.", "warning"),
    "guilty": ("GuiltyEdit", "Replays have shown that runs fail with this edit alone.", "error"),
    "drift": ("Drift", "The commands match, but an input, an option or a result differs.", "warning"),
}
_GUILTY = "guilty"
_ORDER = list(_RULES)


def render(report: CheckReport) -> str:
    """Return a log with one run."""
    fails = any(report.is_failing(one) for one in report.runs)
    run = {
        "tool": {"driver": {
            "name": "replaytool", "version": __version__, "semanticVersion": __version__,
            "rules": [_make_rule(word) for word in _ORDER],
        }},
        "columnKind": "unicodeCodePoints",
        "automationDetails": {"id": "replaytool/"},
        "invocations": [{"executionSuccessful": report.complete, "exitCode": int(fails)}],
        "results": [
            cut_long_words_inside(one, {"uri"})
            for one in islice(
                chain(_make_guilty_results(report), map(_make_result, list_reported_causes(report))), _MOST_RESULTS
            )
        ],
        "properties": {"summary": report.blast_radius_sentence()},
    }  # fmt: skip
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1) + "\n"


def _make_rule(word: str) -> dict[str, object]:
    called, said, level = _RULES[word]
    return {
        "id": word, "name": called, "shortDescription": {"text": said}, "fullDescription": {"text": said},
        "help": {"text": f"{said} `replaytool check --format text` shows both sides and the line."},
        "defaultConfiguration": {"level": level},
    }  # fmt: skip


def _make_guilty_results(report: CheckReport) -> Iterator[dict[str, object]]:
    """Yield a result for each edit that breaks runs; where the runs part from their records is related."""
    causes = list_reported_causes(report)
    for found in list_guilty_edits(report):
        sites = [
            one.cause.call_site
            for one in causes
            if one.cause.call_site and {run.subject.run_key for run in one.runs} & set(found.breaks)
        ]
        first, *others = [_make_edit_location(hunk) for hunk in found.hunks]
        yield {
            "ruleId": _GUILTY, "ruleIndex": _ORDER.index(_GUILTY), "level": "error",
            "message": {"text": f"{format_headline(found)}; {format_proof(found)}"},
            "locations": [first],
            "relatedLocations": [*others, *map(_make_location, sites[:_MOST_RELATED])],
            "properties": {"runs": list(found.breaks[:_MOST_RUNS]), "alone": found.alone},
        }  # fmt: skip


def _make_edit_location(hunk: EditHunk) -> dict[str, object]:
    region = {"startLine": find_line(hunk), "endLine": max(hunk.new_start + hunk.new_lines - 1, find_line(hunk))}
    artifact = {"uri": quote(hunk.path, errors="surrogateescape"), "uriBaseId": "%SRCROOT%"}
    return {"physicalLocation": {"artifactLocation": artifact, "region": region}}


def _make_result(one: ReportedCause) -> dict[str, object]:
    cause = one.cause
    keys = [run.subject.run_key for run in one.runs[:_MOST_RUNS]]
    result: dict[str, object] = {
        "ruleId": cause.verdict, "ruleIndex": _ORDER.index(cause.verdict), "level": one.level,
        "message": {"text": _format_message(one)},
        "locations": [_make_location(cause.call_site or CallSite(one.example.subject.source, 1, ""))],
        "partialFingerprints": {"replaytool/v1": cause.fingerprint},
        "occurrenceCount": cause.runs,
        "properties": {"runs": keys, "known": cause.known},
    }  # fmt: skip
    if cause.known:
        result["baselineState"] = "unchanged" if cause.known == cause.runs else "updated"
    if flow := _make_code_flow(one):
        result["codeFlows"] = [{"threadFlows": [{"locations": flow}]}]
    return result


def _format_message(one: ReportedCause) -> str:
    divergence = one.example.verdict.divergence
    lines = [f"{one.headline} ({one.run_count_text})"]
    if divergence is not None and divergence.advice:
        lines.append(escape_controls(divergence.advice))
    example = f"{escape_controls(one.example.subject.workflow_type)} {format_run_name(one.example)}"
    lines.append(f"For example {example}: {one.debug_command}")
    return "\n".join(lines)


def _make_code_flow(one: ReportedCause) -> list[dict[str, object]]:
    """Return the commands that matched, in order, then the one that did not."""
    found = one.example.verdict.divergence
    if found is None or found.call_site is None:
        return []
    steps = [
        _make_flow_step(match.actual.call_site, f"{format_expected(match.expected)}: as recorded")
        for match in found.before
        if match.actual.call_site
    ]
    asked = format_command(found.actual) if found.actual else "nothing"
    recorded = format_expected(found.expected) if found.expected else "nothing"
    return [*steps, _make_flow_step(found.call_site, f"history: {recorded}; code: {asked}")]


def _make_flow_step(site: CallSite, said: str) -> dict[str, object]:
    return {"location": {**_make_location(site), "message": {"text": said}}}


def _make_location(site: CallSite) -> dict[str, object]:
    path = path_in_repository(site.file)
    is_inside = path and not PurePath(path).is_absolute() and ":" not in path
    artifact = {"uri": quote(path), "uriBaseId": "%SRCROOT%"} if is_inside else {"uri": _make_outside_uri(path)}
    location: dict[str, object] = {
        "physicalLocation": {"artifactLocation": artifact, "region": {"startLine": max(site.line, 1)}}
    }
    if site.function:
        location["logicalLocations"] = [{"fullyQualifiedName": escape_controls(site.function), "kind": "function"}]
    return location


def _make_outside_uri(path: str) -> str:
    """Return the URI of a path outside the repository, or of a source without a path: a bucket, a server, stdin."""
    return PurePath(path).as_uri() if PurePath(path).is_absolute() else quote(path or "unknown", safe="/:")
