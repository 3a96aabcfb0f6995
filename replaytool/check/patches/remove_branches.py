"""Write the diff that removes dead branches, and offer it only if every open run replays with it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from replaytool.check.fix.guards import Replacement
from replaytool.check.fix.propose import write_diff
from replaytool.check.patches.call_edits import CannotEdit, PatchFile
from replaytool.check.patches.judge import PatchCase
from replaytool.check.patches.trials import PatchTrials, is_passing
from replaytool.engines import engine_of
from replaytool.errors import ReplaytoolError
from replaytool.model.patches import FoundCall, PatchFix, PatchStatus

_INNER = (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def propose_removal(judged: Sequence[PatchStatus], cases: Sequence[PatchCase], trials: PatchTrials) -> PatchFix:
    """Return the proven diff over all patches that may be deprecated or deleted."""
    texts = {one.path: one for one in trials.files}
    left, removed = dict[str, str](), list[str]()
    for status in judged:
        if status.verdict not in ("deprecate now", "delete"):
            continue
        try:
            texts |= _remove_patch(texts, status)
            removed.append(status.change_id)
        except CannotEdit as reason:
            left[status.change_id] = str(reason)
    if not removed:
        return PatchFix(left=left, note="no patch has a branch that can be removed")
    changed = [(one, texts[one.path]) for one in trials.files if texts[one.path].source.after != one.source.after]
    hindrance, replayed = _prove_removal(changed, removed, cases, trials)
    if hindrance:
        return PatchFix(left=left, note=f"a diff was written and is not offered: {hindrance}")
    diff = "".join(write_diff(one.path, one.source.after, now.source.after) for one, now in changed)
    return PatchFix(diff, tuple(removed), left, replayed)


def _remove_patch(texts: dict[str, PatchFile], status: PatchStatus) -> dict[str, PatchFile]:
    """Return the files without the old branches of one patch."""
    made = {}
    for path, file in texts.items():
        # Each edit moves the text behind it, so one call is changed at a time, the last one first.
        while calls := _list_pending_calls(file, status):
            file = file.with_text(_remove_call(file, calls[-1], is_kept=status.verdict == "deprecate now"))
        if file is not texts[path]:
            made[path] = file
    return made


def _list_pending_calls(file: PatchFile, status: PatchStatus) -> list[FoundCall]:
    """Return the calls that still have to go, in the order of the text."""
    calls = [one for one in file.list_calls_of(status.change_id) if status.verdict == "delete" or not one.is_deprecated]
    return sorted(calls, key=lambda one: (one.node.lineno, one.node.col_offset))


def _remove_call(file: PatchFile, call: FoundCall, *, is_kept: bool) -> str:
    """Return the text without one call; `is_kept` leaves a call that marks the patch as deprecated."""
    place = CallPlace.find(file, call)
    if is_kept and not call.is_plain:
        raise CannotEdit(f"{place.where}: import the module, so that the deprecated call can be written")
    statement = place.statement
    if isinstance(statement, ast.Expr) and statement.value is call.node:
        lines = [place.write_deprecated_call()] if is_kept and not call.is_deprecated else []
        return place.replace_statement(lines)
    if isinstance(statement, ast.If) and (branch := _find_new_branch(statement, call.node)) is not None:
        lines = place.take_block(branch)
        return place.replace_statement([place.write_deprecated_call()] * is_kept + lines)
    if (chosen := place.find_choice()) is not None:
        return place.replace_choice(*chosen, is_kept=is_kept)
    raise CannotEdit(f"{place.where}: {place.describe_use()}")


def _find_new_branch(statement: ast.If, call: ast.expr) -> Sequence[ast.stmt] | None:
    """Return what stays of `if call:` or `if not call:`; None for other conditions."""
    test = statement.test
    if test is call:
        return statement.body
    is_negated = isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not) and test.operand is call
    return statement.orelse if is_negated else None


@dataclass(frozen=True)
class CallPlace:
    """Where a call stands: its statement, the block of that, and the expressions around it."""

    file: PatchFile
    call: FoundCall
    parents: tuple[ast.AST, ...]
    """From the module to the call's own parent."""

    @classmethod
    def find(cls, file: PatchFile, call: FoundCall) -> CallPlace:
        """Find the parents of the call."""
        for parents in _walk_with_parents(file.source.new_tree, ()):
            if parents[-1] is call.node:
                return cls(file, call, parents[:-1])
        raise CannotEdit(f"{file.path}:{call.node.lineno}: the call is not in the syntax tree")

    @property
    def where(self) -> str:
        """The place for people."""
        return f"{self.file.path}:{self.call.node.lineno}"

    @property
    def statement(self) -> ast.stmt:
        """The innermost statement around the call."""
        return next(one for one in reversed(self.parents) if isinstance(one, ast.stmt))

    @property
    def block(self) -> Sequence[ast.stmt]:
        """The statements beside it."""
        statement = self.statement
        outer = self.parents[self.parents.index(statement) - 1]
        for name in ("body", "orelse", "finalbody"):
            found = getattr(outer, name, None)
            if isinstance(found, list) and any(one is statement for one in found):
                return found
        raise CannotEdit(f"{self.where}: the statement stands in no block")

    @property
    def lines(self) -> Sequence[str]:
        """The lines of the file."""
        return self.file.source.new_lines

    def write_deprecated_call(self) -> str:
        """Return the line that marks the patch as deprecated."""
        node = self.call.node
        assert isinstance(node, ast.Call)
        given = node.args[0] if node.args else next(one.value for one in node.keywords if one.arg == "id")
        text = ast.get_source_segment(self.file.source.after, given) or repr(self.call.change_id)
        return f"{' ' * self.statement.col_offset}{self.call.deprecating}({text})\n"

    def replace_statement(self, lines: Sequence[str]) -> str:
        """Return the text with these lines in place of the whole statement."""
        statement, block = self.statement, self.block
        self._require_own_lines(statement)
        first, last = statement.lineno - 1, statement.end_lineno or statement.lineno
        if not lines and len(block) == 1:
            lines = [f"{' ' * statement.col_offset}pass\n"]
        return "".join([*self.lines[:first], *lines, *self.lines[last:]])

    def _require_own_lines(self, statement: ast.stmt) -> None:
        """Refuse a statement that shares a line with another one, and an `elif`."""
        before = self.lines[statement.lineno - 1].encode()[: statement.col_offset].decode()
        end = (
            self.lines[(statement.end_lineno or statement.lineno) - 1]
            .encode()[statement.end_col_offset or 0 :]
            .decode()
        )
        if before.strip() or (end.strip() and not end.strip().startswith("#")):
            raise CannotEdit(f"{self.where}: the statement shares a line with other code")
        if self.lines[statement.lineno - 1].lstrip().startswith("elif"):
            raise CannotEdit(f"{self.where}: the call is the condition of an elif")

    def take_block(self, block: Sequence[ast.stmt]) -> list[str]:
        """Return the lines of a branch, with the indentation of the statement around it."""
        if not block:
            return []
        statement = self.statement
        assert isinstance(statement, ast.If)
        if block is statement.body:
            header = statement.test.end_lineno or statement.lineno
        else:
            header = self._find_else(statement)
        first = block[0]
        start = min([first.lineno, *(one.lineno for one in getattr(first, "decorator_list", []))])
        if start <= header:
            raise CannotEdit(f"{self.where}: the branch stands on the line of its condition")
        deeper = first.col_offset - statement.col_offset
        taken = self.lines[header : block[-1].end_lineno or block[-1].lineno]
        if any(mark in "".join(taken) for mark in ('"""', "'''", "\\\n")):
            raise CannotEdit(f"{self.where}: a text of the branch goes over several lines")
        margin = self.lines[start - 1][: first.col_offset]
        if margin.strip() or any(line.strip() and not line.startswith(margin) for line in taken if _is_code(line)):
            raise CannotEdit(f"{self.where}: the branch has lines with another indentation")
        return [line[deeper:] if line.startswith(margin) else line for line in taken]

    def _find_else(self, statement: ast.If) -> int:
        """Return the line of the `else`, and refuse an `elif`."""
        behind = statement.body[-1].end_lineno or statement.lineno
        for number in range(behind, statement.orelse[0].lineno):
            text = self.lines[number].strip()
            if text.startswith("else"):
                return number + 1
            if text.startswith("elif"):
                break
        raise CannotEdit(f"{self.where}: the new branch is an elif")

    def find_choice(self) -> tuple[ast.IfExp, ast.expr] | None:
        """Return `A if call else B` around the call, and what it becomes."""
        inner = self.parents[-1]
        is_negated = isinstance(inner, ast.UnaryOp) and isinstance(inner.op, ast.Not)
        outer = self.parents[-2] if is_negated else inner
        test = inner if is_negated else self.call.node
        if not isinstance(outer, ast.IfExp) or outer.test is not test:
            return None
        return outer, outer.orelse if is_negated else outer.body

    def replace_choice(self, outer: ast.IfExp, kept: ast.expr, *, is_kept: bool) -> str:
        """Return the text with the kept value alone; a deprecated call comes before the statement."""
        statement = self.statement
        start, end = self.file.read_segment(outer)
        first, last = self.file.read_segment(kept)
        text = self.file.source.after
        value = text[first:last]
        around = text[start - 1 : start] + text[end : end + 1]
        is_simple = isinstance(kept, ast.Name | ast.Constant | ast.Call | ast.Attribute | ast.Subscript)
        if around == "()" and is_simple and not _is_call_of(text, start - 1):
            start, end = start - 1, end + 1
        elif around != "()" and not is_simple:
            value = f"({value})"
        edits = [Replacement(start, end, value)]
        if is_kept:
            if any(isinstance(one, _INNER) for one in self.parents) or isinstance(statement, ast.While):
                raise CannotEdit(f"{self.where}: the choice is made several times, so no line before it can replace it")
            self._require_no_elif(statement)
            place = self.file.source.offset_of_line(statement.lineno - 1)
            edits.append(Replacement(place, place, self.write_deprecated_call()))
        for one in sorted(edits, reverse=True):
            text = text[: one.start] + one.text + text[one.end :]
        return text

    def _require_no_elif(self, statement: ast.stmt) -> None:
        line = self.lines[statement.lineno - 1]
        if line[: statement.col_offset].strip() or line.lstrip().startswith("elif"):
            raise CannotEdit(f"{self.where}: no line can be put before the statement")

    def describe_use(self) -> str:
        """Say why the call cannot be taken out."""
        statement = self.statement
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is self.call.node:
            return "its answer is kept in a variable, whose uses decide the branches"
        return "the call is a part of a larger expression"


