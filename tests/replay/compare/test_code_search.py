"""A step that the code still calls was not renamed."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

from replaytool.replay.compare.code_search import find_registered_names, is_called_in_user_code, names_step


@pytest.mark.parametrize(
    ("source", "is_called"),
    [
        ("await workflow.execute_activity('charge', 1)", True),
        ("await workflow.execute_activity(charge, 1)", True),
        ("await workflow.execute_activity(bank.charge, 1)", True),
        ("STEP = 'charge'", True),
        ("@activity.defn(name='charge')\nasync def pay(): ...\nawait workflow.execute_activity(pay)", True),
        ("async def charge(): ...", False),
        ("@activity.defn(name='charge')\nasync def pay(): ...", False),
        ("# charge was renamed\nawait workflow.execute_activity('debit')", False),
        ("await workflow.execute_activity('recharge')", False),
    ],
)
def test_a_definition_is_no_call(source: str, is_called: bool) -> None:
    tree = ast.parse(source)
    assert names_step(tree, {"charge", *find_registered_names(tree, "charge")}) is is_called


def test_all_modules_of_the_user_are_searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bank_steps.py").write_text("from temporalio import activity\n\n@activity.defn(name='charge-it')\n"
                                            "async def charge_card() -> None: ...\n")  # fmt: skip
    (tmp_path / "bank_flow.py").write_text("import bank_steps\nSTEPS = [bank_steps.charge_card]\nLAST = 'send-it'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.import_module("bank_flow")
    assert is_called_in_user_code("charge-it")
    assert is_called_in_user_code("send-it")
    assert not is_called_in_user_code("-".join(("charge", "them")))  # this file is a module of the user's, too
    assert not is_called_in_user_code("")
