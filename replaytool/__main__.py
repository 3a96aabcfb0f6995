"""`python -m replaytool` is the `replaytool` command."""

from replaytool.cli import main

if __name__ == "__main__":
    main()
