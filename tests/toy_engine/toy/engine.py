"""The toy engine: what it can do, and what it cannot."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from replaytool.engines.base import Engine, StateRecorder, Strategy
from replaytool.replay.code.project_reader import SetupCalls
from replaytool.replay.code.source_search import names_of_import, uses_any_name
from tests.toy_engine.toy.records import ToyRecordReader

if TYPE_CHECKING:
    from tests.toy_engine.toy.fork import ToyForks


class ToyCodeFinder:
    """Finds classes with `@program`."""

    engine = "toy"
    library = "toylib"
    how_to_write = "a class with @program"
    settings: frozenset[str] = frozenset()

    setup_calls = SetupCalls()

    def defines_workflows(self, tree: ast.Module) -> bool:
        """Return whether the source uses `program`."""
        return uses_any_name(tree, names_of_import(tree, "toylib", ("program",)))

    def list_workflow_names(self, tree: ast.Module) -> Iterable[tuple[str | None, str]] | None:
        """Return nothing: the names of programs are not read from the source."""
        return None

    def find_workflows(self, module: ModuleType) -> Iterable[tuple[str | None, Any]]:
        """Yield the programs of a module."""
        for value in vars(module).values():
            if isinstance(value, type) and "__toy_program__" in vars(value):
                yield self.name_workflow(value), value

    def name_workflow(self, workflow: Any) -> str | None:
        """Return the program's name."""
        name: str = workflow.__toy_program__
        return name

    def configure_settings(self, settings: Mapping[str, Any], workflows: Sequence[Any]) -> dict[str, Any]:
        """Return the settings as they are: there are no plugins."""
        return dict(settings)

    def release(self) -> str:
        """Return the library's release."""
        return "toylib 1"

    def frames_to_skip(self) -> Sequence[str]:
        """Return no folder: the library is one file."""
        return []


class ToyEngine(Engine):
    """Programs of named steps, recorded in journals."""

    name = "toy"
    title = "the toy engine"
    cannot_see = ("options",)

    def record_reader(self) -> ToyRecordReader:
        """Return what reads journals."""
        return ToyRecordReader()

    def code_finder(self) -> ToyCodeFinder:
        """Return what finds programs."""
        return ToyCodeFinder()

    def strategies(self) -> Mapping[str, Strategy]:
        """Return the one way to replay."""
        from tests.toy_engine.toy.replay import replay_program

        return {"auto": replay_program}

    def state_recorder(self) -> StateRecorder:
        """Return what records states."""
        from tests.toy_engine.toy.replay import ToyStates

        return ToyStates

    def reset_model(self) -> ToyForks:
        """Return how journals are forked."""
        from tests.toy_engine.toy.fork import ToyForks

        return ToyForks()


ENGINE = ToyEngine()
