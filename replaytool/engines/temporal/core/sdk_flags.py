"""The flags and builds that completed workflow tasks record: they choose the rules of a replay."""

from __future__ import annotations

from dataclasses import dataclass, field

from replaytool.engines.temporal.events.event_structs import TaskCompleted

CHECK_IDS_AND_TYPES = 1
UPSERT_ON_PATCH = 2
MOVE_TERMINAL_COMMANDS = 3
CHECK_NEXUS = 4


@dataclass
class ObservedFlags:
    """Flags and builds of all completed tasks seen so far; flags are cumulative, as in sdk-core."""

    core: set[int] = field(default_factory=set)
    lang: list[int] = field(default_factory=list)
    """Sorted, because each activation carries it in this order."""
    sdk_version: str = ""
    deployment: tuple[str, str] | None = None
    left_out: bool = False
    """Whether a name or id was not compared because the history lacks the flag."""

    def requires_check(self, flag: int, *, in_last: bool = False) -> bool:
        """Whether names and ids must be compared here. sdk-core always compares them in the last batch."""
        if in_last or flag in self.core:
            return True
        self.left_out = True
        return False

    def add_completed_task(self, completed: TaskCompleted) -> None:
        """Add the flags of a completed task."""
        metadata = completed.sdk_metadata
        if metadata is not None:
            if metadata.core_used_flags:
                self.core.update(metadata.core_used_flags)
            if metadata.lang_used_flags:
                self.lang = sorted({*self.lang, *metadata.lang_used_flags})
            self.sdk_version = metadata.sdk_version or self.sdk_version

    def add_worker_build(self, completed: TaskCompleted) -> None:
        """Read the build that completed a task; of several fields the newest one wins."""
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
