"""Find the calls about patches in the loaded files, and change them in the text of these files."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from replaytool.check.fix.guards import VersionedFile
from replaytool.engines.base import PatchModel
from replaytool.model.patches import Change, FoundCall, PatchCall
from replaytool.model.verdict import CodeInfo
from replaytool.replay.code.import_roots import find_tree


class CannotEdit(Exception):
    """Why a call cannot be changed in the text."""


@dataclass(frozen=True)
class PatchFile:
    """A loaded file and its calls about patches."""

    file: str
    path: str
    """Relative to the checkout."""
    source: VersionedFile
    found: tuple[FoundCall, ...]
    calls: tuple[PatchCall, ...]
    """The same calls, for people."""
    models: tuple[PatchModel, ...] = ()

    def with_text(self, text: str) -> PatchFile:
        """Return the file with another text; raise CannotEdit if it is not Python."""
        try:
            source = VersionedFile(self.path, text, text)
        except SyntaxError as error:
            raise CannotEdit(f"{self.path} would not be Python without the branch") from error
        found = tuple(one for model in self.models for one in model.find_calls(source.new_tree))
        return replace(self, source=source, found=found, calls=())

    def list_calls_of(self, change_id: str) -> list[FoundCall]:
        """Return the calls about one patch."""
        return [one for one in self.found if one.change_id == change_id]

    def read_segment(self, node: ast.expr) -> tuple[int, int]:
        """Return where an expression begins and ends in the text; raise CannotEdit if Python does not know it."""
        start = self.source.offset_of(node.lineno, node.col_offset)
        end = self.source.offset_of(node.end_lineno or node.lineno, node.end_col_offset or 0)
        try:
            is_right = ast.dump(ast.parse(f"({self.source.after[start:end]})", mode="eval").body) == ast.dump(node)
        except SyntaxError:
            is_right = False
        if not is_right:  # before 3.12, Python has no positions inside of f-strings
            raise CannotEdit(f"Python does not tell where the call at {self.path}:{node.lineno} stands")
        return start, end

    def change_calls(self, change_id: str, change: Change) -> str:
        """Return the text with the calls changed; every other line keeps its number."""
        text = self.source.after
        edits = [(*self.read_segment(one.node), one) for one in self.list_calls_of(change_id)]
        for start, end, one in sorted(edits, key=lambda edit: edit[0], reverse=True):
            was = text[start:end]
            lines = "\n" * was.count("\n")
            if change == "without":
                new = f"({'None' if one.is_deprecated else 'True'}{lines})"
            elif one.is_deprecated or not isinstance(one.node, ast.Call):
                continue
            else:
                arguments = was[self.source.offset_of(*_end_of(one.node.func)) - start :]
                new = f"({one.deprecating}{arguments} or True)"
            text = text[:start] + new + text[end:]
        return text


def _end_of(node: ast.expr) -> tuple[int, int]:
    return node.end_lineno or node.lineno, node.end_col_offset or 0


def read_patch_files(info: CodeInfo, folder: str, models: Sequence[PatchModel]) -> tuple[list[PatchFile], list[str]]:
    """Return the loaded files of the user, and those that could not be read."""
    found, unread = [], []
    tree = find_tree(Path(folder or ".").resolve())
    for file in sorted(set(info.files.values())):
        path = _relative_path(file, tree)
        try:
            text = Path(file).read_bytes().decode()
            source = VersionedFile(path, text, text)
        except (OSError, SyntaxError, ValueError):
            unread.append(path)
            continue
        calls = tuple(one for model in models for one in model.find_calls(source.new_tree))
        scopes = dict(_name_scopes(source.new_tree))
        shown = tuple(_describe_call(one, path, scopes) for one in calls)
        found.append(PatchFile(file, path, source, calls, shown, tuple(models)))
    return found, unread


def _relative_path(file: str, tree: Path) -> str:
    place = Path(file).resolve()
    return place.relative_to(tree).as_posix() if place.is_relative_to(tree) else str(place)


def _describe_call(one: FoundCall, path: str, scopes: Mapping[int, tuple[str, str]]) -> PatchCall:
    function, outer = scopes.get(id(one.node), ("", ""))
    return PatchCall(path, one.node.lineno, function, one.change_id, one.is_deprecated, outer)


def _name_scopes(node: ast.AST, function: str = "", outer: str = "") -> Iterator[tuple[int, tuple[str, str]]]:
    """Yield for each expression the innermost function and the outermost class around it."""
    for child in ast.iter_child_nodes(node):
        inside, within = function, outer
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            inside = child.name
        elif isinstance(child, ast.ClassDef):
            within = outer or child.name
        elif isinstance(child, ast.expr):
            yield id(child), (function, outer)
        yield from _name_scopes(child, inside, within)


def change_files(files: Sequence[PatchFile], change_id: str, change: Change) -> tuple[tuple[str, str], ...]:
    """Return the files that have calls about the patch, with their changed text."""
    return tuple((one.file, one.change_calls(change_id, change)) for one in files if one.list_calls_of(change_id))
