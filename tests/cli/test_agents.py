"""`replaytool agents install` writes its own text and keeps everybody else's."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Call

SKILL = Path(".claude/skills/replaytool/SKILL.md")


def test_it_writes_a_section_and_a_skill_and_keeps_what_is_there(call: Call, tmp_path: Path) -> None:
    agents = tmp_path / "AGENTS.md"
    agents.write_text("# Rules\r\n\r\nBe kind.\r\n", newline="")
    assert "+## Workflow code" in call("agents", "install", "--dry-run").out
    assert not SKILL.exists()
    assert call("agents", "install", "--yes").code == 0
    text = agents.read_bytes().decode()
    assert text.startswith("# Rules\r\n\r\nBe kind.")
    assert "replaytool check --base main --json --brief" in text
    assert SKILL.read_text().startswith("---\nname: replaytool\n")
    agents.write_text(text.replace("Never apply a reset", "OLD WORDS") + "\nMine, below.\n", newline="")
    assert call("agents", "install", "--yes").code == 0
    again = agents.read_bytes().decode()
    assert again == text + "\nMine, below.\n"
    assert "up to date" in call("agents", "install", "--yes").out


def test_without_an_answer_nothing_is_written(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("click.confirm", lambda *_, **__: False)
    assert "left as it is" in call("agents", "install").out
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_text_is_one_error(call: Call, tmp_path: Path) -> None:
    (tmp_path / "AGENTS.md").write_bytes(b"\xff\xfe\x00")
    told = call("agents", "install", "--yes")
    assert told.code == 2
    assert "Traceback" not in told.err
    assert not SKILL.exists()
