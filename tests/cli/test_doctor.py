"""`replaytool doctor`: what works, what is missing for what, and what is configured wrongly."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from replaytool import doctor
from replaytool.engines.temporal.sdk import versions
from tests.conftest import Call
from tests.support.paths import FIXTURES


def states(found: list[dict[str, Any]]) -> dict[str, tuple[str, str]]:
    return {one["what"].strip(): (one["state"], one["says"]) for one in found}


def test_an_empty_folder_has_nothing_wrong_and_is_told_what_is_missing(call: Call) -> None:
    result = call("doctor", "--json")
    found = states(result.json)
    assert result.code == 0
    assert {"replaytool", "python", *doctor.LIBRARIES} <= {what for what, (state, _) in found.items() if state == "ok"}
    assert found["store"][0] == found["workflows"][0] == "missing"
    assert found["configuration"] == ("ok", "no pyproject.toml here or above")


def test_what_is_configured_is_told_and_secrets_are_not(call: Call, tmp_path: Path) -> None:
    code = FIXTURES / "activities_in_sequence"
    (tmp_path / "pyproject.toml").write_text(
        f'[tool.replaytool]\nworkflows = ["{code}/workflow.py"]\ncodec_auth = "Bearer secret-token"\n'
        'converter = "temporalio.converter:__name__"\n'
    )
    assert call("load", code / "history.json").code == 0
    result = call("doctor")
    assert result.code == 1
    assert "secret-token" not in result.out
    assert "✔   codec_auth" in result.out
    assert "1 run, 23 events" in result.out
    assert "✔ workflows" in result.out
    # Where earlier tests have put other fixtures on the path, the module goes by a longer name.
    assert re.search(r"workflow\w* can be loaded", result.out)
    assert "✗ converter" in result.out
    assert "temporalio.converter:__name__ is not a temporalio DataConverter" in result.out


@pytest.mark.parametrize(
    ("content", "what", "says"),
    [
        ('workflows = ["gone.py"]', "workflows", "there is no file gone.py"),
        ('store = "pyproject.toml"', "store", "is no store that this DuckDB can read"),
        ('stor = "x"', "configuration", "has no key 'stor'"),
    ],
)
def test_what_does_not_work_is_a_finding(call: Call, tmp_path: Path, content: str, what: str, says: str) -> None:
    (tmp_path / "pyproject.toml").write_text(f"[tool.replaytool]\n{content}\n")
    result = call("doctor", "--json")
    state, said = states(result.json)[what]
    assert (result.code, state) == (1, "wrong")
    assert says in said


def test_a_missing_program_is_named_with_what_needs_it(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(doctor.PROGRAMS, "no-such-program", ("a thing", "install it"))
    assert "· no-such-program  needed for a thing: install it" in call("doctor").out


def test_an_sdk_that_the_direct_engine_does_not_know_is_no_fault(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "NEWEST", (1, 20))
    result = call("doctor", "--json")
    assert (result.code, states(result.json)["engine direct"][0]) == (0, "missing")


def test_a_converter_that_cannot_be_made_is_one_clear_error(call: Call, tmp_path: Path) -> None:
    case = FIXTURES / "activities_in_sequence"
    for command in (
        ("check", case / "history.json", "-w", case / "workflow.py", "--converter", "json:dumps"),
        ("doctor",),
    ):
        (tmp_path / "pyproject.toml").write_text('[tool.replaytool]\nconverter = "json:dumps"\n')
        told = call(*command)
        assert told.code in (1, 2)
        assert "missing 1 required positional argument" in told.out + told.err
        assert "internal error" not in told.out + told.err
