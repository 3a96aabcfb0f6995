"""`check --with`: hand the same check to a process for each release, and print what changes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from replaytool.cli.shared import options
from replaytool.errors import CLEAN, FINDINGS, USAGE, ErrorCode, ReplaytoolError

if TYPE_CHECKING:
    from replaytool.model.releases import Overlay

_TAKE_A_VALUE = ("--with", "--find-links", "--format", "--store")
_FLAGS = ("--json", "--brief", "--no-cache")


def run_release_checks(
    arguments: Sequence[str], releases: Sequence[str], links: Sequence[str], formats: Sequence[str], store: Path | None
) -> int:
    """Check with what is installed and with each release; return the exit code."""
    from replaytool.check.releases.check_releases import check_under_release
    from replaytool.check.releases.overlays import build_overlay
    from replaytool.render import releases as report

    if set(formats) - {"text", "json"}:
        raise ReplaytoolError(
            "--with has the formats text and json",
            "leave --format out, or write --json",
            code=ErrorCode.USAGE_COMBINATION,
        )
    here = Path.cwd()
    overlays: list[Overlay | None] = [None]
    for one in releases:
        options.print_note(f"{one}: installing, or taking from the cache")
        overlays.append(build_overlay(one, here, [str(Path(link).resolve()) for link in links]))
    with tempfile.TemporaryDirectory() as folder:
        same = [*_leave_out_own(arguments), "--no-cache", "--format=json"]
        if store is not None and store.is_file():
            # The verdicts of another release must not become the last ones of the user's store.
            copy = str(shutil.copy(store, Path(folder) / "copy.duckdb"))
            same = [copy if one == str(store) else one for one in same]
            same += [] if copy in same else [f"--store={copy}"]
        checks = [check_under_release(["check", *same], overlay, here) for overlay in overlays]
    render = report.render_json if "json" in formats else report.render_text
    click.echo(render(checks), nl=False)
    if any(one.trouble for one in checks):
        return USAGE
    return FINDINGS if any(one.exit_code for one in checks) else CLEAN


def _leave_out_own(arguments: Sequence[str]) -> list[str]:
    """Return the arguments without those that only this process uses."""
    kept: list[str] = []
    is_value = False
    for one in arguments:
        if is_value:
            is_value = False
        elif one in _TAKE_A_VALUE:
            is_value = True
        elif one not in _FLAGS and one.partition("=")[0] not in _TAKE_A_VALUE:
            kept.append(one)
    return kept
