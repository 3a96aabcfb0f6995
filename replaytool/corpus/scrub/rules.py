"""Which fields are to be replaced: rules that a person gives, each a kind and a pattern.

Adding a kind is one row in KINDS.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from replaytool.engines.temporal.events.scrubbable_fields import ScrubbableField
from replaytool.errors import ReplaytoolError


def _key(field: ScrubbableField, pattern: str) -> bool:
    return fnmatch.fnmatchcase(field.key.lower(), pattern.lower())


def _path(field: ScrubbableField, pattern: str) -> bool:
    return fnmatch.fnmatchcase(field.label, pattern)


def _match(field: ScrubbableField, pattern: str) -> bool:
    return isinstance(field.value, str) and re.search(pattern, field.value) is not None


def _type(field: ScrubbableField, pattern: str) -> bool:
    return pattern == ("text" if isinstance(field.value, str) else "number")


KINDS: Mapping[str, Callable[[ScrubbableField, str], bool]] = {
    "key": _key,
    "path": _path,
    "match": _match,
    "type": _type,
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule."""

    kind: str
    pattern: str

    def means(self, field: ScrubbableField) -> bool:
        """Whether the field is one of those."""
        return KINDS[self.kind](field, self.pattern)


@dataclass(frozen=True, slots=True)
class Rules:
    """What to replace and what to keep; without a rule everything is replaced."""

    only: tuple[Rule, ...] = ()
    keep: tuple[Rule, ...] = ()

    def replaced(self, field: ScrubbableField, make: Callable[[object], object]) -> object:
        """The field's value, or its stand-in; of a text that is meant by `match`, only what matches."""
        if any(rule.means(field) for rule in self.keep):
            return field.value
        meant = [rule for rule in self.only if rule.means(field)]
        if self.only and not meant:
            return field.value
        parts = [rule.pattern for rule in meant if rule.kind == "match"]
        if not meant or len(parts) < len(meant) or not isinstance(field.value, str):
            return make(field.value)
        text = field.value
        for pattern in parts:
            text = re.sub(pattern, lambda found: str(make(found[0])), text)
        return text


def parsed(only: Sequence[str], keep: Sequence[str]) -> Rules:
    """The rules as they are written on the command line.

    >>> parsed(["key:email", "match:[0-9]{16}"], []).only[0]
    Rule(kind='key', pattern='email')
    """
    return Rules(tuple(map(_parsed, only)), tuple(map(_parsed, keep)))


def _parsed(text: str) -> Rule:
    kind, _, pattern = text.partition(":")
    if kind not in KINDS or not pattern:
        raise ReplaytoolError(
            f"{text!r} is no rule", "write key:NAME, path:PATTERN, match:REGEX, type:text or type:number"
        )
    if kind == "match":
        try:
            re.compile(pattern)
        except re.error as error:
            raise ReplaytoolError(
                f"{pattern!r} is no regular expression: {error}", "as Python's re has them"
            ) from error
    return Rule(kind, pattern)
