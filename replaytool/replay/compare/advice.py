"""Say what an edit did to the steps, and how to keep runs like this one replaying; no advice is better than a guess."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from replaytool.model.simulation import Decision
from replaytool.model.verdict import CallSite, Command, EditWord, ExpectedEvent
from replaytool.replay.compare.edits import ENDS, Edit

_KEEP = "To keep runs like this one on the old path, "


@dataclass(frozen=True, slots=True)
class MissingHandler:
    """A handler that the history needs and the code does not have."""

    kind: str
    """signal or update."""
    name: str
    similar: str = ""
    """A handler of the code with a similar name."""
    unused: tuple[str, ...] = ()
    """Handlers of the code that the history never calls."""


@dataclass(frozen=True, slots=True)
class DivergenceScene:
    """What is known about a divergence."""

    expected: ExpectedEvent
    actual: Command | None
    edit: Edit | None = None
    """From an alignment of the recorded steps with those of the code; None where there is none."""
    differing: tuple[str, ...] = ()
    source: str = ""
    """The source of the function that asked."""
    missing_handler: MissingHandler | None = None
    recorded_patches: frozenset[str] = frozenset()
    code_patches: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Advice:
    """What an edit did, in one word and in sentences."""

    edit: EditWord
    text: str = ""


def advise_on_divergence(scene: DivergenceScene) -> Advice:
    """Return the advice of the first pattern that fits, or "other" without a text."""
    for pattern in _PATTERNS:
        found = pattern(scene)
        if found is not None:
            return found
    return Advice("other")


def _advise_missing_handler(scene: DivergenceScene) -> Advice | None:
    gone = scene.missing_handler
    if gone is None:
        return None
    kept = f"Keep the handler: @workflow.{gone.kind}(name={gone.name!r})"
    said = f"The history has the {gone.kind} {gone.name!r}, and the code has no handler for it"
    if gone.similar:
        return Advice("renamed", f"{said}: it was renamed to {gone.similar!r}. {kept}")
    unused = ", ".join(repr(one) for one in gone.unused[:3])
    perhaps = f", or renamed: this history never calls {unused}" if unused else ""
    return Advice("removed", f"{said}: it was removed{perhaps}. {kept}")


def _advise_removed_patch(scene: DivergenceScene) -> Advice | None:
    unknown = sorted(scene.recorded_patches - scene.code_patches)
    others = sorted(scene.code_patches - scene.recorded_patches)
    is_patch = scene.expected.kind == "patch"
    if (is_patch and scene.expected.name in unknown and len(others) == 1) or len(unknown) == len(others) == 1:
        name = scene.expected.name if is_patch else unknown[0]
        return Advice(
            "renamed",
            f"The history has the patch {name!r}, and the code asks for {others[0]!r}: the patch was renamed. "
            f"Ask for workflow.patched({name!r}) again",
        )
    if not is_patch:
        return None
    name = scene.expected.name
    return Advice(
        "removed",
        f"The history has the patch {name!r}, but the code does not ask for it: it was removed too early. "
        f"Call workflow.deprecate_patch({name!r}) until no run of the old code is open",
    )


def _advise_set_order(scene: DivergenceScene) -> Advice | None:
    if scene.actual is None or not has_loop_over_set(scene.source):
        return None
    return Advice(
        "moved",
        "The code iterates over a set, and its order differs between processes. "
        "Iterate over sorted(…) or a list. Runs like this one only pass with the recorded order",
    )


def _advise_changed_field(scene: DivergenceScene) -> Advice | None:
    expected, actual = scene.expected, scene.actual
    if actual is None or not scene.differing or (expected.kind, expected.name) != (actual.kind, actual.name):
        return None
    field = scene.differing[0]
    old, new = expected.fields.get(field), actual.fields.get(field)
    step = Decision(expected.kind, expected.name)
    text = f"{_capitalize(_describe_step(step))} has another {field}: {new!r}, and {old!r} in the history. "
    return Advice("other", text + _guard_both(scene, "change", step))


def _advise_edit(scene: DivergenceScene) -> Advice | None:
    if scene.edit is None:
        return None
    text = _TEXTS[scene.edit.word](scene, scene.edit)
    return Advice(scene.edit.word, text)


def _describe_insertion(scene: DivergenceScene, edit: Edit) -> str:
    new = _describe_steps(edit.new)
    if edit.gone and edit.gone[0].kind in ENDS:
        said = f"The history ends here, and the code goes on with {new}: {_it(edit.new)} inserted"
    else:
        said = f"{_capitalize(new)} {_was(edit.new)} inserted{_describe_place(edit.before)}"
    name = _name_patch(scene, "add", edit.new[0])
    return f"{said}. {_KEEP}put the new {_name_steps(edit.new)} under `if workflow.patched({name!r}):`"


def _describe_removal(scene: DivergenceScene, edit: Edit) -> str:
    gone = _describe_steps(edit.gone)
    if edit.new and edit.new[0].kind in ENDS:
        said = f"The workflow ends before {gone}: {_it(edit.gone)} removed"
    else:
        follows = f"; {_describe_step(edit.before)} follows" if edit.before is not None else ""
        said = f"{_capitalize(gone)} {_was(edit.gone)} removed{follows}"
    name = _name_patch(scene, "remove", edit.gone[0])
    return f"{said}. {_KEEP}keep the old {_name_steps(edit.gone)} under `if not workflow.patched({name!r}):`"


def _describe_move(scene: DivergenceScene, edit: Edit) -> str:
    step = (edit.new or edit.gone)[0]
    where = _describe_place(edit.before) if edit.new else " to a later place"
    return f"{_capitalize(_describe_step(step))} was moved{where}. " + _guard_both(scene, "move", step)


def _describe_renaming(scene: DivergenceScene, edit: Edit) -> str:
    old, new = edit.gone[0], edit.new[0]
    decorator = _NAMED_BY.get(old.kind)
    keep = f"Keep the recorded name: {decorator.format(name=old.name)}. " if decorator else ""
    said = f"{_capitalize(_describe_step(old))} was renamed to {new.name!r}. {keep}"
    return said + _guard_both(scene, "rename", old)


def _describe_replacement(scene: DivergenceScene, edit: Edit) -> str:
    return (
        f"{_capitalize(_describe_steps(edit.gone))} {_was(edit.gone)} replaced by {_describe_steps(edit.new)}. "
        + _guard_both(scene, "replace", edit.gone[0])
    )


def _describe_other_kind(scene: DivergenceScene, edit: Edit) -> str:
    old, new = edit.gone[0], edit.new[0]
    if old.kind in ENDS and new.kind in ENDS:
        said = f"The workflow ends in another way: {_ENDINGS[new.kind]}, and {_ENDINGS[old.kind]} in the history. "
        return said + _guard_both(scene, "change", Decision("end", ""))
    said = f"{_capitalize(_describe_steps(edit.gone))} became {_describe_steps(edit.new)}, another kind of step. "
    return said + _guard_both(scene, "replace", old)


def _guard_both(scene: DivergenceScene, verb: str, step: Decision) -> str:
    name = _name_patch(scene, verb, step)
    return f"{_KEEP}put the new code under `if workflow.patched({name!r}):` and the old code under `else:`"


def _name_patch(scene: DivergenceScene, verb: str, step: Decision) -> str:
    """Return a name that neither the history nor the code uses: with a used one, the guard would do nothing."""
    said = (step.name or step.kind).replace("_", "-").replace(" ", "-")
    name, number = f"{verb}-{said}", 1
    while name in scene.recorded_patches | scene.code_patches:
        number += 1
        name = f"{verb}-{said}-{number}"
    return name


def _describe_place(before: Decision | None) -> str:
    return f" before {_describe_step(before)}" if before is not None else ""


def _describe_steps(steps: Sequence[Decision]) -> str:
    """Return the first step, and how many follow it."""
    counted = _drop_endings(steps)
    more = len(counted) - 1
    tail = f" and {more} more step{'s' if more > 1 else ''}" if more else ""
    return _describe_step(counted[0]) + tail


def _describe_step(one: Decision) -> str:
    if one.kind in ENDS:
        return _ENDINGS[one.kind]
    kind = _NAMELESS.get(one.kind) or one.kind.replace("_", " ")
    if one.kind == "timer":
        return f"a timer of {one.value}" if one.value else "a timer"
    return f"{kind} {one.name!r}" if one.name else kind


def _drop_endings(steps: Sequence[Decision]) -> list[Decision]:
    return [one for one in steps if one.kind not in ENDS] or list(steps)


def _was(steps: Sequence[Decision]) -> str:
    return "was" if len(_drop_endings(steps)) == 1 else "were"


def _it(steps: Sequence[Decision]) -> str:
    return "it was" if _was(steps) == "was" else "they were"


def _name_steps(steps: Sequence[Decision]) -> str:
    return "step" if _was(steps) == "was" else "steps"


def _capitalize(text: str) -> str:
    return text[:1].upper() + text[1:]


_ENDINGS = {
    "complete": "completion of the workflow",
    "fail": "failure of the workflow",
    "cancel": "cancellation of the workflow",
    "continue_as_new": "continue-as-new",
}
_NAMELESS = {
    "cancel_activity": "the cancel of an activity",
    "cancel_timer": "the cancel of a timer",
    "cancel_nexus_operation": "the cancel of a Nexus operation",
    "memo": "the upsert of the memo",
    "search_attributes": "the upsert of search attributes",
    "nexus_operation": "Nexus operation",
}
_NAMED_BY = {
    "activity": "@activity.defn(name={name!r})",
    "local_activity": "@activity.defn(name={name!r})",
    "child_workflow": "@workflow.defn(name={name!r})",
}
_TEXTS: dict[EditWord, Callable[[DivergenceScene, Edit], str]] = {
    "inserted": _describe_insertion,
    "removed": _describe_removal,
    "moved": _describe_move,
    "renamed": _describe_renaming,
    "replaced": _describe_replacement,
    "other": _describe_other_kind,
}
_PATTERNS: tuple[Callable[[DivergenceScene], Advice | None], ...] = (
    _advise_missing_handler,
    _advise_removed_patch,
    _advise_set_order,
    _advise_changed_field,
    _advise_edit,
)


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
