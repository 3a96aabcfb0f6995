"""The official commands: what a shell makes of them is what was meant."""

import subprocess

import pytest

from replaytool.reset.cli_commands import quote_for_shell
from replaytool.text import escape_controls


@pytest.mark.parametrize(
    "word",
    [
        "order-7",
        "order 7",
        "it's",
        "$(id) `id`",
        "a\nb",
        "a\x1b[31m\\'b'",
        "a\u202eb\\n",
        "a\x85\xadb",
        "",
        "\U000e0041'x",
    ],
)
def test_a_shell_reads_the_word_and_a_terminal_is_not_moved(word: str) -> None:
    line = quote_for_shell(word)
    assert escape_controls(line) == line
    done = subprocess.run(
        ["bash", "-c", f"printf %s {line}"], capture_output=True, env={"LC_ALL": "C.UTF-8"}, check=True, timeout=60
    )
    assert done.stdout.decode() == word
