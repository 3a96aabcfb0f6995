"""How Temporal's workflow classes are found. The SDK is asked only where the user's code has imported it."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from replaytool.replay.code.project_reader import SetupCalls
from replaytool.replay.code.source_search import names_of_import, uses_any_name

_USUAL = {"workflow.defn", "workflow.run"}
"""How a file writes it that takes `workflow` from another module of its own."""
# Where the SDK keeps what `@workflow.defn` says; seen in every release from 1.20 on.
_DEFINITION = "__temporal_workflow_definition"


class TemporalCodeFinder:
    """Finds classes with `@workflow.defn`."""

    engine = "temporal"
    library = "temporalio"
    how_to_write = "a class with @workflow.defn"
    settings = frozenset(
        [
            "data_converter",
            "debug_mode",
            "disable_safe_workflow_eviction",
            "header_codec_behavior",
            "identity",
            "interceptors",
            "namespace",
            "plugins",
            "runtime",
            "unsandboxed_workflow_runner",
            "workflow_task_executor",
            "workflow_failure_exception_types",
            "workflow_runner",
            "build_id",
            "workflows",
        ]
    )

    setup_calls = SetupCalls(
        {
            "temporalio.worker.Worker": "worker",
            "temporalio.client.Client": "client",
            "temporalio.client.Client.connect": "client",
        },
        converter="data_converter",
        plugins="plugins",
        interceptors="interceptors",
        others=("workflow_runner", "unsandboxed_workflow_runner", "workflow_failure_exception_types"),
    )

    def defines_workflows(self, tree: ast.Module) -> bool:
        """Return whether the source uses `workflow.defn` or, below a decorator of the user's own, `workflow.run`."""
        return uses_any_name(tree, names_of_import(tree, "temporalio.workflow", ("defn", "run")) | _USUAL)

    def list_workflow_names(self, tree: ast.Module) -> Iterable[tuple[str | None, str]] | None:
        """Return the type and the class of each `@workflow.defn` with a constant name."""
        names = names_of_import(tree, "temporalio.workflow", ("defn",)) | {"workflow.defn"}
        found: list[tuple[str | None, str]] = []
        for node in ast.walk(tree):
            for decorator in node.decorator_list if isinstance(node, ast.ClassDef) else ():
                call = decorator.func if isinstance(decorator, ast.Call) else decorator
                if not isinstance(node, ast.ClassDef) or ast.unparse(call) not in names:
                    continue
                keywords = decorator.keywords if isinstance(decorator, ast.Call) else []
                given = {one.arg: one.value for one in keywords if one.arg in ("name", "dynamic", None)}
                values = [one.value if isinstance(one, ast.Constant) else ... for one in given.values()]
                if ... in values:
                    return None
                constants = dict(zip(given, values, strict=True))
                name = constants.get("name") or node.name
                found.append((None if constants.get("dynamic") else str(name), node.name))
        return found or None

    def find_workflows(self, module: ModuleType) -> Iterable[tuple[str | None, type]]:
        """Yield the workflows that a module holds, its own and those that it takes from elsewhere."""
        for value in vars(module).values():
            if isinstance(value, type) and _DEFINITION in vars(value):
                yield self.name_workflow(value), value

    def name_workflow(self, workflow: object) -> str | None:
        """Return the name in the class's definition."""
        name: str | None = vars(workflow)[_DEFINITION].name
        return name

    def configure_settings(self, settings: Mapping[str, Any], workflows: Sequence[Any]) -> dict[str, Any]:
        """Return the settings that the plugins leave, with all workflows; without plugins, the settings as they are."""
        found = dict(settings)
        if "data_converter" in found:
            from replaytool.engines.temporal.events.converters import make_data_converter

            found["data_converter"] = make_data_converter(found["data_converter"])
        if found.get("interceptors"):
            from temporalio.worker import Interceptor

            # As in a worker: those of a client that do nothing for workflows stay out.
            found["interceptors"] = [one for one in found["interceptors"] if isinstance(one, Interceptor)]
        if not found.get("plugins"):
            return found
        from replaytool.engines.temporal.sdk.plugins import configure_plugins

        return configure_plugins(found, workflows)

    def release(self) -> str:
        """Return the SDK's release."""
        import temporalio

        return f"temporalio {temporalio.__version__}"

    def frames_to_skip(self) -> Sequence[str]:
        """Return the SDK's folder."""
        import temporalio

        return [str(Path(str(temporalio.__file__)).resolve().parent) + os.sep]
