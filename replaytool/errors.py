"""The error that a user can fix, and the exit codes of the command line. Its causes are the rows of error_codes.py."""

from __future__ import annotations

from replaytool.error_codes import ErrorCode

__all__ = [
    "CLEAN",
    "FAULT",
    "FINDINGS",
    "NOTHING",
    "USAGE",
    "ErrorCode",
    "ReplaytoolError",
    "append_code",
    "find_error_code",
]

CLEAN = 0
FINDINGS = 1
USAGE = 2
FAULT = 3
NOTHING = 5


class ReplaytoolError(Exception):
    """An error that the user can fix. The command line prints it without a traceback."""

    def __init__(self, message: str, hint: str = "", exit_code: int = USAGE, *, code: ErrorCode) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exit_code = exit_code
        self.code = code

    def format_line(self) -> str:
        """Return the message, the code and the hint in one line."""
        return f"{append_code(self.message, self.code)}{'; ' if self.hint else ''}{self.hint}"


def append_code(message: str, code: ErrorCode) -> str:
    """Return the message with the code at the end of its first line."""
    first, newline, rest = message.partition("\n")
    return f"{first} [{code.code}]{newline}{rest}"


def find_error_code(code: str) -> ErrorCode:
    """Return the entry of a code that came from another process."""
    return next(entry for entry in ErrorCode if entry.code == code)
