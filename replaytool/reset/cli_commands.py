"""The same resets as commands of the official `temporal` CLI, for people who have no other tool."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from replaytool.model.reset_plan import ResetItem, ResetPlan
from replaytool.model.reset_server import ResetSettings
from replaytool.reset.apply import list_items_to_reset
from replaytool.text import escape_controls

_EXCLUDES = {"signals": "Signal", "updates": "Update"}


def list_reset_commands(plan: ResetPlan, how: ResetSettings, address: str | None = None) -> Iterator[str]:
    """Return one command for each item that an apply resets. Each must run only once."""
    return (
        " ".join(map(quote_for_shell, format_reset_command(plan, item, how, address)))
        for item in list_items_to_reset(plan, how)
    )


def quote_for_shell(word: str) -> str:
    r"""Return a word for bash and zsh with every control character escaped and its meaning kept.

    >>> print(quote_for_shell("order-7"), quote_for_shell("order 7"), quote_for_shell("order\x1b'7"))
    order-7 'order 7' $'order\x1b\'7'
    """
    if escape_controls(word) == word:
        return shlex.quote(word)
    return "$'" + "".join(map(_escape_character, word)) + "'"


def _escape_character(char: str) -> str:
    if char in "\\'":
        return "\\" + char
    shown = escape_controls(char)
    return shown.replace("\\x", "\\u00") if char >= "\x80" else shown  # \x is a byte to a shell, not a character


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
