"""Which rules a recorded run was played by: the flags of the core and of the SDK, and the builds that ran it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

CHECK_IDS_AND_TYPES = 1
UPSERT_ON_PATCH = 2
MOVE_TERMINAL_COMMANDS = 3
CHECK_NEXUS = 4


@dataclass
class Observed:
    """All that completed tasks have said so far."""

    core: set[int] = field(default_factory=set)
    lang: list[int] = field(default_factory=list)
    """Sorted: it is sent with each activation, and changes about once in a run."""
    sdk_version: str = ""
    deployment: tuple[str, str] | None = None
    left_out: bool = False
    """Whether some name or id was not compared, as the record does not ask for it."""

    def checks(self, flag: int, *, in_last: bool = False) -> bool:
        """Whether names and ids are compared here; the core always does so in its last stretch."""
        if in_last or flag in self.core:
            return True
        self.left_out = True
        return False

    def add(self, completed: Any) -> None:
        """Take in what one completed task says."""
        metadata = completed.sdk_metadata
        if metadata is not None:
            if metadata.core_used_flags:
                self.core.update(metadata.core_used_flags)
            if metadata.lang_used_flags:
                self.lang = sorted({*self.lang, *metadata.lang_used_flags})
            self.sdk_version = metadata.sdk_version or self.sdk_version

    def add_build(self, completed: Any) -> None:
        """Take in the build that completed a task; of several spellings the newest one counts."""
        name, build = "", ""
        if completed.worker_version is not None:
            build = completed.worker_version.build_id
        if completed.worker_deployment_name:
            name = completed.worker_deployment_name
        old = completed.worker_deployment_version.split(".", 1)
        if len(old) == 2:
            name, build = old
        if completed.deployment_version is not None:
            name, build = completed.deployment_version.deployment_name, completed.deployment_version.build_id
        if name or build:
            self.deployment = (name, build)
