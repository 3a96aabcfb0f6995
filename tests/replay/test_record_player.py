"""The loop that engines share, by itself: what it answers, and what it makes of the trace."""

from __future__ import annotations

import pytest

from replaytool.model.recorded_step import ABSENT, RecordedEnd, RecordedStep
from replaytool.replay.record_player import BEYOND, MISMATCH, RecordPlayer

CHARGE = RecordedStep("1", "step", "charge", 2, closed_event_id=3, input=[5], result="receipt")
MAIL = RecordedStep("2", "step", "mail", 4, closed_event_id=5, input=["receipt"], result="sent")
OPEN = RecordedStep("2", "step", "mail", 4, input=["receipt"])
END = RecordedEnd(6, "complete", "receipt")
FAILED = RecordedEnd(6, "fail", failure="broken")


def test_recorded_results_answer_in_order() -> None:
    player = RecordPlayer([CHARGE, MAIL], END)
    assert player.ask("step", "charge", "1", [5]) is CHARGE
    assert player.ask("step", "mail", "2", ["receipt"]) is MAIL
    player.finish("receipt")
    assert player.build_verdict("auto").verdict == "ok"


def test_steps_are_matched_by_id_where_code_asks_for_several_at_once() -> None:
    player = RecordPlayer([CHARGE, MAIL], END, by_key=True)
    assert player.ask("step", "mail", "2", ["receipt"]) is MAIL
    assert player.ask("step", "charge", "1", [5]) is CHARGE
    player.finish("receipt")
    assert player.build_verdict("auto").verdict == "ok"


@pytest.mark.parametrize(("kind", "name"), [("step", "bill"), ("timer", "charge")])
def test_another_step_is_a_divergence(kind: str, name: str) -> None:
    player = RecordPlayer([CHARGE, MAIL], END)
    assert player.ask(kind, name, "1", [5]) is MISMATCH
    verdict = player.build_verdict("auto")
    assert verdict.verdict == "diverged"
    assert verdict.divergence is not None
    assert verdict.divergence.event_id == 2


def test_a_mismatch_that_the_code_swallows_is_kept() -> None:
    player = RecordPlayer([CHARGE, MAIL], END)
    player.ask("step", "bill", "1", [5])
    assert player.ask("step", "mail", "2", ["receipt"]) is MISMATCH
    player.finish("receipt")
    assert player.build_verdict("auto").verdict == "diverged"


def test_an_open_run_goes_on_beyond_its_record() -> None:
    player = RecordPlayer([CHARGE], None)
    player.ask("step", "charge", "1", [5])
    assert player.ask("step", "mail", "2", ["receipt"]) is BEYOND
    verdict = player.build_verdict("auto")
    assert (verdict.verdict, [one.name for one in verdict.next]) == ("ok", ["mail"])


def test_a_step_that_has_begun_has_no_answer_yet() -> None:
    player = RecordPlayer([CHARGE, OPEN], None)
    player.ask("step", "charge", "1", [5])
    assert player.ask("step", "mail", "2", ["receipt"]) is BEYOND
    assert player.build_verdict("auto").next == ()


def test_a_step_behind_the_end_of_a_closed_run_is_a_divergence() -> None:
    player = RecordPlayer([CHARGE], END)
    player.ask("step", "charge", "1", [5])
    assert player.ask("step", "mail", "2", ["receipt"]) is MISMATCH
    divergence = player.build_verdict("auto").divergence
    assert divergence is not None
    assert (divergence.event_id, divergence.last_matched_event_id) == (6, 2)


def test_recorded_steps_that_the_code_never_asks_for_are_a_divergence() -> None:
    player = RecordPlayer([CHARGE, MAIL], END)
    player.ask("step", "charge", "1", [5])
    player.finish("receipt")
    divergence = player.build_verdict("auto").divergence
    assert divergence is not None
    assert divergence.event_id == 4


def test_another_input_and_another_result_are_drift() -> None:
    player = RecordPlayer([CHARGE], RecordedEnd(6, "complete", "receipt"))
    player.ask("step", "charge", "1", [6])
    player.finish("RECEIPT")
    verdict = player.build_verdict("auto")
    assert [(one.event_id, one.path) for one in verdict.drift] == [(2, "input[0]"), (6, "result")]


def test_an_input_that_the_engine_cannot_show_is_not_compared() -> None:
    player = RecordPlayer([CHARGE], RecordedEnd(6, "complete", ABSENT))
    player.ask("step", "charge", "1")
    player.finish()
    assert player.build_verdict("auto").verdict == "ok"


def test_an_exception_is_a_failure_unless_the_record_has_one() -> None:
    player = RecordPlayer([CHARGE], END)
    player.ask("step", "charge", "1", [5])
    player.fail(ValueError("broken"))
    assert player.build_verdict("auto").verdict == "failed"
    player = RecordPlayer([CHARGE], FAILED)
    player.ask("step", "charge", "1", [5])
    player.fail(ValueError("broken"))
    assert player.build_verdict("auto").verdict == "ok"


def test_another_end_is_a_divergence() -> None:
    player = RecordPlayer([], FAILED)
    player.finish("receipt")
    assert player.build_verdict("auto").verdict == "diverged"
