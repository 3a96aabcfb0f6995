"""The command line: one file per command and one row per command in COMMANDS.

To add a command, write `cli/NAME.py` with a click command named `command` and add a row here. `replaytool --help`
prints the rows, so listing the commands imports none of them. A command parses options, calls a session and prints; it
must never touch the store's SQL, an engine's rules or the screens' widgets.
"""

from __future__ import annotations

import errno
import importlib
import logging
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

import click

from replaytool import __version__
from replaytool.errors import FAULT, USAGE, ErrorCode, ReplaytoolError, append_code
from replaytool.text import cut_long_words, escape_controls, hide_url_secrets, suggest_word

if TYPE_CHECKING:
    from replaytool.session import Session

COMMANDS: Mapping[str, str] = {
    "init": "Set up a project: configuration, first histories, first check.",
    "load": "Load exported histories into the store.",
    "pull": "Fetch histories from a Temporal server into the store.",
    "runs": "List the loaded runs.",
    "show": "Show the events of a run.",
    "diff": "Show where two runs differ.",
    "builds": "List the builds that ran tasks or activities, and when.",
    "sql": "Query the store with SQL.",
    "export": "Export runs in the formats that Temporal's own tools read.",
    "check": "Replay recorded runs against workflow code: does the code still follow them?",
    "patches": "Say which patches are still needed, proven by replaying open runs.",
    "merge": "Merge the JSON reports of several checks into one.",
    "coverage": "Show which lines and branches of workflow code no history reaches.",
    "select": "Choose the fewest histories that cover what all of them cover.",
    "scrub": "Replace user data in histories by pseudonyms, and prove that the replay is unchanged.",
    "debug": "Step through a run, forwards and backwards.",
    "find": "Find the event and line at which an expression over the state became true, in all runs.",
    "tui": "Open the store on the screen.",
    "simulate": "Ask what if: continue a run with other code or edited events.",
    "reset": "Reset workflows to before a bad build: plan, simulate, apply, verify.",
    "agents": "Write files that tell coding agents when and how to check.",
    "mcp": "Serve coding agents: check, guilty, fix, explain, debug, simulate, plan a reset.",
    "formats": "List the formats that can be loaded.",
    "demo": "Run the main commands on bundled histories.",
    "doctor": "Show what works here, and what is missing for which command.",
    "completion": "Print a script that completes commands and options in your shell.",
}
INTERRUPTED = 130
_LOOKING = {"show", "runs", "sql", "builds", "diff", "export"}
"""Commands that import no code unless the user names it: a pyproject.toml may be someone else's."""
_OUTPUT_ERRORS = {
    errno.EPIPE: "its reader closed the pipe",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file is too large",
}
_log = logging.getLogger("replaytool")


class _SecretFormatter(logging.Formatter):
    """Hide the secrets of URLs in log lines and tracebacks, those of libraries too."""

    def format(self, record: logging.LogRecord) -> str:
        return hide_url_secrets(super().format(record))


class _PipeClosed(Exception):
    """The reader of the output went away. click would exit with 1, as if there were findings."""


class _LazyGroup(click.Group):
    """Know every command's name and help, and import a command only when it is called."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise _PipeClosed from error

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"replaytool.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            raise ReplaytoolError(
                f"there is no command {escape_controls(args[0])!r}{suggest_word(args[0], COMMANDS)}",
                f"commands: {', '.join(COMMANDS)}",
                code=ErrorCode.USAGE_COMMAND,
            )
        return super().resolve_command(ctx, args)


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="replaytool")
@click.option("--store", metavar="FILE", help="The store file (default: as configured, else replaytool.duckdb).")
@click.option("-v", "--verbose", count=True, help="Log to stderr; -vv logs more and prints tracebacks.")
@click.pass_context
def cli(ctx: click.Context, /, store: str | None, verbose: int) -> None:
    """Load, query, replay and reset the recorded histories of durable workflows.

    \b
    Example:
      replaytool load histories/
      replaytool runs --status Failed
    """
    levels = (logging.WARNING, logging.INFO, logging.DEBUG)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_SecretFormatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=levels[min(verbose, 2)], handlers=[handler], force=True)
    ctx.obj = {"store": store}


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run a command, print any error and exit. Nothing else in replaytool prints an error or chooses an exit code."""
    try:
        code = cli.main(arguments, prog_name="replaytool", standalone_mode=False)
        sys.stdout.flush()
    except ReplaytoolError as error:
        code = print_error(append_code(error.message, error.code), error.hint, error.exit_code)
    except click.ClickException as error:
        code = _print_usage_error(error)
    except (KeyboardInterrupt, click.Abort):
        code = print_error("interrupted", "", INTERRUPTED)
    except _PipeClosed:
        code = _print_output_error(BrokenPipeError(errno.EPIPE, ""))
    except OSError as error:
        code = _print_output_error(error)
    except Exception as error:
        code = _print_fault(error)
    sys.exit(code if isinstance(code, int) else 0)


def _print_output_error(error: OSError) -> int:
    """Print one message if the output could not be written, and a fault otherwise."""
    if error.errno not in _OUTPUT_ERRORS:
        return _print_fault(error)
    # Python writes what is left once more at its end, and would report the error again.
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    message = f"the output was cut short: {_OUTPUT_ERRORS[error.errno]}"
    return print_error(append_code(message, ErrorCode.OUTPUT_UNWRITABLE), "the result is not complete", USAGE)


def _print_fault(error: Exception) -> int:
    _log.debug("", exc_info=True)
    message = f"internal error of replaytool: {type(error).__name__}: {error}"
    hint = "run it again with -vv for the traceback, and report it"
    return print_error(append_code(message, ErrorCode.FAULT_INTERNAL), hint, FAULT)


def print_error(message: str, hint: str, exit_code: int) -> int:
    """Print an error and its hint on stderr, with control characters escaped, and return the exit code."""
    lines = [f"replaytool: {escape_controls(message, keep=chr(10))}"] + ([f"  {escape_controls(hint)}"] if hint else [])
    print(cut_long_words(hide_url_secrets("\n".join(lines))), file=sys.stderr)
    return exit_code


def _print_usage_error(error: click.ClickException) -> int:
    """Print a click usage error; without any command, print the help."""
    if isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):  # since click 8.2
        click.echo(error.format_message(), err=True)
        return USAGE
    message = append_code(" ".join(error.format_message().split()), ErrorCode.USAGE_OPTION)
    return print_error(message, _usage_hint(error), USAGE)


def _usage_hint(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return f"see `{context.command_path} --help`" if context is not None else ""


def open_session(ctx: click.Context, **options: str | None) -> Session:
    """Open the session of a command: its options win over those before the command, then the configuration."""
    from replaytool import config
    from replaytool.session import Session

    merged = {**ctx.obj, **{name: value for name, value in options.items() if value is not None}}
    return Session(config.load_settings(merged, names_code=ctx.info_name not in _LOOKING))
