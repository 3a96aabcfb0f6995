"""JUnit XML: a suite for each workflow type, a case for each run. What CI systems show beside unit tests."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from replaytool.check.causes import describe_finding
from replaytool.model.verdict import CheckedRun, CheckReport
from replaytool.render.code_frame import in_repository
from replaytool.render.report.summary import command_line, look, name, sides
from replaytool.text import visible

_TALLIES = ("failures", "errors", "skipped")


def render(report: CheckReport) -> str:
    """The whole document."""
    root = Element("testsuites", name="replaytool", time=f"{report.seconds:.3f}")
    by_type: dict[str, list[CheckedRun]] = {}
    for one in report.runs:
        by_type.setdefault(one.subject.workflow_type, []).append(one)
    for workflow_type, runs in by_type.items():
        _suite(root, report, workflow_type, runs)
    root.set("tests", str(len(report.runs)))
    for tally in _TALLIES:
        root.set(tally, str(sum(int(suite.get(tally, "0")) for suite in root)))
    ElementTree.indent(root, " ")
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _suite(root: Element, report: CheckReport, workflow_type: str, runs: Sequence[CheckedRun]) -> None:
    seconds = sum(one.verdict.seconds for one in runs)
    suite = SubElement(root, "testsuite", name=visible(workflow_type), tests=str(len(runs)), time=f"{seconds:.3f}")
    told = SubElement(suite, "properties")
    SubElement(told, "property", name="blast radius", value=report.count_blast_radius().sentence())
    for one in runs:
        _case(suite, report, one)
    for tally, tag in zip(_TALLIES, ("failure", "error", "skipped"), strict=True):
        suite.set(tally, str(len(suite.findall(f"testcase/{tag}"))))


def _case(suite: Element, report: CheckReport, one: CheckedRun) -> None:
    subject, verdict = one.subject, one.verdict
    case = SubElement(
        suite,
        "testcase",
        classname=visible(subject.workflow_type),
        name=f"{name(one)} [{visible(subject.run_key)}]",
        time=f"{verdict.seconds:.3f}",
    )
    if verdict.call_site is not None:
        case.set("file", visible(in_repository(verdict.call_site.file)))
        case.set("line", str(verdict.call_site.line))
    properties = SubElement(case, "properties")
    for key, value in (("run_id", subject.run_id), ("source", subject.source), ("verdict", verdict.verdict)):
        SubElement(properties, "property", name=key, value=visible(value or ""))
    tag, said = _result(report, one)
    if tag:
        SubElement(case, tag, message=visible(said), type=verdict.verdict).text = _body(one)
    elif verdict.verdict != "ok" or verdict.hazards:
        SubElement(case, "system-out").text = _body(one)


def _result(report: CheckReport, one: CheckedRun) -> tuple[str, str]:
    """A run that does not fail the check, although something is wrong with it, was as good as not run."""
    said = describe_finding(one.verdict)
    if report.is_failing(one):
        return "error" if one.verdict.verdict == "crashed" else "failure", said
    if one.verdict.verdict in ("ok", "drift"):
        return "", ""
    why = "known" if one.known else f"pinned to {one.subject.pinned_to}" if report.is_counted_apart(one) else "allowed"
    return "skipped", f"{why}: {said}"


def _body(one: CheckedRun) -> str:
    lines = [visible(one.verdict.reason)]
    lines += [f"{mark} {line}" for mark, line in sides(one)]
    if one.verdict.divergence is not None and one.verdict.divergence.advice:
        lines.append(visible(f"help: {one.verdict.divergence.advice}"))
    lines += [visible(f"hazard: {hazard.what} {hazard.detail}") for hazard in one.verdict.hazards]
    lines += [f"next: {command_line(command)}" for command in one.verdict.next]
    return "\n".join([*lines, f"look: {look(one)}"])
