"""JUnit XML, which CI systems show next to unit tests: one suite per workflow type, one case per run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from replaytool.check.causes import describe_finding
from replaytool.model.guilty import GuiltySearch
from replaytool.model.verdict import CheckedRun, CheckReport
from replaytool.render.code_frame import path_in_repository
from replaytool.render.report.guilty_edits import (
    format_headline,
    format_proof,
    list_diff_lines,
    list_fix_lines,
    list_search_notes,
)
from replaytool.render.report.summary import (
    format_command,
    format_debug_command,
    format_run_name,
    list_side_lines,
    list_uncompared_parts,
)
from replaytool.text import cut_long_path, cut_long_words, escape_controls

_TALLIES = ("failures", "errors", "skipped")


def render(report: CheckReport) -> str:
    """Return the XML document."""
    root = Element("testsuites", name="replaytool", time=f"{report.seconds:.3f}")
    by_type: dict[str, list[CheckedRun]] = {}
    for one in report.runs:
        by_type.setdefault(one.subject.workflow_type, []).append(one)
    for workflow_type, runs in by_type.items():
        _add_suite(root, report, workflow_type, runs)
    if report.guilty is not None and len(root):
        _add_guilty_edits(root[0], report.guilty)
    root.set("tests", str(len(report.runs)))
    for tally in _TALLIES:
        root.set(tally, str(sum(int(suite.get(tally, "0")) for suite in root)))
    _cut_texts(root)
    ElementTree.indent(root, " ")
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _cut_texts(root: Element) -> None:
    """Cut the long words before they are escaped: a cut escape is no XML."""
    for element in root.iter():
        for key, value in element.attrib.items():
            element.set(key, cut_long_path(value) if key == "file" else cut_long_words(value))
        if element.text:
            element.text = cut_long_words(element.text)


def _add_suite(root: Element, report: CheckReport, workflow_type: str, runs: Sequence[CheckedRun]) -> None:
    seconds = sum(one.verdict.seconds for one in runs)
    suite = SubElement(
        root, "testsuite", name=escape_controls(workflow_type), tests=str(len(runs)), time=f"{seconds:.3f}"
    )
    told = SubElement(suite, "properties")
    SubElement(told, "property", name="blast radius", value=report.blast_radius_sentence())
    for unseen in list_uncompared_parts(replace(report, runs=tuple(runs))):
        SubElement(told, "property", name="not compared", value=unseen)
    for one in runs:
        _add_case(suite, report, one)
    for tally, tag in zip(_TALLIES, ("failure", "error", "skipped"), strict=True):
        suite.set(tally, str(len(suite.findall(f"testcase/{tag}"))))


def _add_guilty_edits(suite: Element, search: GuiltySearch) -> None:
    """Tell the edits in the first suite: they are no tests, so that no test is counted for them."""
    lines = []
    for found in search.found:
        SubElement(suite[0], "property", name="guilty", value=format_headline(found))
        lines += [f"guilty: {format_headline(found)}; {format_proof(found)}", *list_diff_lines(found)]
    lines += [*list_fix_lines(search), *list_search_notes(search)]
    if lines:
        SubElement(suite, "system-out").text = "\n".join(lines)


def _add_case(suite: Element, report: CheckReport, one: CheckedRun) -> None:
    subject, verdict = one.subject, one.verdict
    case = SubElement(
        suite,
        "testcase",
        classname=escape_controls(subject.workflow_type),
        name=f"{format_run_name(one)} [{escape_controls(subject.run_key)}]",
        time=f"{verdict.seconds:.3f}",
    )
    if verdict.call_site is not None:
        case.set("file", escape_controls(path_in_repository(verdict.call_site.file)))
        case.set("line", str(verdict.call_site.line))
    properties = SubElement(case, "properties")
    for key, value in (("run_id", subject.run_id), ("source", subject.source), ("verdict", verdict.verdict)):
        SubElement(properties, "property", name=key, value=escape_controls(value or ""))
    tag, said = _classify_result(report, one)
    if tag:
        SubElement(case, tag, message=escape_controls(said), type=verdict.verdict).text = _format_body(report, one)
    elif verdict.verdict != "ok" or verdict.hazards:
        SubElement(case, "system-out").text = _format_body(report, one)


def _classify_result(report: CheckReport, one: CheckedRun) -> tuple[str, str]:
    """Return the tag and message of a run. A run that went wrong without failing the check counts as skipped."""
    said = describe_finding(one.verdict)
    if report.is_failing(one):
        return "error" if one.verdict.verdict == "crashed" else "failure", said
    if one.verdict.verdict in ("ok", "drift"):
        return "", ""
    why = "known" if one.known else f"pinned to {one.subject.pinned_to}" if report.is_counted_apart(one) else "allowed"
    return "skipped", f"{why}: {said}"


def _format_body(report: CheckReport, one: CheckedRun) -> str:
    lines = [escape_controls(one.verdict.reason)]
    lines += [f"{mark} {line}" for mark, line in list_side_lines(one)]
    if one.verdict.divergence is not None and one.verdict.divergence.advice:
        lines.append(escape_controls(f"help: {one.verdict.divergence.advice}"))
    lines += [escape_controls(f"hazard: {hazard.what} {hazard.detail}") for hazard in one.verdict.hazards]
    lines += [f"next: {format_command(command)}" for command in one.verdict.next]
    return "\n".join([*lines, f"debug: {format_debug_command(report.origin, one)}"])
