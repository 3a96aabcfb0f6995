"""One reset as a command of the official `temporal` CLI, for people who have no other tool."""

from __future__ import annotations

from replaytool.model.reset_plan import ResetItem, ResetPlan
from replaytool.model.reset_server import ResetSettings

_EXCLUDES = {"signals": "Signal", "updates": "Update"}


def format_reset_command(plan: ResetPlan, item: ResetItem, how: ResetSettings, address: str | None = None) -> list[str]:
    """Return the words of one command."""
    words = ["temporal", "workflow", "reset"]
    if how.pin is not None:
        words += ["with-workflow-update-options", "--versioning-override-behavior", "pinned"]
        words += ["--versioning-override-deployment-name", how.pin[0], "--versioning-override-build-id", how.pin[1]]
    words += [f"--workflow-id={item.workflow_id}", f"--run-id={item.run_id}"]
    words += ["--event-id", str(item.point.event_id), "--reason", f"{plan.reset_token(item)} {how.reason}".strip()]
    for name in how.exclude:
        words += ["--reapply-exclude", _EXCLUDES[name]]
    if plan.namespace:
        words += ["--namespace", plan.namespace]
    return words + (["--address", address] if address else [])
