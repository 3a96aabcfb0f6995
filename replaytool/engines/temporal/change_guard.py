"""How new code keeps the old path for recorded runs: `workflow.patched`."""

from __future__ import annotations

import ast
from collections.abc import Sequence

_NEVER = frozenset({"activity.defn", "workflow.query", "validator"})


class PatchGuard:
    """Guards of the Python SDK."""

    module_name = "workflow"
    import_line = "from temporalio import workflow\n"

    def write_condition(self, change_id: str) -> str:
        """Return the expression that is false for runs that were recorded without it."""
        return f'workflow.patched("{change_id}")'

    def find_hindrance(self, functions: Sequence[ast.FunctionDef | ast.AsyncFunctionDef]) -> str:
        """Return why code inside of these functions cannot be guarded; "" if it can."""
        for one in functions:
            for decorator in one.decorator_list:
                called = ast.unparse(decorator.func if isinstance(decorator, ast.Call) else decorator)
                if called in _NEVER or called.rpartition(".")[2] == "validator":
                    return f"{one.name} is decorated with @{called}: a guard there is never recorded"
        return ""


CHANGE_GUARD = PatchGuard()
