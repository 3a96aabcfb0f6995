"""The line that a process was at when it was ended: what faulthandler wrote, read back."""

from __future__ import annotations

import ast
import os
import re
import sysconfig
from pathlib import Path

_FRAME = re.compile(r'^ +File "(.+)", line (\d+) in (.+)$', re.MULTILINE)
_FOREIGN = tuple(
    {sysconfig.get_path(name) + os.sep for name in ("stdlib", "purelib", "platlib")}
    | {str(Path(__file__).resolve().parents[1]) + os.sep, "<"}
)


def place_in(dump: str) -> str:
    r"""The innermost line of the user's in a dump of all threads, or "".

    >>> place_in('Thread 0x1 (most recent call first):\n  File "/app/orders.py", line 12 in run\n')
    '/app/orders.py:12 in run'
    """
    for file, line, function in _FRAME.findall(dump):
        name = _unescaped(file)
        if not name.startswith(_FOREIGN):
            return f"{_shown(name)}:{line} in {function}"
    return ""


def _unescaped(name: str) -> str:
    """What is not ASCII is written as in a Python string."""
    try:
        return str(ast.literal_eval(f'"{name}"')) if "\\" in name else name
    except (SyntaxError, ValueError):
        return name


def _shown(name: str) -> str:
    relative = os.path.relpath(name)
    return name if relative.startswith("..") else relative
