"""Write what `init` found: a table in pyproject.toml, and a file for the CI service. Nothing is overwritten."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path

from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.project.find_setup import ProjectSetup

CI_FILES = {"github": ".github/workflows/replaytool.yml", "gitlab": ".gitlab/replaytool.yml"}
_GITHUB = """\
name: replay histories
on: pull_request
permissions:
  contents: read          # the code of a pull request runs here: no secrets, nothing to write to
jobs:
  replay:
    runs-on: ubuntu-24.04
    timeout-minutes: 30
    steps:
      - uses: actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683      # v4.2.2
        with:
          fetch-depth: 0                # the merge base must be there
          persist-credentials: false
      - uses: actions/setup-python@a26af69be951a213d495a4c3e4e4022e16d87065  # v5.6.0
        with:
          python-version: "3.12"
      - name: Install
        # Before replaytool is on PyPI: "git+https://github.com/OWNER/replaytool@COMMIT"
        run: python -m pip install {requirements} "{tool}"
      - name: Replay
        env:
          BASE: origin/${{{{ github.base_ref }}}}
        run: replaytool check --base "$BASE"
"""
_GITLAB = """\
replay:
  image: python:3.12-slim
  rules:
    - if: $CI_PIPELINE_SOURCE == "merge_request_event"
  variables:
    GIT_DEPTH: "0"                      # the merge base must be there
  before_script:
    - apt-get update -qq && apt-get install -y -qq git
    # Before replaytool is on PyPI: "git+https://HOST/OWNER/replaytool@COMMIT"
    - python -m pip install {requirements} "{tool}"
  script:
    - >-
      replaytool check --base "$CI_MERGE_REQUEST_DIFF_BASE_SHA"
      --format text --format gitlab:quality.json --format junit:replay.xml
  artifacts:
    when: always
    reports:
      codequality: quality.json
      junit: replay.xml
"""


def has_settings(file: Path) -> bool:
    """Return whether a pyproject.toml has a table for replaytool."""
    if not file.is_file():
        return False
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ReplaytoolError(
            f"cannot read {file}: {error}",
            "fix the file, or run in another folder",
            code=ErrorCode.CONFIG_UNREADABLE,
        ) from error
    return "replaytool" in table.get("tool", {})


def format_settings(setup: ProjectSetup, histories: Sequence[str]) -> str:
    """Return the table as TOML."""
    rows = [("workflows", list(setup.workflows)), ("histories", list(histories))]
    rows += [("plugins", list(setup.plugins)), ("interceptors", list(setup.interceptors))]
    lines = [f"{name} = {json.dumps(values, ensure_ascii=False)}" for name, values in rows if values]
    if setup.converter is not None:
        lines.append(f"converter = {json.dumps(setup.converter, ensure_ascii=False)}")
    return "[tool.replaytool]\n" + "".join(f"{line}\n" for line in lines)


def append_settings(file: Path, table: str) -> None:
    """Append the table to pyproject.toml; everything that is in the file stays as it is."""
    before = file.read_bytes() if file.is_file() else b""
    gap = b"" if not before else b"\n" if before.endswith(b"\n") else b"\n\n"
    with file.open("ab") as stream:
        stream.write(gap + table.encode())


def write_ci_file(folder: Path, service: str, tool: str) -> tuple[Path, bool]:
    """Write the file for a CI service, and return its path and whether it is new."""
    file = folder / CI_FILES[service]
    if service == "gitlab" and not (folder / ".gitlab-ci.yml").exists():
        file = folder / ".gitlab-ci.yml"
    if file.exists():
        return file, False
    file.parent.mkdir(parents=True, exist_ok=True)
    text = {"github": _GITHUB, "gitlab": _GITLAB}[service]
    file.write_text(text.format(requirements=_name_requirements(folder), tool=tool), encoding="utf-8")
    return file, True


def _name_requirements(folder: Path) -> str:
    if (folder / "requirements.txt").is_file():
        return "-r requirements.txt"
    try:
        table = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    except OSError:
        table = {}
    return "." if "project" in table else "temporalio"
