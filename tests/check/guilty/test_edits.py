"""A change is cut into statements, and any subset of them can be applied."""

from __future__ import annotations

import itertools

import pytest

from replaytool.check.guilty.edits import apply_edits, cut_into_edits, is_same_code
from replaytool.check.guilty.needs import find_needs

BASE = """import a

LIMIT = 3
RATE = 2


def run():
    first()
    second(
        LIMIT,
    )
    return RATE
"""


def parts(after: str, before: str = BASE) -> list[tuple[str, str]]:
    return [("".join(one.removed), "".join(one.added)) for one in cut_into_edits("wf.py", before, after)]


def test_neighbouring_statements_are_edits_of_their_own() -> None:
    changed = BASE.replace("LIMIT = 3\nRATE = 2", "LIMIT = 4\nRATE = 5")
    assert parts(changed) == [("LIMIT = 3\n", "LIMIT = 4\n"), ("RATE = 2\n", "RATE = 5\n")]


def test_an_inserted_call_is_whole_although_its_last_lines_equal_those_before() -> None:
    changed = BASE.replace("    return", "    second(\n        RATE,\n    )\n    return")
    assert parts(changed) == [("", "    second(\n        RATE,\n    )\n")]


def test_statements_that_a_new_block_holds_are_one_edit_with_it() -> None:
    changed = BASE.replace(
        "    first()\n    second(\n        LIMIT,\n    )\n",
        "    if LIMIT:\n        first()\n        second(\n            LIMIT,\n        )\n",
    )
    assert len(parts(changed)) == 1


def test_a_block_that_was_written_anew_is_one_edit_and_a_comment_goes_with_its_statement() -> None:
    changed = BASE.replace("LIMIT = 3\n", "# How many.\nLIMIT = 4\n").replace("    first()\n", "    quite = 'other'\n")
    assert parts(changed) == [("LIMIT = 3\n", "# How many.\nLIMIT = 4\n"), ("    first()\n", "    quite = 'other'\n")]


@pytest.mark.parametrize("before", [BASE, BASE.rstrip("\n"), BASE.replace("\n", "\r\n"), "no python (\n" * 3, ""])
def test_all_edits_make_the_changed_file_and_none_the_old_one(before: str) -> None:
    after = before.replace("LIMIT", "MOST").replace("first()", "first(1)\n    again()") + "end = 1\n"
    found = cut_into_edits("wf.py", before, after)
    assert apply_edits(before, found) == after
    assert apply_edits(before, []) == before
    for size in range(len(found)):
        for some in itertools.combinations(found, size):
            assert apply_edits(before, some) is not None


def test_files_that_a_change_adds_and_removes() -> None:
    (added,), (removed,) = cut_into_edits("a.py", None, "x = 1\n"), cut_into_edits("b.py", "y = 1\n", None)
    assert (apply_edits(None, [added]), apply_edits(None, [])) == ("x = 1\n", None)
    assert (apply_edits("y = 1\n", [removed]), apply_edits("y = 1\n", [])) == (None, "y = 1\n")


def test_comments_and_docstrings_are_no_edit_of_the_code() -> None:
    assert is_same_code("wf.py", 'def f():\n    """Old."""\n', 'def f():\n    """New."""  # more\n')
    assert not is_same_code("wf.py", "x = 1\n", "x = 2\n")
    assert not is_same_code("limits.json", "{}", "{ }")


def test_a_use_needs_its_definition_its_import_and_its_parameter() -> None:
    before = {"wf.py": BASE, "helpers.py": "def f(x):\n    return x\n"}
    after = {
        "wf.py": BASE.replace("import a\n", "import a\nfrom helpers import g\n").replace("first()", "first(g(more=1))"),
        "helpers.py": "def f(x):\n    return x\n\n\ndef g(more):\n    return more\n",
    }
    edits = [edit for path in before for edit in cut_into_edits(path, before[path], after[path])]
    needs = find_needs(edits, before)
    texts = ["".join(one.added).strip().partition("\n")[0] for one in edits]
    call, brought, made = (
        texts.index("first(g(more=1))"),
        texts.index("from helpers import g"),
        texts.index("def g(more):"),
    )
    assert needs.add_needed({call}) == {call, brought, made}
    assert needs.add_dependent({made}) >= {call, brought}
