"""Say what to do about a divergence whose pattern is known; no advice is better than a guess."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from replaytool.model.verdict import CallSite, Command, ExpectedEvent

_GUARD = "keep the old behaviour for runs like this one: if workflow.patched({name!r}): … else: the old code"


@dataclass(frozen=True, slots=True)
class DivergenceScene:
    """What happened around the divergence."""

    expected: ExpectedEvent
    actual: Command | None
    later_recorded: Sequence[ExpectedEvent] = ()
    """What is recorded after the event."""
    later_produced: Sequence[Command] = ()
    """What the code asked for after the command, in the same task."""
    source: str = ""
    """The source of the function that asked."""
    is_expected_called: bool = False
    """Whether the code still calls the recorded step somewhere: then it was not renamed."""


def advise_on_divergence(scene: DivergenceScene) -> str:
    """Return the advice of the first pattern that fits, or ""."""
    for pattern in _PATTERNS:
        text = pattern(scene)
        if text:
            return text
    return ""


def _advise_removed_patch(scene: DivergenceScene) -> str:
    if scene.expected.kind != "patch":
        return ""
    name = scene.expected.name
    return (
        f"The history has the patch {name!r}, but the code does not ask for it: it was removed too early. "
        f"Call workflow.deprecate_patch({name!r}) until no run of the old code is open"
    )


def _advise_set_order(scene: DivergenceScene) -> str:
    if scene.actual is None or not has_loop_over_set(scene.source):
        return ""
    return (
        "The code iterates over a set, and its order differs between processes. "
        "Iterate over sorted(…) or a list. Runs like this one only pass with the recorded order"
    )


def _advise_new_order(scene: DivergenceScene) -> str:
    if scene.actual is None or not _is_recorded_later(scene.actual, scene.later_recorded):
        return ""
    if not any(_is_same_step(one, scene.expected) for one in scene.later_produced):
        return ""
    return "The same steps come in another order. Restore it, or " + _GUARD.format(name=_patch_name(scene.actual))


def _advise_removed_step(scene: DivergenceScene) -> str:
    if scene.actual is None or not _is_recorded_later(scene.actual, scene.later_recorded):
        return ""
    gone = _describe_step(scene.expected)
    return f"The new code skips {gone}: it was removed or moved to later. Keep it, or " + _GUARD.format(
        name=f"no-{_patch_name(scene.expected)}"
    )


def _advise_renamed_step(scene: DivergenceScene) -> str:
    expected, actual = scene.expected, scene.actual
    if actual is None or expected.kind != actual.kind or expected.kind not in _NAMED or expected.name == actual.name:
        return ""
    if scene.is_expected_called or any(_is_same_step(one, expected) for one in scene.later_produced):
        return ""
    return (
        f"Was {expected.name!r} renamed to {actual.name!r}? Keep the recorded name "
        f"({_NAMED[expected.kind].format(name=expected.name)}), or " + _GUARD.format(name=_patch_name(actual))
    )


def _advise_added_step(scene: DivergenceScene) -> str:
    if scene.actual is None or scene.actual.kind in _ENDS or scene.expected.kind in _ENDS:
        return ""
    if scene.later_produced and not any(_is_same_step(one, scene.expected) for one in scene.later_produced):
        return ""
    if scene.actual.kind == scene.expected.kind and not scene.is_expected_called:
        return ""
    return f"The new code adds {_describe_step(scene.actual)} here: " + _GUARD.format(name=_patch_name(scene.actual))


def _advise_early_end(scene: DivergenceScene) -> str:
    if scene.actual is None or scene.actual.kind not in _ENDS:
        return ""
    if scene.expected.kind in _ENDS:
        return "The workflow ends in another way. Guard the change with workflow.patched(…)"
    return "The workflow ends before the history does: " + _GUARD.format(name="early-end")


def _advise_late_end(scene: DivergenceScene) -> str:
    if scene.actual is None or scene.expected.kind not in _ENDS:
        return ""
    return f"The history ends here, but the code continues with {_describe_step(scene.actual)}: " + _GUARD.format(
        name=_patch_name(scene.actual)
    )


def _advise_missing_command(scene: DivergenceScene) -> str:
    if scene.actual is not None:
        return ""
    return f"The code no longer asks for {_describe_step(scene.expected)}. Keep it, or " + _GUARD.format(
        name=f"no-{_patch_name(scene.expected)}"
    )


_ENDS = {"complete", "fail", "cancel", "continue_as_new"}
_NAMED = {
    "activity": "@activity.defn(name={name!r})",
    "local_activity": "@activity.defn(name={name!r})",
    "child_workflow": "@workflow.defn(name={name!r})",
}
_PATTERNS: tuple[Callable[[DivergenceScene], str], ...] = (
    _advise_removed_patch,
    _advise_set_order,
    _advise_new_order,
    _advise_removed_step,
    _advise_renamed_step,
    _advise_early_end,
    _advise_late_end,
    _advise_missing_command,
    _advise_added_step,
)


def _is_recorded_later(command: Command, events: Sequence[ExpectedEvent]) -> bool:
    return any(_is_same_step(command, event) for event in events)


def _is_same_step(command: Command, event: ExpectedEvent) -> bool:
    """Return whether both do the same thing. IDs are ignored: they count up, so a moved step has another one."""
    return bool(event.name) and command.kind == event.kind and command.name == event.name and command.kind in _NAMED


def _describe_step(one: ExpectedEvent | Command) -> str:
    kind = one.kind.replace("_", " ")
    return f"{kind} {one.name!r}" if one.name else kind


def _patch_name(one: ExpectedEvent | Command) -> str:
    """Return a name for a patch; a timer is named after its kind, because its own name is a number."""
    said = f"{one.kind} {one.name}" if one.name.isdecimal() else one.name or one.kind
    return said.replace("_", "-").replace(" ", "-")


def source_of_site(site: CallSite | None) -> str:
    """Return the source of the functions at a call site and in its chain."""
    return "\n".join(_function_source(one) for one in (site, *site.chain)) if site else ""


def _function_source(site: CallSite) -> str:
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


def has_loop_over_set(source: str) -> bool:
    """Return whether a loop or comprehension goes over a set that the text itself makes.

    >>> has_loop_over_set("for name in set(names): pass"), has_loop_over_set("for name in sorted({1}): pass")
    (True, False)
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return False
    sets = {target for node in ast.walk(tree) for target in _set_variables(node)}
    loops = [node.iter for node in ast.walk(tree) if isinstance(node, ast.For | ast.AsyncFor | ast.comprehension)]
    return any(_makes_set(one) or (isinstance(one, ast.Name) and one.id in sets) for one in loops)


def _set_variables(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Assign) and _makes_set(node.value):
        return [one.id for one in node.targets if isinstance(one, ast.Name)]
    return []


def _makes_set(node: ast.expr) -> bool:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id in ("set", "frozenset")
    return isinstance(node, ast.Set | ast.SetComp)
