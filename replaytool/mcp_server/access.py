"""What a client may reach: folders that can be read, and code that may be run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from replaytool.errors import ErrorCode, ReplaytoolError


@dataclass(frozen=True, slots=True)
class Access:
    """The folders that were allowed at the start."""

    folder: Path
    """Where commands run; relative paths start here."""
    roots: tuple[Path, ...]
    runnable: tuple[Path, ...] = ()
    store: Path | None = None

    def require_readable(self, text: str) -> str:
        """Return the path of a file or folder inside a root."""
        path = self._resolve(text)
        if not any(path.is_relative_to(root) for root in self.roots):
            raise ReplaytoolError(
                "this path is outside of the folders that can be read",
                "the user can add --root PATH",
                code=ErrorCode.MCP_REFUSED,
            )
        return str(path)

    def require_runnable(self, codes: Sequence[str]) -> list[str]:
        """Return the workflow code to run: what was asked for, or all that was allowed."""
        if not self.runnable:
            raise ReplaytoolError(
                "this tool runs workflow code",
                "the user can start the server with `replaytool mcp --allow-run PATH`",
                code=ErrorCode.MCP_REFUSED,
            )
        if not any(self.folder.is_relative_to(one) for one in self.runnable) and self._has_settings():
            raise ReplaytoolError(
                "pyproject.toml of this folder can name code to run",
                "the user can allow it with --allow-run .",
                code=ErrorCode.MCP_REFUSED,
            )
        for code in codes:
            self._require_runnable_file(code)
        return list(codes)

    def _require_runnable_file(self, code: str) -> None:
        place = code.partition(":")[0]
        path = self._resolve(place if "/" in place or place.endswith(".py") else place.replace(".", "/"))
        found = [one for one in (path, path.with_suffix(".py")) if one.exists()]
        if not found or not any(found[0].is_relative_to(one) for one in self.runnable):
            raise ReplaytoolError(
                "this code is outside of what may be run",
                "name code by its path, or ask for --allow-run PATH",
                code=ErrorCode.MCP_REFUSED,
            )

    def _has_settings(self) -> bool:
        return any((one / "pyproject.toml").is_file() for one in (self.folder, *self.folder.parents))

    def _resolve(self, text: str) -> Path:
        if "\0" in text or "://" in text:
            raise ReplaytoolError(
                "only files of this machine can be named", "name a file or folder", code=ErrorCode.MCP_REFUSED
            )
        return (self.folder / text).resolve()
