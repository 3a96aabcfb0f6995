"""Where tools ask: the command line with the store and the access of this server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from replaytool.mcp_server.access import Access
from replaytool.mcp_server.answers import Answer
from replaytool.mcp_server.commands import CommandResult, run_command

Given = Mapping[str, str]
"""The arguments of a call, each as text; what was not given is missing."""


@dataclass(frozen=True, slots=True)
class Desk:
    """Runs commands for tools."""

    access: Access
    seconds: float = 300.0

    def ask(self, command: Sequence[str], options: Sequence[str] = (), names: Sequence[str] = ()) -> CommandResult:
        """Run a command. Each option carries its value, and names come behind `--`: no value is taken for an option."""
        store = [f"--store={self.access.store}"] if self.access.store is not None else []
        more = ["--", *names] if names else []
        return run_command([*command, *options, *store, *more], self.access.folder, self.seconds)

    def code_options(self, given: Given) -> list[str]:
        """Return the options for the code of a call: `workflows` for all builds, `builds` for the code of each."""
        codes = split_list(given.get("workflows", ""))
        by_build = split_list(given.get("builds", ""))
        self.access.require_runnable([*codes, *(one.partition("=")[2] for one in by_build)])
        return [*(f"--workflows={one}" for one in codes), *(f"--code={one}" for one in by_build)]


def split_list(text: str) -> list[str]:
    """Return the parts of a list that is written with commas."""
    return [one.strip() for one in text.split(",") if one.strip()]


def pass_option(given: Given, *names: str) -> list[str]:
    """Return the options with these names that the call gives."""
    return [f"--{name.replace('_', '-')}={given[name]}" for name in names if given.get(name)]


def refuse(result: CommandResult) -> Answer:
    """Return the answer to a command that found nothing or could not work."""
    return Answer(
        "The command has no answer. Its message:", [result.error or f"exit code {result.code}"], is_error=True
    )
