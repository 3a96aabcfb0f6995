"""Rules that say which fields to replace, each with a kind and a pattern. Add a kind as one row of KINDS."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.model.scrub_result import ScrubbableField


def _matches_key(field: ScrubbableField, pattern: str) -> bool:
    return fnmatch.fnmatchcase(field.key.lower(), pattern.lower())


def _matches_path(field: ScrubbableField, pattern: str) -> bool:
    return fnmatch.fnmatchcase(field.label, pattern)


def _matches_value(field: ScrubbableField, pattern: str) -> bool:
    return isinstance(field.value, str) and re.search(pattern, field.value) is not None


def _matches_type(field: ScrubbableField, pattern: str) -> bool:
    return pattern == ("text" if isinstance(field.value, str) else "number")


KINDS: Mapping[str, Callable[[ScrubbableField, str], bool]] = {
    "key": _matches_key,
    "path": _matches_path,
    "match": _matches_value,
    "type": _matches_type,
}


@dataclass(frozen=True, slots=True)
class ScrubRule:
    """One rule."""

    kind: str
    pattern: str

    def applies_to(self, field: ScrubbableField) -> bool:
        """Return whether the field matches."""
        return KINDS[self.kind](field, self.pattern)


@dataclass(frozen=True, slots=True)
class ScrubRules:
    """What to replace and what to keep; without a rule everything is replaced."""

    only: tuple[ScrubRule, ...] = ()
    keep: tuple[ScrubRule, ...] = ()

    def replace_field(self, field: ScrubbableField, make: Callable[[object], object]) -> object:
        """Return the field's value or its pseudonym; of a text that `match` selects, only the match is replaced."""
        if any(rule.applies_to(field) for rule in self.keep):
            return field.value
        meant = [rule for rule in self.only if rule.applies_to(field)]
        if self.only and not meant:
            return field.value
        parts = [rule.pattern for rule in meant if rule.kind == "match"]
        if not meant or len(parts) < len(meant) or not isinstance(field.value, str):
            return make(field.value)
        text = field.value
        for pattern in parts:
            text = re.sub(pattern, lambda found: str(make(found[0])), text)
        return text


def parse_rules(only: Sequence[str], keep: Sequence[str]) -> ScrubRules:
    """Parse the rules of the command line.

    >>> parse_rules(["key:email", "match:[0-9]{16}"], []).only[0]
    ScrubRule(kind='key', pattern='email')
    """
    return ScrubRules(tuple(map(_parse_rule, only)), tuple(map(_parse_rule, keep)))


def _parse_rule(text: str) -> ScrubRule:
    kind, _, pattern = text.partition(":")
    if kind not in KINDS or not pattern:
        raise ReplaytoolError(
            f"{text!r} is not a rule",
            "write key:NAME, path:PATTERN, match:REGEX, type:text or type:number",
            code=ErrorCode.SCRUB_RULE,
        )
    if kind == "match":
        try:
            re.compile(pattern)
        except re.error as error:
            raise ReplaytoolError(
                f"{pattern!r} is not a regular expression: {error}",
                "use the syntax of Python's re module",
                code=ErrorCode.SCRUB_REGEX,
            ) from error
    return ScrubRule(kind, pattern)
