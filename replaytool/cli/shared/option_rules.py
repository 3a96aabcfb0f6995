"""Which options of `check` fit together: one row for each combination that means nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from replaytool.errors import ErrorCode, ReplaytoolError

Given = Mapping[str, Any]
_Rule = tuple[Callable[[Given], object], str, str]

_CHECK_RULES: tuple[_Rule, ...] = (
    (
        lambda given: given["impacted"] and (not given["base"] or given["repeat"] > 1),
        "--impacted needs --base, and excludes --repeat",
        "add --base REF, and leave --repeat out",
    ),
    (
        lambda given: given["releases"] and (given["base"] or given["baseline"] or given["shard"]),
        "--with checks the code as it stands: it excludes --base, --baseline and --shard",
        "leave them out",
    ),
    (
        lambda given: given["find_links"] and not given["releases"],
        "--find-links needs --with",
        "add --with, such as temporalio==1.31",
    ),
    (
        lambda given: _has_changed_patch(given) and (given["base"] or given["update_baseline"] or _has_both(given)),
        "--without and --deprecated exclude each other, --base and --update-baseline",
        "the code that it replays is written nowhere, so compare it with nothing",
    ),
    (
        lambda given: given["guilty"] and not given["base"],
        "--guilty needs --base: it searches the edits since the merge base",
        "add --base REF",
    ),
    (
        lambda given: given["fix"] and not given["base"],
        "--fix needs --base: it searches the edits since the merge base",
        "add --base REF",
    ),
    (
        lambda given: given["output"] and not given["fix"],
        "--output needs --fix: it names the file for the fix",
        "add --fix, or write a report with --format FORMAT:FILE",
    ),
    (
        lambda given: given["write"] and not given["fix"],
        "--write needs --fix: it changes the files as the fix says",
        "add --fix",
    ),
)


def require_fitting_options(given: Given) -> None:
    """Refuse the first combination that means nothing."""
    for is_wrong, message, hint in _CHECK_RULES:
        if is_wrong(given):
            raise ReplaytoolError(message, hint, code=ErrorCode.USAGE_COMBINATION)


def _has_changed_patch(given: Given) -> bool:
    return given["without"] is not None or given["deprecated"] is not None


def _has_both(given: Given) -> bool:
    return given["without"] is not None and given["deprecated"] is not None
