from __future__ import annotations

import json
import re
import string
import uuid
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replaytool.replay.scrub.pseudonyms import Pseudonyms

KEY = Pseudonyms(b"a key")


@given(st.text(max_size=60))
def test_text_keeps_its_make_and_is_another_one(value: str) -> None:
    made = KEY.replace_text(value)
    assert made == KEY.replace_text(value)
    if not re.fullmatch(r"[0-9T: .Z+-]*", value):  # times are moved by days
        assert len(made) == len(value)
        for before, after in zip(value, made, strict=True):
            assert after.isalnum() == before.isalnum()
            assert before.isalnum() or after == before
            if before in string.ascii_letters + string.digits:
                assert (after.isdigit(), after.isupper()) == (before.isdigit(), before.isupper())
    assert made != value or not any(char.isalnum() for char in value) or value.strip("0") == ""


@given(st.integers(-(10**18), 10**18))
def test_numbers_keep_sign_and_digits(value: int) -> None:
    made = KEY.replace_value(value)
    assert type(made) is int
    assert len(str(made)) == len(str(value))
    assert (made < 0) == (value < 0)
    assert made != value or value == 0


@given(st.decimals(-1000, 1000, places=2).map(float))
def test_fractions_stay_fractions_of_as_many_digits(value: float) -> None:
    made = KEY.replace_value(value)
    assert type(made) is float
    assert len(json.dumps(made)) == len(json.dumps(value))


def test_what_can_be_read_can_be_read_afterwards() -> None:
    for value in ("2026-02-28", "2026-11-20T21:55:13.584Z", "2026-11-20T21:55:13+01:00", "2026-11-20 21:55"):
        made = KEY.replace_text(value)
        assert made != value
        assert len(made) == len(value)
        datetime.fromisoformat(made)
    some = str(uuid.uuid4())
    assert uuid.UUID(KEY.replace_text(some)).version == 4
    assert KEY.replace_text(some.upper()) == KEY.replace_text(some).upper()
    assert int(KEY.replace_text("4711")) > 999, "a text of digits is a number to somebody"


def test_the_key_decides() -> None:
    assert Pseudonyms(b"one").replace_text("Ada Lovelace") == Pseudonyms(b"one").replace_text("Ada Lovelace")
    assert Pseudonyms(b"one").replace_text("Ada Lovelace") != Pseudonyms(b"two").replace_text("Ada Lovelace")


@pytest.mark.parametrize("value", [True, False, None, 0, 0.0, "", "…", float("inf"), [], 1e300])
def test_what_tells_nothing_stays(value: object) -> None:
    assert KEY.replace_value(value) is value or KEY.replace_value(value) == value
