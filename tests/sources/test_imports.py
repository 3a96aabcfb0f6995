"""What is heavy is imported when it is needed: listing files must not cost a second."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "module", ["replaytool.sources", "replaytool.engines.temporal.server.pull", "replaytool.cli.pull"]
)
def test_nothing_heavy_is_imported_early(module: str) -> None:
    code = f"import sys, {module}; print([name for name in ('pyarrow', 'temporalio', 'duckdb') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("[]\n", "")
