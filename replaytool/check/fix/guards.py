"""Write guards into a changed file: old statements for recorded runs, new ones for others."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from replaytool.check.fix.located_edit import StatementSlice, is_header_only, lines_of_statements, locate_lines
from replaytool.check.guilty.edits import CodeEdit
from replaytool.engines.base import ChangeGuard

_STEP = "    "


class CannotGuard(Exception):
    """Why an edit cannot be guarded."""


@dataclass(frozen=True, order=True)
class Replacement:
    """Text to put between two places of a file, counted in characters."""

    start: int
    end: int
    text: str


@dataclass
class VersionedFile:
    """One file before and after the change."""

    path: str
    before: str
    after: str

    def __post_init__(self) -> None:
        self.old_lines = self.before.splitlines(keepends=True)
        self.new_lines = self.after.splitlines(keepends=True)
        self.old_tree, self.new_tree = ast.parse(self.before), ast.parse(self.after)

    def offset_of_line(self, line: int) -> int:
        """Return where a line of the changed file begins."""
        return sum(map(len, self.new_lines[:line]))

    def offset_of(self, line: int, column: int) -> int:
        """Return the place of a syntax node, whose columns are bytes."""
        text = self.new_lines[line - 1].encode("utf-8", "surrogateescape")[:column]
        return self.offset_of_line(line - 1) + len(text.decode("utf-8", "surrogateescape"))


@dataclass
class GuardWriter:
    """The guards of one change: which text is replaced in which file."""

    files: Mapping[str, VersionedFile]
    guard: ChangeGuard
    replaced: dict[str, list[Replacement]] = field(default_factory=dict)

    def guard_edit(self, edit: CodeEdit, change_id: str) -> None:
        """Guard one edit; raise CannotGuard with the reason if that is not known to be right."""
        file = self.files.get(edit.path)
        if file is None:
            raise CannotGuard(f"{edit.path} is not Python, or is there on one side only")
        new = locate_lines(file.new_tree, edit.new)
        old = locate_lines(file.old_tree, edit.old)
        condition = self.guard.write_condition(change_id)
        if not new.functions and not old.functions:
            self._guard_definition(file, edit, new, old, condition)
            return
        if bool(new.functions) != bool(old.functions) or new.indent != old.indent:
            raise CannotGuard("the edit moves code into another function or block")
        if reason := self.guard.find_hindrance(new.functions):
            raise CannotGuard(reason)
        if len(new.statements) == len(old.statements) == 1 and is_header_only(new.statements[0], edit.new):
            self._guard_header(file, new.statements[0], old.statements[0], condition)
        else:
            self._guard_statements(file, edit, new, old, condition)

    def finish_files(self) -> dict[str, str]:
        """Return the guarded files."""
        made = {}
        for path, replaced in self.replaced.items():
            text = self.files[path].after
            last = len(text) + 1
            for one in sorted(replaced, reverse=True):
                if one.end > last:
                    raise CannotGuard("two guards would stand in one expression")
                text = text[: one.start] + one.text + text[one.end :]
                last = one.start
            made[path] = self._with_import(text)
        return made

    def _with_import(self, text: str) -> str:
        tree = ast.parse(text)
        name = self.guard.module_name
        top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        if any((one.asname or one.name) == name for node in top for one in node.names):
            return text
        has_docstring = ast.get_docstring(tree) is not None
        behind = top[-1].end_lineno if top else (tree.body[0].end_lineno if has_docstring else 0)
        lines = text.splitlines(keepends=True)
        lines.insert(behind or 0, self.guard.import_line)
        return "".join(lines)

    def _replace(self, file: VersionedFile, start: int, end: int, text: str) -> None:
        self.replaced.setdefault(file.path, []).append(Replacement(start, end, text))

    def _guard_statements(
        self, file: VersionedFile, edit: CodeEdit, new: StatementSlice, old: StatementSlice, condition: str
    ) -> None:
        news = _take_lines(file.new_lines, new)
        olds = _take_lines(file.old_lines, old)
        if not news and not olds:
            raise CannotGuard("the edit has no statement of its own")
        indent = " " * new.indent
        lines: list[str] = []
        if news:
            lines += [f"{indent}if {condition}:\n", *_indent_lines(news)]
        if olds:
            lines += [f"{indent}else:\n" if news else f"{indent}if not {condition}:\n", *_indent_lines(olds)]
        span = lines_of_statements(new.statements) if news else (edit.new[0], edit.new[0])
        self._replace(file, file.offset_of_line(span[0]), file.offset_of_line(span[1]), "".join(lines))

    def _guard_header(self, file: VersionedFile, new: ast.stmt, old: ast.stmt, condition: str) -> None:
        """Guard the condition of an `if` or `while`, or what a `for` iterates over."""
        for name in ("test", "iter"):
            one, other = getattr(new, name, None), getattr(old, name, None)
            if isinstance(one, ast.expr) and isinstance(other, ast.expr) and type(new) is type(old):
                was, now = ast.get_source_segment(file.before, other), ast.get_source_segment(file.after, one)
                if was is None or now is None or "\n" in was + now:
                    raise CannotGuard("the condition stands on several lines")
                self._replace_expression(file, one, f"(({now}) if {condition} else ({was}))")
                return
        raise CannotGuard(f"the head of a {type(new).__name__} has changed")

    def _replace_expression(self, file: VersionedFile, node: ast.expr, text: str) -> None:
        start = file.offset_of(node.lineno, node.col_offset)
        end = file.offset_of(node.end_lineno or node.lineno, node.end_col_offset or 0)
        self._replace(file, start, end, text)

    def _guard_definition(
        self, file: VersionedFile, edit: CodeEdit, new: StatementSlice, old: StatementSlice, condition: str
    ) -> None:
        """Guard each use of a constant; an added definition needs no guard, and a removed one comes back."""
        if not old.statements:
            return
        if not new.statements:
            lines = _take_lines(file.old_lines, old)
            place = file.offset_of_line(edit.new[0])
            self._replace(file, place, place, "".join(lines))
            return
        if self._bring_back(file, new, old):
            return
        if len(new.statements) != len(old.statements):
            raise CannotGuard("definitions were rewritten")
        for one, other in zip(new.statements, old.statements, strict=True):
            name, value = _read_constant(one), _read_constant(other)
            if new.parents or name is None or value is None or name[0] != value[0]:
                raise CannotGuard("a class, a signature or an import has changed, and not a constant")
            was = ast.get_source_segment(file.before, value[1])
            assert was is not None
            self._guard_uses(file, name[0], was, condition)

    def _bring_back(self, file: VersionedFile, new: StatementSlice, old: StatementSlice) -> bool:
        """Put old imports and definitions beside the new ones, if no name then means two things."""
        there = {name for one in new.block for name in _names_of_definition(one)}
        if new.indent != old.indent:
            return False
        place = file.offset_of_line(lines_of_statements(new.statements)[0])
        if all(isinstance(one, ast.Import | ast.ImportFrom) for one in (*old.statements, *new.statements)):
            lines = [line for one in old.statements if (line := _write_missing_import(one, there))]
            behind = file.offset_of_line(lines_of_statements(new.statements)[1])
            self._replace(file, behind, behind, "".join(f"{' ' * new.indent}{line}\n" for line in lines))
            return True
        same = {ast.dump(one) for one in new.block}
        gone = [one for one in old.statements if ast.dump(one) not in same]
        names = [_names_of_definition(one) for one in gone]
        if not all(names) or any(name in there for some in names for name in some):
            return False
        for one in gone:
            start, end = lines_of_statements([one])
            is_long = isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            blank = "\n" * ((1 if new.indent else 2) if is_long else 0)
            self._replace(file, place, place, "".join(file.old_lines[start:end]) + blank)
        return True

    def _guard_uses(self, file: VersionedFile, name: str, was: str, condition: str) -> None:
        uses = [(one, use) for one in self.files.values() for use in _find_uses(one, name, file)]
        if not uses:
            raise CannotGuard(f"{name} is not used in a function that was changed or stands beside it")
        for one, (use, functions, is_formatted) in uses:
            if self.guard.find_hindrance(functions):
                continue
            if is_formatted:
                raise CannotGuard(f"{name} is used inside of an f-string")
            if one is not file and any(isinstance(node, ast.Name) for node in ast.walk(ast.parse(was))):
                raise CannotGuard(f"the old value of {name} uses names of {file.path}")
            self._replace_expression(one, use, f"({name} if {condition} else {was})")


def _names_of_definition(statement: ast.stmt) -> list[str]:
    """Return the names that an import or a definition binds."""
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Import(names=names) | ast.ImportFrom(names=names):
            return [one.asname or one.name for one in names]
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
    return []


def _write_missing_import(statement: ast.stmt, there: set[str]) -> str:
    """Return the import without the names that are there; "" if nothing is left."""
    assert isinstance(statement, ast.Import | ast.ImportFrom)
    names = [one for one in statement.names if (one.asname or one.name) not in there]
    if isinstance(statement, ast.Import):
        return ast.unparse(ast.Import(names)) if names else ""
    return ast.unparse(ast.ImportFrom(statement.module, names, statement.level)) if names else ""


def _read_constant(statement: ast.stmt) -> tuple[str, ast.expr] | None:
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            return name, value
        case ast.AnnAssign(target=ast.Name(id=name), value=value) if value is not None:
            return name, value
    return None


Use = tuple[ast.Name, tuple[ast.FunctionDef | ast.AsyncFunctionDef, ...], bool]


def _find_uses(file: VersionedFile, name: str, defined_in: VersionedFile) -> Iterator[Use]:
    """Yield where a function reads the constant, in its own file or in one that imports it by name."""
    if file is not defined_in:
        module = defined_in.path.removesuffix(".py").rpartition("/")[2]
        imports = [node for node in file.new_tree.body if isinstance(node, ast.ImportFrom)]
        if not any(
            (node.module or "").rpartition(".")[2] == module and any(one.name == name for one in node.names)
            for node in imports
        ):
            return
    yield from _walk_uses(file.new_tree, name, (), is_formatted=False)


def _walk_uses(
    node: ast.AST,
    name: str,
    functions: tuple[ast.FunctionDef | ast.AsyncFunctionDef, ...],
    *,
    is_formatted: bool,
) -> Iterator[Use]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        for one in (*node.args.defaults, *node.args.kw_defaults, *node.decorator_list):
            if one is not None and any(isinstance(used, ast.Name) and used.id == name for used in ast.walk(one)):
                raise CannotGuard(f"{name} is used in the signature of {node.name}")
        functions = (*functions, node)
    if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load) and functions:
        yield node, functions, is_formatted
    for child in ast.iter_child_nodes(node):
        yield from _walk_uses(child, name, functions, is_formatted=is_formatted or isinstance(node, ast.JoinedStr))


def _take_lines(lines: Sequence[str], covered: StatementSlice) -> list[str]:
    """Return the lines of the covered statements, with the block's indentation taken away."""
    if not covered.statements:
        return []
    start, end = lines_of_statements(covered.statements)
    text = "".join(lines[start:end])
    if '"""' in text or "'''" in text or "\\\n" in text:
        raise CannotGuard("a text or a statement goes over several lines in a way that an indentation would change")
    if not text.endswith("\n"):
        text += "\n"
    return text.splitlines(keepends=True)


def _indent_lines(lines: Sequence[str]) -> list[str]:
    return textwrap.indent("".join(lines), _STEP).splitlines(keepends=True)
