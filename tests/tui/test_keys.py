"""Keys that a person chose: in the configuration, in the bindings, in the help; and what cannot be chosen."""

from __future__ import annotations

from pathlib import Path

import pytest

from replaytool import config
from replaytool.errors import ReplaytoolError
from replaytool.tui import keys
from tests.tui.conftest import Drive, Driver


def test_the_configuration_names_keys_in_tables_or_dotted(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.replaytool.keys]\n"runs.mark" = ["m", "space"]\ndebugger.step = "+"\n[tool.replaytool.keys.lists]\n'
        'move-back = "p"\n'
    )
    found = config.load_settings({}, tmp_path, {}).keys
    assert found == {"runs.mark": "m,space", "debugger.step": "+", "lists.move-back": "p"}
    assert keys.build_keymap(found)["debugger.step"] == "plus"
    (tmp_path / "pyproject.toml").write_text("[tool.replaytool]\nkeys = 5\n")
    with pytest.raises(ReplaytoolError, match="must be a table"):
        config.load_settings({}, tmp_path, {})


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"debugger.stepp": "x"}, "no action 'debugger.stepp'"),
        ({"everywhere.command-palette": "x"}, "no action"),
        ({"runs.mark": "d"}, "d is the key of both"),
    ],
)
def test_what_cannot_be_chosen_is_refused(chosen: dict[str, str], words: str) -> None:
    with pytest.raises(ReplaytoolError, match=words):
        keys.build_keymap(chosen)


def test_every_action_has_a_name_of_its_own() -> None:
    for group, rows in keys.KEYS.items():
        names = [row.config_name for row in rows]
        assert len(set(names)) == len(names), group
        assert keys.build_keymap({}) == {}


def test_chosen_keys_replace_the_others_and_the_help_knows(drive: Drive) -> None:
    async def walk(at: Driver) -> None:
        await at.press("n")
        assert at.stop == 1, "n does nothing any more"
        await at.press("plus", "ctrl+e", "ctrl+e")
        assert at.stop == 4
        await at.press("N")
        assert at.stop == 3
        await at.press("question_mark")
        assert "+ ^e" in at.text.replace("│", " ")
        await at.press("escape")
        assert "+ Next" in at.text

    drive(walk, run="order-2", keys={"debugger.step": "+,ctrl+e"})
