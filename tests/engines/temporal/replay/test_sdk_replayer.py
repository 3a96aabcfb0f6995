"""The SDK's replayer, watched: what it hides, what it hangs on, and what it says in words of its own."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytest

from replaytool.engines import CodeSpec, Options, load_code
from replaytool.engines.temporal.replay import sdk_replayer
from replaytool.engines.temporal.sdk import recorder
from replaytool.engines.temporal.sdk.replayer_errors import parse_replayer_failure
from replaytool.errors import ReplaytoolError
from replaytool.model.verdict import Verdict
from tests.support.histories import bent, events, replay
from tests.support.paths import FIXTURES

CASE = "activities_in_sequence"
ORDER = """
import sys, time
from datetime import timedelta
from temporalio import workflow
{head}

@workflow.defn(name="Order", sandboxed=False{options})
class Order:
    @workflow.run
    async def run(self, item: str, cents: {cents}) -> list[str]:
        {line}
        done = []
        for name, value in (("reserve_stock", item), ("{charge}", cents), ("send_parcel", item)):
            done.append(
                await workflow.execute_activity(name, value, start_to_close_timeout=timedelta(seconds=10))
            )
        return done
"""
DEFAULTS = {"head": "", "options": "", "cents": "int", "line": "pass", "charge": "charge_card"}


def verdict_of(tmp_path: Path, listed: list[dict[str, Any]] | None = None, **parts: str) -> Verdict:
    (tmp_path / "order.py").write_text(ORDER.format(**(DEFAULTS | parts)))
    code = load_code(CodeSpec(("order.py",), folder=str(tmp_path)))
    return replay(bent(listed or events(CASE)), code, Options())


untraced = pytest.mark.skipif(sys.gettrace() is not None, reason="a tracer holds such code up: run without coverage")


@pytest.mark.parametrize(
    ("cut", "reason"),
    [
        (lambda listed: listed[:1], "one event only"),
        (lambda listed: _renumbered(listed[1:]), "does not begin"),
        (lambda listed: listed[:5] + listed[6:], "event 7 follows event 5: events are missing"),
        (lambda listed: listed[:3] + listed[4:], "events are missing"),
        (lambda listed: [*listed, {**listed[4], "eventId": str(len(listed) + 1)}], "after the end of the run"),
        (lambda listed: _renumbered(listed[:3] + listed[4:]), "cannot follow WorkflowTaskStarted"),
    ],
)
def test_what_the_replayer_hangs_on_is_refused(cut: Any, reason: str, tmp_path: Path) -> None:
    verdict = verdict_of(tmp_path, cut(events(CASE)))
    assert verdict.verdict == "unverified"
    assert reason in verdict.reason


def _renumbered(listed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**event, "eventId": str(number)} for number, event in enumerate(listed, 1)]


def test_nondeterminism_that_would_fail_the_workflow_is_told_and_does_not_hang(tmp_path: Path) -> None:
    verdict = verdict_of(tmp_path, charge="debit_card", options=", failure_exception_types=[Exception]")
    assert verdict.verdict == "diverged"
    assert verdict.confirmed_by == "sdk"
    assert verdict.divergence is not None
    assert verdict.divergence.event_id == 11


def test_no_code_for_the_type(tmp_path: Path) -> None:
    (tmp_path / "order.py").write_text(ORDER.format(**DEFAULTS))
    code = load_code(CodeSpec(("order.py",), folder=str(tmp_path)))
    verdict = replay(bent(events(CASE), "Another"), code)
    assert verdict.verdict == "unverified"
    assert "'Another'" in verdict.reason
    assert "Order" in verdict.reason


def test_arguments_of_another_type_fail_the_task_and_are_no_nondeterminism(tmp_path: Path) -> None:
    verdict = verdict_of(tmp_path, cents="dict[str, int]")
    assert verdict.verdict == "failed"
    assert verdict.failure is not None
    assert "the workflow's input (event 1) does not decode" in verdict.failure.message
    assert verdict.call_site is not None
    assert verdict.call_site.function == "Order.run"


def test_payloads_that_no_converter_knows_are_unverified(tmp_path: Path) -> None:
    listed = events(CASE)
    payload = listed[0]["workflowExecutionStartedEventAttributes"]["input"]["payloads"][0]
    payload["metadata"]["encoding"] = "YmluYXJ5L2VuY3J5cHRlZA=="
    verdict = verdict_of(tmp_path, listed)
    assert verdict.verdict == "unverified"
    assert "binary/encrypted" in verdict.reason


@pytest.mark.parametrize("engine", ["sdk", "direct"])
def test_payloads_that_the_named_converter_does_not_know_fail_the_task(engine: str, tmp_path: Path) -> None:
    """A worker with this converter fails each task of the run: the SDK's replayer says so too."""
    listed = events(CASE)
    payload = listed[0]["workflowExecutionStartedEventAttributes"]["input"]["payloads"][0]
    payload["metadata"]["encoding"] = "YmluYXJ5L2VuY3J5cHRlZA=="
    (tmp_path / "order.py").write_text(ORDER.format(**DEFAULTS))
    spec = CodeSpec(("order.py",), converter="temporalio.converter:DataConverter.default", folder=str(tmp_path))
    verdict = replay(bent(listed), load_code(spec), Options(), engine)
    assert verdict.verdict == "failed"
    assert verdict.failure is not None
    assert "binary/encrypted" in verdict.failure.message
    assert "Keep the codec" in verdict.failure.advice


