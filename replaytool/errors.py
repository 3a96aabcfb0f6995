"""What goes wrong in a way that a person can mend, and the exit codes that tell a script about it."""

CLEAN = 0
FINDINGS = 1
USAGE = 2
FAULT = 3
NOTHING = 5


class ReplaytoolError(Exception):
    """Something that the person at the keyboard must fix; printed in one place, without a traceback."""

    def __init__(self, message: str, hint: str = "", exit_code: int = USAGE) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exit_code = exit_code
