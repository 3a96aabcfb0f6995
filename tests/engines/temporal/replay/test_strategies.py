"""The engines by name: who is believed, who confirms, and what is left to whom."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from replaytool.engines import Code, CodeSpec, Options, load_code, replay
from replaytool.engines.temporal.replay import direct
from replaytool.errors import ReplaytoolError
from replaytool.model.verdict import Verdict
from tests.support.histories import recorded
from tests.support.paths import FIXTURES

pytestmark = pytest.mark.oldest
ORDER = FIXTURES / "activities_in_sequence"


@pytest.fixture
def good() -> Code:
    return load_code(CodeSpec((str(ORDER / "workflow.py"),)))


def test_a_good_word_of_ours_needs_no_confirming(good: Code) -> None:
    verdict = replay(recorded(ORDER.name), good, engine="auto")
    assert (verdict.verdict, verdict.engine, verdict.confirmed_by) == ("ok", "direct", None)


def test_a_bad_word_is_confirmed_before_it_is_said() -> None:
    code = load_code(CodeSpec((str(ORDER / "changed_activity_renamed.py"),)))
    verdict = replay(recorded(ORDER.name), code, engine="auto")
    assert (verdict.verdict, verdict.engine, verdict.confirmed_by) == ("diverged", "direct", "sdk")
    assert verdict.divergence is not None
    assert verdict.divergence.event_id == 11


def test_what_ours_cannot_do_goes_to_the_sdk_and_is_told(good: Code, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct, "RELEASE", (99, 0))
    verdict = replay(recorded(ORDER.name), good, engine="direct")
    assert verdict.engine == "sdk"
    assert any("replayed by the sdk engine" in note for note in verdict.notes)


@pytest.mark.parametrize("engine", ["auto", "direct", "sdk", "both"])
def test_an_event_type_that_the_sdk_does_not_know_is_malformed_in_every_way(good: Code, engine: str) -> None:
    run = recorded(ORDER.name)
    strange = replace(
        run, events=[*run.events[:-1], msgspec.structs.replace(run.events[-1], event_type="FromTheFuture")]
    )
    verdict = replay(strange, good, engine=engine)
    assert verdict.verdict == "unverified"
    assert "FromTheFuture" in verdict.reason


def test_where_the_engines_disagree_replaytool_is_at_fault(good: Code, monkeypatch: pytest.MonkeyPatch) -> None:
    run = recorded(ORDER.name)
    agreed = replay(run, good, engine="both")
    assert (agreed.verdict, agreed.confirmed_by) == ("ok", "sdk")
    monkeypatch.setattr(
        "replaytool.engines.temporal.replay.direct.replay_directly", lambda *_: Verdict("failed", engine="direct")
    )
    verdict = replay(run, good, engine="both")
    assert verdict.verdict == "unverified"
    assert "its engines disagree (direct: failed; sdk: ok)" in verdict.reason
    assert "replaytool export" in verdict.reason
    told = replay(run, good, engine="auto")
    assert (told.verdict, told.engine) == ("ok", "sdk")
    assert any("the direct engine said failed" in note for note in told.notes)


@pytest.mark.parametrize("sandbox", ["shared", "per-run", "off"])
def test_every_sandbox_gives_the_same_word(good: Code, sandbox: str) -> None:
    for engine in ("direct", "sdk"):
        assert replay(recorded(ORDER.name), good, Options(sandbox=sandbox), engine).verdict == "ok"


def test_an_engine_that_is_not_there(good: Code) -> None:
    with pytest.raises(ReplaytoolError, match="no engine 'fast'"):
        replay(recorded(ORDER.name), good, engine="fast")
    other = replace(recorded(ORDER.name), engine="someone-elses")
    assert replay(other, good).verdict == "unverified"
