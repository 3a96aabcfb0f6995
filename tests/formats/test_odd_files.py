"""What is said about files that are no histories, or hold values that nothing can read."""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any

import pytest

from replaytool.errors import ErrorCode
from replaytool.formats import Unreadable
from tests.formats.sample_histories import events
from tests.support.histories import run_of


def _refusal(content: bytes) -> Unreadable:
    with pytest.raises(Unreadable) as raised:
        run_of(content)
    return raised.value


def test_text_that_is_not_utf8_has_its_offset_in_the_file() -> None:
    text = json.dumps({"events": events(), "note": "é"}, ensure_ascii=False).encode()
    for at in (text.index(b"eventId") + 1, text.rindex(b"eventId") + 1):
        found = _refusal(text[:at] + b"\xff" + text[at:])
        assert (found.reason, found.position) == ("not valid JSON: the text is not UTF-8", f"byte {at}")


def test_text_that_is_not_utf8_has_its_offset_far_into_a_long_file() -> None:
    many = json.dumps({"events": [{**events()[3], "eventId": str(number + 1)} for number in range(9000)]}).encode()
    assert len(many) > 3_000_000
    at = many.index(b'"eventTime": "', 2_500_000) + 16
    assert _refusal(many[:at] + b"\xff" + many[at:]).position == f"byte {at}"


def test_a_syntax_error_counts_bytes_and_not_letters() -> None:
    text = b'{"note": "' + "é".encode() * 50 + b'", "events": [{"eventId": 1, x}]}'
    assert _refusal(text).position == f"byte {text.index(b'x}')}"


@pytest.mark.parametrize("at", [0, 3, 8])
def test_a_null_event_is_named_by_the_event_before_it(at: int) -> None:
    listed: list[dict[str, Any] | None] = [*events()]
    listed.insert(at, None)
    found = _refusal(json.dumps({"events": listed}).encode())
    assert found.reason == f"an event is null ({f'after event {at}' if at else 'before the first event'})"
    assert found.code == ErrorCode.FORMAT_INVALID_EVENT


def test_a_tar_is_called_a_tar() -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("history.json"))
    found = _refusal(packed.getvalue())
    assert found.reason == "a tar archive, not a history"
    assert "unpack" in found.hint


def test_problems_have_a_limit() -> None:
    listed = events()
    listed[3]["eventType"] = "X" * 200_000
    run = run_of(json.dumps({"events": listed}).encode())
    assert max(len(problem.message) for problem in run.problems) <= 300


@pytest.mark.parametrize(
    ("content", "position", "reason"),
    [
        (b"{'events': []}", "byte 1", "not valid JSON: Expecting property name"),
        (b"\xef\xbb\xbf{events: []}", "byte 4", "not valid JSON: Expecting property name"),
        (b'{"\xc3\xa9": 1 "b": 2}', "byte 9", "not valid JSON: Expecting ',' delimiter"),
        (b'{"a": 1,}' + b" " * 100_000, "byte 8", "not valid JSON"),
        (b'{"a": [', "byte 7", "cut off"),
        (b'{"a": tr', "byte 8", "cut off"),
    ],
)
def test_broken_json_is_called_broken_and_not_another_kind_of_file(content: bytes, position: str, reason: str) -> None:
    found = _refusal(content)
    assert reason in found.reason
    assert found.position == position


def test_a_quote_too_many_is_not_called_a_cut_file() -> None:
    text = json.dumps({"events": events()}, indent=1).encode()
    at = text.index(b'"eventType"')
    found = _refusal(text[:at] + b"'" + text[at + 1 :])
    assert (found.code, found.position) == (ErrorCode.FORMAT_INVALID_JSON, f"byte {at}")


def test_json_that_is_longer_than_its_beginning_is_only_called_unknown() -> None:
    assert _refusal(json.dumps({"a": "x" * 100_000}).encode()).reason == "JSON without a history in it"
    assert _refusal(b'{"a": 1}\n{"a": 2}\n').reason == "JSON, but not a history"
