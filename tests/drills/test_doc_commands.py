"""All commands of the guide in one go, with those that take long."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.doc_commands import loyalty
from tests.test_doc_commands import assert_they_end_as_said, of

pytestmark = pytest.mark.drill


def test_the_guide_from_its_beginning_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(loyalty(tmp_path))
    assert_they_end_as_said(of(Path("guide.md"), "", "screen", "slow"), capfd)
