"""`python -m tests.reset.command ARGUMENTS`: the command line, for tests that need it as a process to kill."""

import sys

from replaytool import cli

cli.COMMANDS = {**cli.COMMANDS, "reset": "Reset workflows to before a bad build: plan, apply, verify."}

if __name__ == "__main__":
    cli.main(sys.argv[1:])
