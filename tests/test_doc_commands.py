"""Every command in the documentation runs, and ends as its comment says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from replaytool.cli.demo import prepare_demo_folder
from tests.support.dev_server import DevServer, executable
from tests.support.doc_commands import Command, commands, loyalty, missing_lines, perform, riders_on_a_server
from tests.test_docs import PAGES

pytestmark = pytest.mark.slow

COMMANDS = [command for page in PAGES for command in commands(page)]
HERE = ("", "screen")
ELSEWHERE, SLOW = 6, 5


def of(page: Path, *kinds: str) -> list[Command]:
    return [command for command in COMMANDS if command.page == page.name and command.kind in kinds]


def parts() -> dict[str, list[Command]]:
    """Return what a reader does in one go: a page, or one section of the guide, which can be read alone."""
    found: dict[str, list[Command]] = {}
    for one in COMMANDS:
        if one.kind in HERE:
            found.setdefault(one.page + (f" {one.section}" if one.page == "guide.md" else ""), []).append(one)
    return found


def test_commands_that_are_not_run_here_are_few() -> None:
    kinds = {kind: [one for one in COMMANDS if one.kind == kind] for kind in {one.kind for one in COMMANDS}}
    assert set(kinds) <= {"", "screen", "slow", "server", "install", "elsewhere"}
    assert len(kinds.get("elsewhere", [])) <= ELSEWHERE
    assert len(kinds.get("slow", [])) <= SLOW, "the drills run these"
    assert [(one.page, one.text[:7]) for one in kinds["install"]] == [("README.md", "python3")] * 2
    assert len(kinds[""]) + len(kinds["server"]) > 40


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No settings of whoever runs the tests."""
    for name in os.environ:
        if name.startswith(("TEMPORAL_", "REPLAYTOOL_")):
            monkeypatch.delenv(name)
    return monkeypatch


@pytest.mark.parametrize("part", parts())
def test_commands_run_in_the_folder_of_the_demo(
    part: str, tmp_path: Path, settings: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    settings.chdir(loyalty(tmp_path))
    assert_they_end_as_said(parts()[part], capfd)


@pytest.fixture
def server() -> Iterator[DevServer]:
    executable()
    with riders_on_a_server() as running:
        yield running


@pytest.mark.server
@pytest.mark.parametrize("page", [page for page in PAGES if of(page, "server")], ids=lambda page: page.name)
def test_commands_run_with_a_server(
    page: Path,
    tmp_path: Path,
    settings: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    server: DevServer,
) -> None:
    prepare_demo_folder(tmp_path)
    settings.chdir(tmp_path)
    settings.setenv("TEMPORAL_ADDRESS", server.address)
    assert_they_end_as_said(of(page, "server"), capfd, server.address)


def assert_they_end_as_said(listed: list[Command], capfd: pytest.CaptureFixture[str], address: str = "") -> None:
    wrong = []
    for command in listed:
        capfd.readouterr()
        text = command.text.replace("localhost:7233", address) if address else command.text
        code = perform(replace(command, text=text))
        said = "".join(capfd.readouterr())
        place = f"{command.page}:{command.line}: {command.text}"
        if code != command.code:
            wrong.append(f"{place}\nended with {code}:\n{said[-1500:]}")
        elif missing := missing_lines(command.shown, said):
            wrong.append(f"{place}\nits output has no line {missing[0]!r}:\n{said[-3000:]}")
    assert not wrong, "\n\n".join(wrong)
