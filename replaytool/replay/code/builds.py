"""Map each build to its code: named by the user, checked out of git, or one code for all builds."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.replay.code.code_spec import CodeSpec
from replaytool.replay.code.git_worktrees import PlacedCode, Worktrees


@dataclass(frozen=True, slots=True)
class CodeMap:
    """What the user said about code: by build, from git, and a default for the rest."""

    default: CodeSpec | None = None
    builds: Mapping[str, CodeSpec] = field(default_factory=dict)
    git: bool = False
    """Build IDs are refs or commits of the default code's repository, or `pattern` turns them into refs."""
    pattern: str = ""
    """`release-{build}`, or a regular expression whose group is the ref."""


class BuildCheckouts:
    """The code of each build of one run. Closing it removes the checkouts."""

    def __init__(self, code: CodeMap, builds: Iterable[str | None]) -> None:
        self._by_build: dict[str | None, PlacedCode] = {}
        self.missing: dict[str | None, str] = {}
        """Builds without code, and why."""
        self._worktrees: Worktrees | None = None
        try:
            for build in dict.fromkeys(builds):
                self._resolve_build(code, build)
        except BaseException:
            self.remove_checkouts()
            raise

    def code_of_build(self, build: str | None) -> PlacedCode | None:
        """Return the code of a build."""
        return self._by_build.get(build)

    def distinct_codes(self) -> list[PlacedCode]:
        """Return each code once."""
        return list(dict.fromkeys(self._by_build.values()))

    def builds_of_code(self, placed: PlacedCode) -> list[str | None]:
        """Return the builds that this code replays."""
        return [build for build, one in self._by_build.items() if one == placed]

    def remove_checkouts(self) -> None:
        """Remove the checkouts."""
        if self._worktrees is not None:
            self._worktrees.remove_worktrees()

    def _resolve_build(self, code: CodeMap, build: str | None) -> None:
        named = code.builds.get(build or "")
        if named is not None:
            self._by_build[build] = PlacedCode(named, os.getcwd(), f"{build} ({', '.join(named.workflows)})")
        elif code.git:
            self._check_out_build(code, build)
        elif code.default is not None:
            self._by_build[build] = PlacedCode(code.default, os.getcwd(), ", ".join(code.default.workflows))
        else:
            self.missing[build] = (
                f"no code is named for build {build}" if build else "the history records no build here"
            )

    def _check_out_build(self, code: CodeMap, build: str | None) -> None:
        if code.default is None:
            raise AssertionError("git was asked for without a place to look in")
        if self._worktrees is None:
            self._worktrees = Worktrees(Path(code.default.folder or "."))
        commit = self._worktrees.resolve_commit(_ref_of_build(build or "", code.pattern))
        if commit is None:
            self.missing[build] = f"build {build} is not a commit of {self._worktrees.root}"
            return
        self._by_build[build] = self._worktrees.check_out_code(code.default, commit, f"{build} (commit {commit[:9]})")


def _ref_of_build(build: str, pattern: str) -> str:
    if not pattern:
        return build
    if "{build}" in pattern:
        return pattern.replace("{build}", build)
    try:
        found = re.search(pattern, build)
    except re.error as error:
        raise ReplaytoolError(
            f"--git-ref {pattern!r} is not a valid pattern: {error}",
            "write for example release-{build}",
            code=ErrorCode.CODE_GIT_PATTERN,
        ) from error
    return "" if found is None else found[1] if found.groups() else found[0]
