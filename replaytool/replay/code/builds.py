"""Which code each build had: named one by one, checked out of git, or one code for all of them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from replaytool.errors import ReplaytoolError
from replaytool.replay.code.git_worktrees import Placed, Worktrees
from replaytool.replay.code.user_code import CodeSpec


@dataclass(frozen=True, slots=True)
class CodeMap:
    """What a person said about code: by build, from git, and for whatever is left."""

    default: CodeSpec | None = None
    builds: Mapping[str, CodeSpec] = field(default_factory=dict)
    git: bool = False
    """Build ids are refs or commits, or lead to them, of the repository that the default code is in."""
    pattern: str = ""
    """How a build id leads to a ref: `release-{build}`, or a regular expression whose group is the ref."""


class Places:
    """The code of each build of one run; what was checked out for it is removed when it is closed."""

    def __init__(self, code: CodeMap, builds: Iterable[str | None]) -> None:
        self._by_build: dict[str | None, Placed] = {}
        self.missing: dict[str | None, str] = {}
        """Builds without code, and why."""
        self._worktrees: Worktrees | None = None
        try:
            for build in dict.fromkeys(builds):
                self._place(code, build)
        except BaseException:
            self.close()
            raise

    def of(self, build: str | None) -> Placed | None:
        """The code that a build had."""
        return self._by_build.get(build)

    def all(self) -> list[Placed]:
        """Each code once."""
        return list(dict.fromkeys(self._by_build.values()))

    def builds(self, placed: Placed) -> list[str | None]:
        """The builds that are replayed with this code."""
        return [build for build, one in self._by_build.items() if one == placed]

    def close(self) -> None:
        """Remove what was checked out."""
        if self._worktrees is not None:
            self._worktrees.close()

    def _place(self, code: CodeMap, build: str | None) -> None:
        named = code.builds.get(build or "")
        if named is not None:
            self._by_build[build] = Placed(named, os.getcwd(), f"{build} ({', '.join(named.workflows)})")
        elif code.git:
            self._from_git(code, build)
        elif code.default is not None:
            self._by_build[build] = Placed(code.default, os.getcwd(), ", ".join(code.default.workflows))
        else:
            self.missing[build] = f"no code was named for build {build}" if build else "no build is recorded here"

    def _from_git(self, code: CodeMap, build: str | None) -> None:
        if code.default is None:
            raise AssertionError("git was asked for without a place to look in")
        if self._worktrees is None:
            self._worktrees = Worktrees(Path(code.default.folder or "."))
        commit = self._worktrees.commit(_ref(build or "", code.pattern))
        if commit is None:
            self.missing[build] = f"build {build} is no commit of {self._worktrees.root}"
            return
        self._by_build[build] = self._worktrees.placed(code.default, commit, f"{build} (commit {commit[:9]})")


def _ref(build: str, pattern: str) -> str:
    if not pattern:
        return build
    if "{build}" in pattern:
        return pattern.replace("{build}", build)
    try:
        found = re.search(pattern, build)
    except re.error as error:
        raise ReplaytoolError(f"--git-ref {pattern!r} is no pattern: {error}", "for example release-{build}") from error
    return "" if found is None else found[1] if found.groups() else found[0]
