"""No replay reads the bytecode of all loaded modules to name a build that nobody named."""

from __future__ import annotations

import pytest

from replaytool.engines import CodeSpec, load_code
from replaytool.engines.temporal.sdk.default_build import name_default_build
from replaytool.engines.temporal.sdk.private import load_default_build_id, worker_module
from tests.support.histories import bent, events, replay
from tests.support.paths import FIXTURES


@pytest.mark.oldest
@pytest.mark.parametrize("engine", ["direct", "sdk"])
def test_a_replay_reads_no_bytecode(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> bytes:
        raise AssertionError(f"the bytecode of {name} was read")

    monkeypatch.setattr(worker_module, "_default_build_id", None)
    monkeypatch.setattr(worker_module, "_get_module_code", refuse)
    code = load_code(CodeSpec((str(FIXTURES / "patches" / "workflow.py"),)))
    opened = bent(events("patches", "history-patched.json")[:10])
    assert replay(opened, code, engine=engine).verdict == "ok"
    assert name_default_build() == load_default_build_id()
