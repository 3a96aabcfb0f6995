"""The text report: what comes first, what is joined, and how it ends."""

from __future__ import annotations

import html

from replaytool.check.causes import find_causes
from replaytool.model.check_origin import CheckOrigin, ExitStatus
from replaytool.model.verdict import CallSite, CheckedRun, CheckReport, CodeInfo, Drift, Failure, Subject, Verdict
from replaytool.render import render

SITE = CallSite("app/flows.py", 12, "Order.run")


def drifted(key: str, path: str, produced: int, site: CallSite | None = SITE) -> CheckedRun:
    return CheckedRun(
        Subject(key, workflow_id=f"order-{key}", workflow_type="Order"),
        Verdict("drift", drift=(Drift(5, path, 1, produced, site),)),
    )


def report(*runs: CheckedRun, exit_status: ExitStatus | None = None, include_pinned: bool = False) -> CheckReport:
    return CheckReport(CodeInfo(), runs, find_causes(runs), include_pinned=include_pinned, exit=exit_status)


def test_drift_of_one_line_is_one_cause_with_its_number_of_runs() -> None:
    runs = (
        drifted("a", "input[1]", 20),
        drifted("b", "input[1]", 30),
        drifted("c", "input[0].items[3].price", 5),
        drifted("d", "input[0].items[7].price", 6),
        drifted("e", "input[0].items[7].price", 6, CallSite("app/flows.py", 40, "Order.run")),
    )
    assert render(report(*runs), "text").splitlines()[:6] == [
        "~ drift: Order input[1] at app/flows.py:12 in Order.run (2 runs)",
        "  event 5 of order-a: 1 → 20, and 1 other difference",
        "~ drift: Order input[0].items[3].price at app/flows.py:12 in Order.run (2 runs)",
        "  event 5 of order-c: 1 → 5, and 1 other difference",
        "~ drift: Order input[0].items[7].price at app/flows.py:40 in Order.run (1 run)",
        "  event 5 of order-e: 1 → 6",
    ]


def failed(key: str, kind: str, *, pinned: bool = False, known: bool = False) -> CheckedRun:
    subject = Subject(key, workflow_type="Order", pinned_to="v1" if pinned else None)
    return CheckedRun(subject, Verdict("failed", failure=Failure(3, kind, "no")), known=known)


def test_pinned_and_known_findings_come_last_in_one_line_each() -> None:
    runs = [
        *(failed(f"p{n}", "PinnedError", pinned=True) for n in range(3)),
        *(failed(f"k{n}", "KnownError", known=True) for n in range(3)),
        failed("x", "RealError"),
    ]
    lines = render(report(*runs), "text").splitlines()
    assert lines[0] == "✗ failed: RealError: no (1 run)"
    assert {line for line in lines if line.startswith("·")} == {
        "· known: failed: KnownError: no (3 runs)",
        "· pinned: failed: PinnedError: no (3 runs of another build)",
    }
    assert sum(line.startswith("✗") for line in lines) == 1
    counted = render(report(*runs, include_pinned=True), "text")
    assert "✗ failed: PinnedError: no (3 runs)" in counted


def test_what_diverges_stands_before_what_is_unverified_even_if_that_is_more() -> None:
    unverified = [
        CheckedRun(Subject(f"u{n}", workflow_type="Other"), Verdict("unverified", "odd bytes")) for n in "abc"
    ]
    text = render(report(*unverified, failed("x", "RealError")), "text")
    assert text.index("✗ failed") < text.index("? unverified: odd bytes (3 runs)")
    page = render(report(*unverified, failed("x", "RealError")), "html")
    assert page.index("RealError") < page.index("odd bytes")


def test_the_last_line_is_the_exit_code_and_its_reason() -> None:
    text = render(report(failed("x", "E"), exit_status=ExitStatus(1, "1 run fails the check (1 failed)")), "text")
    assert text.splitlines()[-1] == "exit code 1: 1 run fails the check (1 failed)"


def test_a_debug_command_names_the_file_and_the_code_in_words_that_a_shell_takes() -> None:
    run = CheckedRun(Subject("k1", "my histories/a.json", workflow_type="Order"), failed("k1", "E").verdict)
    told = CheckReport(CodeInfo(), (run,), find_causes((run,)), origin=CheckOrigin(True, ("--workflows", "my code.py")))
    for name in ("text", "markdown", "html", "sarif", "junit"):
        text = html.unescape(render(told, name))
        assert "replaytool debug k1 'my histories/a.json' --at 3 --workflows 'my code.py'" in text, name