@untraced
def test_code_that_nothing_can_break_off_is_given_up(tmp_path: Path) -> None:
    """`time.sleep` holds its thread: what the SDK raises in it arrives when the sleep is over."""
    began = time.monotonic()
    verdict = verdict_of(tmp_path, line="time.sleep(9)")
    assert verdict.verdict == "failed"
    assert verdict.failure is not None
    assert verdict.failure.type == "Deadlock"
    assert verdict.call_site is not None
    assert verdict.call_site.line == 11
    assert time.monotonic() - began < 9


@untraced
def test_leaving_the_process_is_a_failure_and_no_exit(tmp_path: Path) -> None:
    verdict = verdict_of(tmp_path, line="sys.exit(3)")
    assert verdict.verdict == "failed"


def test_the_failure_of_a_task_has_its_line_and_its_traceback(tmp_path: Path) -> None:
    verdict = verdict_of(tmp_path, head="def helper():\n    return {}['missing']\n", line="helper()")
    assert verdict.verdict == "failed"
    assert verdict.failure is not None
    assert (verdict.failure.type, verdict.failure.event_id) == ("KeyError", 5)
    assert verdict.call_site is not None
    assert verdict.call_site.function == "helper"
    assert [one.function for one in verdict.call_site.chain] == ["Order.run"]
    assert "temporalio" not in verdict.failure.traceback
    assert "helper()" in verdict.failure.traceback


def test_the_queue_of_the_record_is_seen_by_the_code(tmp_path: Path) -> None:
    """A replayer's own queue would look like a change in each and every activity."""
    verdict = verdict_of(tmp_path, line="assert workflow.info().task_queue == 'activities_in_sequence'")
    assert verdict.verdict == "ok", verdict.reason


def test_stuck_before_and_after_the_code_is_mended() -> None:
    folder = FIXTURES / "stuck_on_exception"
    run = bent(events("stuck_on_exception"))
    broken = replay(run, load_code(CodeSpec(("builds/broken.py",), folder=str(folder))))
    assert (broken.verdict, broken.stuck) == ("failed", "still fails")
    assert broken.reason.startswith("stuck: still fails at ")
    assert any("passes this run" in note for note in broken.notes)
    mended = replay(run, load_code(CodeSpec(("workflow.py",), folder=str(folder))))
    assert (mended.verdict, mended.stuck) == ("ok", "would proceed")
    assert [one.kind for one in mended.next] == ["complete"]


def test_an_open_run_tells_what_comes_next() -> None:
    code = load_code(CodeSpec(("workflow.py",), folder=str(FIXTURES / CASE)))
    verdict = replay(bent(events(CASE)[:7]), code)
    assert (verdict.verdict, verdict.stuck) == ("ok", None)
    assert [(one.kind, one.name) for one in verdict.next] == [("activity", "charge_card")]
    assert verdict.next[0].call_site is not None
    text = (FIXTURES / CASE / "workflow.py").read_text().splitlines()
    assert "charge_card, cents" in text[verdict.next[0].call_site.line - 1]


def test_nothing_of_the_sdks_log_reaches_the_outputs(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    verdict_of(tmp_path, charge="debit_card")
    verdict_of(tmp_path, line="raise ValueError('x')")
    assert capfd.readouterr() == ("", "")


def test_runs_of_other_engines_are_said_to_be_beyond_it() -> None:
    from dataclasses import replace

    code = load_code(CodeSpec(("workflow.py",), folder=str(FIXTURES / CASE)))
    run = bent(events(CASE))
    assert replay(replace(run, engine="cadence"), code).verdict == "unverified"
    with pytest.raises(ReplaytoolError, match="no engine 'none'"):
        replay(run, code, engine="none")


def test_the_sdks_sentence_is_taken_apart() -> None:
    text = (
        'Workflow activation completion failed: Failure { failure: Some(Failure { message: "[TMPRL1100] '
        'Nondeterminism error: a \\"b\\": HistoryEvent(id: 11, ActivityTaskScheduled)", source: "" }) }'
    )
    said = parse_replayer_failure(RuntimeError(text), True, 9)
    assert (said.word, said.event_id) == ("nondeterminism", 11)
    assert 'a "b"' in said.message
    assert parse_replayer_failure(None, False, None).word == "ok"
    assert parse_replayer_failure(RuntimeError("4: x"), False, None).word == "code"
    assert parse_replayer_failure(RuntimeError("8: x"), False, None).word == "history"
    assert parse_replayer_failure(RuntimeError("no event"), True, 9).event_id == 10


@untraced
@pytest.mark.parametrize(("starved", "word"), [(1.0, "ok"), (0.0, "failed")])
def test_a_time_out_of_a_starved_thread_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, starved: float, word: str
) -> None:
    """The SDK counts seconds of the clock: on a busy machine, code without a processor looks like a deadlock."""
    monkeypatch.setattr(sys, "seconds_to_lose", [2.3], raising=False)
    monkeypatch.setattr(recorder, "read_starved_seconds", lambda _: 0.0)
    monkeypatch.setattr(sdk_replayer, "read_starved_seconds", lambda _: starved)
    line = "time.sleep(sys.seconds_to_lose.pop() if sys.seconds_to_lose else 0)"
    assert verdict_of(tmp_path, line=line).verdict == word
