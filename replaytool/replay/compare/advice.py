"""What to do about a divergence, where the pattern is a known one; silence is better than a guess."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from replaytool.model.verdict import CallSite, Command, Expected

_GUARD = "keep the old behaviour for runs like this one: if workflow.patched({name!r}): … else: the old code"


@dataclass(frozen=True, slots=True)
class Scene:
    """What was going on around the divergence."""

    expected: Expected
    actual: Command | None
    later_recorded: Sequence[Expected] = ()
    """What the record holds behind the event."""
    later_produced: Sequence[Command] = ()
    """What the code asked for behind the command, in the same task."""
    source: str = ""
    """The text of the function that asked."""


def advise(scene: Scene) -> str:
    """The first pattern that fits."""
    for pattern in _PATTERNS:
        text = pattern(scene)
        if text:
            return text
    return ""


def _patch_gone(scene: Scene) -> str:
    if scene.expected.kind != "patch":
        return ""
    name = scene.expected.name
    return (
        f"the record holds the patch {name!r}, and the code never asked for it: it was removed too early. "
        f"Call workflow.deprecate_patch({name!r}) until no open run of the old code is left"
    )


def _set_order(scene: Scene) -> str:
    if scene.actual is None or not iterates_over_a_set(scene.source):
        return ""
    return (
        "the code iterates over a set, whose order differs from process to process: "
        "iterate over sorted(…) or over a list; the old order is lost unless the record's is written down"
    )


def _swapped(scene: Scene) -> str:
    if scene.actual is None or not _later(scene.actual, scene.later_recorded):
        return ""
    if not any(_same(one, scene.expected) for one in scene.later_produced):
        return ""
    return "the same steps come in another order: restore it, or " + _GUARD.format(name=_slug(scene.actual))


def _removed(scene: Scene) -> str:
    if scene.actual is None or not _later(scene.actual, scene.later_recorded):
        return ""
    gone = _spoken(scene.expected)
    return f"{gone} is skipped by the new code: it was removed or moved behind. Keep it, or " + _GUARD.format(
        name=f"no-{_slug(scene.expected)}"
    )


def _renamed(scene: Scene) -> str:
    expected, actual = scene.expected, scene.actual
    if actual is None or expected.kind != actual.kind or expected.kind not in _NAMED or expected.name == actual.name:
        return ""
    if any(_same(one, expected) for one in scene.later_produced):
        return ""
    return (
        f"was {expected.name!r} renamed to {actual.name!r}? Keep the recorded name "
        f"({_NAMED[expected.kind].format(name=expected.name)}), or " + _GUARD.format(name=_slug(actual))
    )


def _added(scene: Scene) -> str:
    if scene.actual is None or scene.actual.kind in _ENDS or scene.expected.kind in _ENDS:
        return ""
    if scene.later_produced and not any(_same(one, scene.expected) for one in scene.later_produced):
        return ""
    if scene.actual.kind == scene.expected.kind:
        return ""
    return f"{_spoken(scene.actual)} is new here: " + _GUARD.format(name=_slug(scene.actual))


def _ended_early(scene: Scene) -> str:
    if scene.actual is None or scene.actual.kind not in _ENDS:
        return ""
    if scene.expected.kind in _ENDS:
        return (
            "the workflow ends in another way: guard the change with workflow.patched(…), runs like this one are over"
        )
    return "the workflow ends before the record does: " + _GUARD.format(name="early-end")


def _too_long(scene: Scene) -> str:
    if scene.actual is None or scene.expected.kind not in _ENDS:
        return ""
    return f"the record ends here, the code goes on with {_spoken(scene.actual)}: " + _GUARD.format(
        name=_slug(scene.actual)
    )


def _nothing_there(scene: Scene) -> str:
    if scene.actual is not None:
        return ""
    return f"the code no longer asks for {_spoken(scene.expected)}: keep it, or " + _GUARD.format(
        name=f"no-{_slug(scene.expected)}"
    )


_ENDS = {"complete", "fail", "cancel", "continue_as_new"}
_NAMED = {
    "activity": "@activity.defn(name={name!r})",
    "local_activity": "@activity.defn(name={name!r})",
    "child_workflow": "@workflow.defn(name={name!r})",
}
_PATTERNS: tuple[Callable[[Scene], str], ...] = (
    _patch_gone,
    _set_order,
    _swapped,
    _removed,
    _renamed,
    _ended_early,
    _too_long,
    _nothing_there,
    _added,
)


def _later(command: Command, events: Sequence[Expected]) -> bool:
    return any(_same(command, event) for event in events)


def _same(command: Command, event: Expected) -> bool:
    """Ids are given in turn, so a step that moved has another one: only what it does counts."""
    return bool(event.name) and command.kind == event.kind and command.name == event.name and command.kind in _NAMED


def _spoken(one: Expected | Command) -> str:
    kind = one.kind.replace("_", " ")
    return f"{kind} {one.name!r}" if one.name else kind


def _slug(one: Expected | Command) -> str:
    """A timer's name is only a number, which tells nobody what a patch is about."""
    said = f"{one.kind} {one.name}" if one.name.isdecimal() else one.name or one.kind
    return said.replace("_", "-").replace(" ", "-")


def source_of(site: CallSite | None) -> str:
    """The function around a call site, and those that waited for it."""
    return "\n".join(_function(one) for one in (site, *site.chain)) if site else ""


def _function(site: CallSite) -> str:
    lines = linecache.getlines(site.file)
    try:
        tree = ast.parse("".join(lines))
    except (SyntaxError, ValueError):
        return ""
    around = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.lineno <= site.line <= (node.end_lineno or 0)
    ]
    if not around:
        return ""
    innermost = max(around, key=lambda node: node.lineno)
    return "\n".join(ast.unparse(innermost).splitlines())


def iterates_over_a_set(source: str) -> bool:
    """Whether a loop or a comprehension in this text goes over a set that is made there.

    >>> iterates_over_a_set("for name in set(names): pass"), iterates_over_a_set("for name in sorted({1}): pass")
    (True, False)
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return False
    sets = {target for node in ast.walk(tree) for target in _names_of_sets(node)}
    loops = [node.iter for node in ast.walk(tree) if isinstance(node, ast.For | ast.AsyncFor | ast.comprehension)]
    return any(_is_set(one) or (isinstance(one, ast.Name) and one.id in sets) for one in loops)


def _names_of_sets(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Assign) and _is_set(node.value):
        return [one.id for one in node.targets if isinstance(one, ast.Name)]
    return []


def _is_set(node: ast.expr) -> bool:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id in ("set", "frozenset")
    return isinstance(node, ast.Set | ast.SetComp)
