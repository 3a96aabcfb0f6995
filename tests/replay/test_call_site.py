"""Whose code a file is: the user's, a library's, or the engine's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from replaytool.replay import call_site


@pytest.fixture(autouse=True)
def claims_nothing_afterwards() -> Iterator[None]:
    yield
    call_site.claim_user_folders(())


def test_a_virtual_environment_inside_the_project_holds_libraries(tmp_path: Path) -> None:
    call_site.claim_user_folders((str(tmp_path),))
    installed = tmp_path / ".venv" / "lib" / "python3.12" / "site-packages" / "lib" / "it.py"
    assert call_site.is_library_file(str(installed))
    assert call_site.is_user_file(str(tmp_path / "app" / "workflows.py"))


def test_an_installed_package_that_is_named_is_the_users(tmp_path: Path) -> None:
    root = tmp_path / ".venv" / "lib" / "site-packages" / "orders"
    call_site.claim_user_folders((str(tmp_path), str(root)))
    assert call_site.is_user_file(str(root / "workflows.py"))
    assert call_site.is_library_file(str(root.parent / "other" / "it.py"))
