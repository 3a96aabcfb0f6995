"""Find the line at which a process was ended, in the dump that faulthandler wrote."""

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


def find_user_line(dump: str) -> str:
    r"""Return the innermost line of the user's code in a dump of all threads, or "".

    >>> place_in('Thread 0x1 (most recent call first):\n  File "/app/orders.py", line 12 in run\n')
    '/app/orders.py:12 in run'
    """
    for file, line, function in _FRAME.findall(dump):
        name = _unescape_name(file)
        if not name.startswith(_FOREIGN):
            return f"{_relative_name(name)}:{line} in {function}"
    return ""


def _unescape_name(name: str) -> str:
    """Undo the escapes that faulthandler writes for characters outside ASCII."""
    try:
        return str(ast.literal_eval(f'"{name}"')) if "\\" in name else name
    except (SyntaxError, ValueError):
        return name


def _relative_name(name: str) -> str:
    relative = os.path.relpath(name)
    return name if relative.startswith("..") else relative
