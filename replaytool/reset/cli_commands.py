"""The same resets as commands of the engine's own command line, for people who have no other tool."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from replaytool.model.reset_plan import ResetPlan
from replaytool.model.reset_server import ResetSettings
from replaytool.reset.apply import list_items_to_reset
from replaytool.reset.engine_jobs import reset_executor_of
from replaytool.text import escape_controls


def list_reset_commands(plan: ResetPlan, how: ResetSettings, address: str | None = None) -> Iterator[str]:
    """Yield one command for each item that an apply resets. Each must run only once."""
    for item in list_items_to_reset(plan, how):
        words = reset_executor_of(plan).format_command(plan, item, how, address)
        yield " ".join(map(quote_for_shell, words))


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
