"""The error that a user can fix, and the exit codes of the command line."""

CLEAN = 0
FINDINGS = 1
USAGE = 2
FAULT = 3
NOTHING = 5


class ReplaytoolError(Exception):
    """An error that the user can fix. The command line prints it without a traceback."""

    def __init__(self, message: str, hint: str = "", exit_code: int = USAGE) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exit_code = exit_code
