"""One failing check in every format, read by whoever reads such a format."""

from __future__ import annotations

import base64
import hashlib
import html.parser
import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
from junitparser import JUnitXml

from replaytool.model.verdict import (
    CallSite,
    CheckedRun,
    CheckReport,
    CodeInfo,
    Command,
    Divergence,
    Drift,
    ExpectedEvent,
    Failure,
    Hazard,
    Subject,
    Verdict,
)
from replaytool.render import RENDERERS, render
from replaytool.render.report import github, markdown
from tests.conftest import Call
from tests.render.report.sarif_schema import SARIF
from tests.support.paths import FIXTURES, ROOT

pytestmark = pytest.mark.slow

ORDER = FIXTURES / "activities_in_sequence"
CODE = ORDER / "changed_activity_renamed.py"
FILES = {"html": "r.html", "junit": "r.xml", "sarif": "r.sarif", "gitlab": "r.gl.json", "jsonl": "r.jsonl"}
EVIL = (
    "<script>alert(1)</script> ]]> --> \x1b[31m \n::error::owned\n##[error]owned `` ``` | [x](javascript:1) "
    "**b** @everyone &lt; \u202e \"'><img src=x onerror=y>"
)


class Page(html.parser.HTMLParser):
    """What a browser would make of it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs


def hostile() -> CheckReport:
    """Every text that a history or code could have said is an attack."""
    site = CallSite(f"app/{EVIL}.py", 3, EVIL, (CallSite(EVIL, 4, EVIL),))
    command = Command("activity", EVIL, {EVIL: EVIL}, site)
    parted = Divergence(
        5, ExpectedEvent(5, EVIL, "activity", EVIL, {EVIL: [EVIL]}), command, (EVIL,), site, 3, (), f"help {EVIL}"
    )
    failure = Failure(7, EVIL, EVIL, site, EVIL)
    verdicts = (
        Verdict("diverged", EVIL, divergence=parted, hazards=(Hazard(EVIL, site, EVIL),), next=(command,)),
        Verdict("failed", EVIL, failure=failure, stuck="still fails"),
        Verdict("unverified", EVIL),
        Verdict("drift", EVIL, drift=(Drift(9, EVIL, {EVIL: EVIL}, EVIL, site),)),
        Verdict("ok", stuck="would proceed", next=(command,)),
    )
    runs = [
        CheckedRun(Subject(f"{number}{EVIL}", EVIL, EVIL, EVIL, EVIL, 9, None, "Running", EVIL), verdict)
        for number, verdict in enumerate(verdicts)
    ]
    from replaytool.check.causes import find_causes

    return CheckReport(CodeInfo((EVIL,), "f"), runs, find_causes(runs))


@pytest.mark.parametrize("name", RENDERERS)
def test_hostile_text_moves_no_terminal_and_commands_no_log(name: str) -> None:
    text = render(hostile(), name)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202e]", text)
    assert "##[" not in text
    commands = [line for line in text.splitlines() if line.strip().startswith("::")]
    assert bool(commands) == (name == "github")
    assert all(re.match(r"::(error|warning|notice) title=replaytool", line) for line in commands)


@pytest.mark.parametrize("name", ["text", "junit", "sarif", "gitlab", "html", "markdown", "github"])
def test_a_name_of_200_000_letters_is_cut(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.EVIL", ("A" * 118 + "&" + "\x1b" * 50) * 2000)
    text = render(hostile(), name)
    assert len(text) < 60_000
    assert "letters)" in text
    if name == "junit":
        ElementTree.fromstring(text)
    if name in ("sarif", "gitlab"):
        json.loads(text)


def test_hostile_text_is_no_markup_in_html() -> None:
    text = render(hostile(), "html")
    page = Page(text)
    assert not page.tags & {"img", "iframe", "object", "link", "a"}
    assert not [name for name, _ in page.attributes if name.startswith("on") or name in ("src", "href")]
    assert "default-src 'none'" in text
    assert "http" not in re.sub(r"http-equiv", "", text)


def test_the_only_script_of_the_html_page_is_the_one_that_its_policy_names() -> None:
    text = render(hostile(), "html")
    scripts = re.findall(r"<script([^>]*)>(.*?)</script>", text, re.DOTALL)
    assert [attributes for attributes, _ in scripts] == [' type="application/json" id="data"', ""]
    digest = base64.b64encode(hashlib.sha256(scripts[1][1].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in text
    assert not re.search(r"innerHTML|insertAdjacentHTML|document\.write|eval\(|fetch\(|XMLHttp", scripts[1][1])
    data = json.loads(scripts[0][1])
    assert not set(scripts[0][1]) & set("<>&")
    assert data["total"] == len(data["rows"]) == 5
    assert {row[0] for row in data["rows"]} == {"diverged", "failed", "unverified", "drift", "ok"}
    assert data["rows"][0][0] in ("diverged", "failed")
    assert EVIL.split("\n")[0].split(" \x1b")[0] in data["rows"][0][1]


def test_the_html_page_finds_10_000_runs_and_draws_a_hundred() -> None:
    runs = [
        CheckedRun(Subject(f"k{n}", f"histories/{n}.json", f"order-{n}", workflow_type="W"), Verdict("ok"))
        for n in range(10_000)
    ]
    text = render(CheckReport(CodeInfo(), runs), "html")
    assert text.count("<tr>") < 150
    assert '"order-9999"' in text
    assert len(text) < 2_000_000


def test_the_html_page_shows_both_sides_in_the_code_the_events_around_and_how_to_reset(call: Call) -> None:
    code = (FIXTURES / "loyalty" / "builds" / "v3.py").read_text()
    Path("v4.py").write_text(code.replace("execute_activity(score_trip, km", 'execute_activity("other", km'))
    rider = FIXTURES / "loyalty" / "history-rider-02.json"
    assert call("check", rider, "-w", "v4.py", "--format", "html:r.html").code == 1
    text = Path("r.html").read_text()
    frame = text[text.index('<pre class="code">') :].partition("</pre>")[0]
    assert re.search(
        r'<mark>.*</mark>\n<span class="history"> +history +event 9: .*\n<span class="code">.*other', frame
    )
    assert re.search(r'<tr class="marked"><td>\d+</td><td>[A-Z]\w+</td>', text)
    assert text.count("<td>WorkflowTaskCompleted</td>") >= 2
    assert "replaytool reset plan --latest-clean --where" in text
    assert "after <code>replaytool load</code>" in text


def test_hostile_text_is_no_markup_in_xml() -> None:
    root = ElementTree.fromstring(render(hostile(), "junit"))
    assert {one.tag for one in root.iter()} <= {
        "testsuites", "testsuite", "testcase", "properties", "property", "failure", "skipped", "system-out",
    }  # fmt: skip


def test_hostile_text_is_no_markup_in_markdown() -> None:
    text = markdown.render(hostile())
    outside = re.sub(r"(?ms)^(`{3,})\w*\n.*?^\1$", "", text)
    outside = re.sub(r"<code>[^<]*</code>", "", outside)
    for mark in ("script", "img", "@", "javascript", "owned", "**b"):
        assert mark not in outside
    assert set(re.findall(r"</?(\w+)", outside)) <= {"sub", "details", "summary"}


def test_markdown_reads_on_a_phone() -> None:
    """What is not folded has no table, and no line of code that is longer than a phone is wide."""
    text = markdown.render(hostile())
    shown = re.sub(r"(?s)<details>.*?</details>", "", text)
    assert not re.search(r"(?m)^\|", text)
    blocks = re.findall(r"(?ms)^(`{3,})\w*\n(.*?)^\1$", shown)
    assert blocks
    assert max(len(line) for _, block in blocks for line in block.splitlines()) <= 56
    assert text.count("<details>") == text.count("</details>") >= 4
    assert "replaytool debug" not in shown


def test_github_sees_one_line_for_each_cause() -> None:
    lines = github.render(hostile()).splitlines()
    assert [line.split(" ")[0] for line in lines] == ["::error", "::error", "::error", "::warning", "::notice"]
    for line in lines[:-1]:
        properties = line.split("::")[1]
        assert properties.count("file=app/") <= 1
        assert "\n" not in properties


@pytest.fixture
def failing(call: Call, tmp_path: Path) -> Path:
    """A folder with a failing check in every format."""
    arguments = [argument for name in RENDERERS for argument in ("--format", f"{name}:{FILES.get(name, name)}")]
    assert call("check", ORDER / "history.json", "-w", CODE, *arguments).code == 1
    return tmp_path


def test_a_failing_check_in_every_format(failing: Path) -> None:
    def read(name: str) -> Any:
        return json.loads((failing / FILES.get(name, name)).read_text())

    line = next(n for n, text in enumerate(CODE.read_text().splitlines(), 1) if "# differs" in text)
    path = CODE.relative_to(ROOT).as_posix()
    log = read("sarif")
    jsonschema.validate(log, SARIF)
    (result,) = log["runs"][0]["results"]
    place = result["locations"][0]["physicalLocation"]
    assert (place["artifactLocation"]["uri"], place["region"]["startLine"]) == (path, line)
    assert len(result["codeFlows"][0]["threadFlows"][0]["locations"]) == 2

    (suite,) = JUnitXml.fromfile(str(failing / FILES["junit"]))
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (1, 1, 0, 0)
    (case,) = suite
    assert "charge_card" in case.result[0].message

    (entry,) = read("gitlab")
    assert entry["location"] == {"path": path, "lines": {"begin": line}}
    assert entry["severity"] == "critical"
    assert set(entry) == {"description", "check_name", "fingerprint", "severity", "location"}

    records = [json.loads(text) for text in (failing / FILES["jsonl"]).read_text().splitlines()]
    assert [record.pop("record") for record in records] == ["report", "cause", "run"]
    whole = read("json")
    assert records[1:] == [*whole["causes"], *whole["runs"]]

    annotation = (failing / "github").read_text().splitlines()[0]
    assert annotation.startswith(f"::error title=replaytool diverged,file={path},line={line}::")
    assert "take&#95;payment" in (failing / "markdown").read_text()
    page = (failing / FILES["html"]).read_text()
    assert "<svg" in page
    assert "event 11: first mismatch" in page


def many(number: int) -> CheckReport:
    runs = [
        CheckedRun(
            Subject(f"k{n:03}", workflow_type=f"W{chr(65 + n % 26)}{chr(65 + n // 26)}"),
            Verdict("failed", "x", failure=Failure(3, "ValueError", "é" * 2000)),
        )
        for n in range(number)
    ]
    return CheckReport(CodeInfo(), runs)


def test_no_more_annotations_than_github_shows() -> None:
    lines = github.render(many(30)).splitlines()
    assert len([line for line in lines if line.startswith("::error")]) == 10
    assert "20 more causes" in lines[-1]


def test_markdown_keeps_its_limit_and_says_what_it_left_out() -> None:
    assert len(markdown.render(many(100))) < 65_536
    assert "more causes" in markdown.render(many(100))
    summary = github.render_step_summary(many(600), already=100_000)
    assert len(summary.encode()) + 100_000 < 1024 * 1024
    assert summary.count("#### ") > markdown.render(many(600)).count("#### ") > 3


def test_gitlab_fingerprints_are_unique() -> None:
    site = [CallSite("a.py", line, "W.run") for line in (3, 9)]
    failures = [Verdict("failed", "x", failure=Failure(3, "E", "m", one)) for one in site]
    runs = [CheckedRun(Subject(f"k{n}", workflow_type="W"), one) for n, one in enumerate(failures)]
    entries = json.loads(render(CheckReport(CodeInfo(), runs), "gitlab"))
    assert len({entry["fingerprint"] for entry in entries}) == 2


def test_programs_find_one_report_on_stdout(call: Call, tmp_path: Path) -> None:
    check = ("check", ORDER / "history.json", "-w", CODE)
    both = call(*check, "--format", "text", "--format", "json")
    assert (both.code, both.out) == (2, "")
    assert "--format FORMAT:PATH" in both.err
    apart = call(*check, "--format", "text:seen.txt", "--format", "json")
    assert apart.json["summary"]["diverged"] == 1
    assert "1 run, " in (tmp_path / "seen.txt").read_text()
    people = call(*check, "--format", "text", "--format", "markdown").out
    assert "✗ diverged" in people
    assert "### ❌ replaytool" in people


def test_a_report_that_nobody_can_write_is_refused_before_the_check(call: Call, tmp_path: Path) -> None:
    result = call(
        "check", ORDER / "history.json", "-w", CODE, "--format", "json:seen.json", "--format", "html:no/r.html"
    )
    assert (result.code, result.out) == (2, "")
    assert "there is no folder no" in result.err
    assert not (tmp_path / "seen.json").exists()


def test_text_counts_one_as_one() -> None:
    hazard = Hazard("time.time", None)
    bare = Command("complete_workflow", "", {"result": 3})
    runs = [CheckedRun(Subject("k", events=1), Verdict("ok", stuck="would proceed", next=(bare,), hazards=(hazard,)))]
    lines = render(CheckReport(CodeInfo(), runs), "text").splitlines()
    assert lines[0] == "! hazard: time.time at an unknown line (1 time)"
    assert lines[1] == "stuck: k would proceed: complete workflow result=3"
    assert lines[-1].startswith("1 run, 1 event: 1 ok")


def test_drift_that_was_accepted_is_told_as_known() -> None:
    drift = Verdict("drift", drift=(Drift(9, "input[0]", 1, 2),))
    runs = [CheckedRun(Subject("a"), drift, known=True), CheckedRun(Subject("b"), drift)]
    lines = render(CheckReport(CodeInfo(), runs), "text").splitlines()
    assert [line.split(":")[0] for line in lines[:4:2]] == ["~ drift", "· known"]


def test_github_actions_are_told_beside_the_report_that_was_asked_for(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    (tmp_path / "summary.md").write_text("before\n")
    result = call("check", ORDER / "history.json", "-w", CODE, "--format", "json")
    assert result.json["causes"]
    assert "::error title=replaytool diverged,file=fixtures/" in result.err
    assert (tmp_path / "summary.md").read_text().startswith("before\n### ❌ replaytool")
    explicit = call("check", ORDER / "history.json", "-w", CODE, "--format", "github")
    assert explicit.out.count("::error") == 1
    assert "::error" not in explicit.err
