"""The same resets as commands of the official command-line tool, for those who have nothing else at hand."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from replaytool.engines.temporal.reset.server_calls import ResetSettings
from replaytool.model.reset_plan import ResetItem, ResetPlan
from replaytool.reset.apply import taken
from replaytool.text import visible

_EXCLUDES = {"signals": "Signal", "updates": "Update"}


def commands(plan: ResetPlan, how: ResetSettings, address: str | None = None) -> Iterator[str]:
    """One command for each item that apply would take: run each of them once only."""
    return (" ".join(map(quoted, command(plan, item, how, address))) for item in taken(plan, how))


def quoted(word: str) -> str:
    r"""A word for bash and zsh in which every control character is spelled out, and still means what it is.

    >>> print(quoted("order-7"), quoted("order 7"), quoted("order\x1b'7"))
    order-7 'order 7' $'order\x1b\'7'
    """
    if visible(word) == word:
        return shlex.quote(word)
    return "$'" + "".join(map(_escaped, word)) + "'"


def _escaped(char: str) -> str:
    if char in "\\'":
        return "\\" + char
    shown = visible(char)
    return shown.replace("\\x", "\\u00") if char >= "\x80" else shown  # \x is a byte to a shell, not a character


def command(plan: ResetPlan, item: ResetItem, how: ResetSettings, address: str | None = None) -> list[str]:
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
