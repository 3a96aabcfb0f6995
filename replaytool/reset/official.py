"""The same resets as commands of the official command-line tool, for those who have nothing else at hand."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from replaytool.plan import ResetItem, ResetPlan
from replaytool.reset.apply import taken
from replaytool.reset.server import How

_EXCLUDES = {"signals": "Signal", "updates": "Update"}


def commands(plan: ResetPlan, how: How, address: str | None = None) -> Iterator[str]:
    """One command for each item that apply would take: run each of them once only."""
    return (shlex.join(command(plan, item, how, address)) for item in taken(plan, how))


def command(plan: ResetPlan, item: ResetItem, how: How, address: str | None = None) -> list[str]:
    """The words of one command."""
    words = ["temporal", "workflow", "reset"]
    if how.pin is not None:
        words += ["with-workflow-update-options", "--versioning-override-behavior", "pinned"]
        words += ["--versioning-override-deployment-name", how.pin[0], "--versioning-override-build-id", how.pin[1]]
    words += [f"--workflow-id={item.workflow_id}", f"--run-id={item.run_id}"]
    words += ["--event-id", str(item.point.event_id), "--reason", f"{plan.token(item)} {how.reason}".strip()]
    for name in how.exclude:
        words += ["--reapply-exclude", _EXCLUDES[name]]
    if plan.namespace:
        words += ["--namespace", plan.namespace]
    return words + (["--address", address] if address else [])