def _is_code(line: str) -> bool:
    return not line.lstrip().startswith("#")


def _is_call_of(text: str, parenthesis: int) -> bool:
    """Return whether a parenthesis belongs to a call, and not to the expression alone."""
    before = text[:parenthesis].rstrip(" ")[-1:]
    return parenthesis > 0 and text[parenthesis - 1] != " " and (before.isalnum() or before in "_)]")


def _walk_with_parents(node: ast.AST, parents: tuple[ast.AST, ...]) -> Iterator[tuple[ast.AST, ...]]:
    here = (*parents, node)
    yield here
    for child in ast.iter_child_nodes(node):
        yield from _walk_with_parents(child, here)


def _prove_removal(
    changed: Sequence[tuple[PatchFile, PatchFile]],
    removed: Sequence[str],
    cases: Sequence[PatchCase],
    trials: PatchTrials,
) -> tuple[str, int]:
    """Replay every open run that can reach a removed branch with the SDK's own replayer too."""
    rows = {row.run_key: row for case in cases if case.change_id in removed for row in case.open_rows}
    edited = [(one.file, now.source.after) for one, now in changed]
    strategies = {name for row in rows.values() for name in engine_of(row.engine).strategies()}
    strict = replace(trials.plan, engine="both" if "both" in strategies else trials.plan.engine)
    try:
        verdicts = replace(trials, plan=strict).replay_edited(list(rows.values()), edited)
    except ReplaytoolError as error:
        return error.message, 0
    for key in rows:
        verdict = verdicts.get(key)
        if not is_passing(verdict):
            return f"run {key} would be {verdict.verdict if verdict is not None else 'unverified'}", 0
    return "", len(rows)
