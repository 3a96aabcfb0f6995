"""Git in a temporary repository, as nobody in particular."""

from __future__ import annotations

import subprocess
from pathlib import Path


def git(folder: Path, *arguments: str) -> str:
    """What a git command says; it must go well."""
    told = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main")
    done = subprocess.run(["git", "-C", str(folder), *told, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()
