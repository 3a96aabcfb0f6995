"""Workflow code is found wherever it is, and what is wrong with it is told in its own words."""

from __future__ import annotations

import gc
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from replaytool.engines import CodeSpec, Options, load_code, replay
from replaytool.errors import ReplaytoolError
from replaytool.replay.code import importing as loading
from tests.support.histories import bent, events, recorded
from tests.support.paths import FIXTURES

WORKFLOW = """
from temporalio import workflow

@workflow.defn{options}
class {name}:
    @workflow.run
    async def run(self) -> None:
        pass
"""
DYNAMIC = """
from collections.abc import Sequence
from temporalio import workflow
from temporalio.common import RawValue

@workflow.defn(dynamic=True)
class Any:
    @workflow.run
    async def run(self, args: Sequence[RawValue]) -> None:
        pass
"""


@pytest.fixture(autouse=True)
def _own_path() -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    loading._files.paths.clear()
    for name in set(sys.modules) - modules:
        if not name.startswith(("temporalio", "replaytool", "google")):
            del sys.modules[name]


def put(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def source(name: str, options: str = "") -> str:
    return WORKFLOW.format(name=name, options=options)


def test_by_dotted_name_package_file_and_folder(tmp_path: Path) -> None:
    put(
        tmp_path,
        {
            "shop/__init__.py": "",
            "shop/orders.py": source("Order"),
            "shop/deep/__init__.py": "",
            "shop/deep/refunds.py": source("Refund", "(name='refund-v2')"),
            "shop/settings.py": "raise RuntimeError('nothing about workflows')",
            "shop/__main__.py": "import temporalio\nraise SystemExit('started')",
        },
    )
    by_package = load_code(CodeSpec(("shop",), folder=str(tmp_path)))
    assert set(by_package.definitions) == {"Order", "refund-v2"}
    for item, types in (
        ("shop.orders", {"Order"}),
        ("shop/deep/refunds.py", {"refund-v2"}),
        (str(tmp_path / "shop" / "orders.py"), {"Order"}),
        ("shop/deep", {"refund-v2"}),
    ):
        found = load_code(CodeSpec((item,), folder=str(tmp_path)))
        assert set(found.definitions) == types, item
        assert all(module.startswith("shop.") for module in found.info.modules), item


def test_a_class_is_one_whichever_way_it_is_reached(tmp_path: Path) -> None:
    put(tmp_path, {"one.py": source("Order"), "two.py": "import temporalio\nfrom one import Order"})
    assert set(load_code(CodeSpec(("one", "two", "one.py"), folder=str(tmp_path))).definitions) == {"Order"}


def test_two_versions_of_a_type_are_listed(tmp_path: Path) -> None:
    put(tmp_path, {"v1/flows.py": source("Order"), "v2/flows.py": source("Order")})
    with pytest.raises(ReplaytoolError) as raised:
        load_code(CodeSpec(("v1/flows.py", "v2/flows.py"), folder=str(tmp_path)))
    assert "v1/flows.py" in raised.value.message
    assert "v2/flows.py" in raised.value.message
    assert raised.value.exit_code == 2


def test_files_of_one_name_do_not_hide_each_other_not_even_from_the_sandbox(tmp_path: Path) -> None:
    shop = source("Order").replace("self) -> None", "self, item: str, cents: int) -> None")
    put(tmp_path, {"v1/flows.py": shop, "v2/flows.py": source("Refund")})
    code = load_code(CodeSpec(("v2/flows.py", "v1/flows.py"), folder=str(tmp_path)))
    assert set(code.definitions) == {"Order", "Refund"}
    verdict = replay(bent(events("activities_in_sequence")), code)
    assert verdict.verdict == "diverged", verdict.reason


def test_a_dynamic_workflow_takes_what_no_other_takes(tmp_path: Path) -> None:
    put(tmp_path, {"flows.py": DYNAMIC + source("Order")})
    code = load_code(CodeSpec(("flows.py",), folder=str(tmp_path)))
    assert code.workflow_class("Order") is code.definitions["Order"]
    assert code.workflow_class("Whatever") is code.dynamic
    assert code.dynamic is not None


def test_an_error_in_the_code_is_shown_with_its_own_lines(tmp_path: Path) -> None:
    put(tmp_path, {"flows.py": "import temporalio\nimport helper\n", "helper.py": "def f():\n    1 / 0\nf()\n"})
    with pytest.raises(ReplaytoolError) as raised:
        load_code(CodeSpec(("flows.py",), folder=str(tmp_path)))
    message = raised.value.message
    assert re.search(r"flows\.py\", line 2(.|\n)*helper\.py\", line 3(.|\n)*ZeroDivisionError", message)
    assert "importlib" not in message
    assert "loading.py" not in message


@pytest.mark.parametrize(
    ("item", "told"),
    [
        ("nowhere", "no module nowhere"),
        ("nowhere.py", "no file nowhere.py"),
        ("empty.py", "no workflow found"),
        ("leaves.py", "SystemExit"),
        ("misses.py", "No module named 'not_there'"),
        ("garbled.py", "SyntaxError"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, item: str, told: str) -> None:
    put(
        tmp_path,
        {
            "empty.py": "x = 1",
            "leaves.py": "raise SystemExit(1)",
            "misses.py": "import not_there",
            "garbled.py": "def (:",
        },
    )
    with pytest.raises(ReplaytoolError, match=re.escape(told)):
        load_code(CodeSpec((item,), folder=str(tmp_path)))


def test_the_replayers_settings_come_from_a_function(tmp_path: Path) -> None:
    hook = "def made():\n    return {'workflow_failure_exception_types': [ValueError], 'namespace': 'n'}\n"
    put(tmp_path, {"flows.py": source("Order"), "hook.py": hook + "def wrong():\n    return {'workers': 3}\n"})
    code = load_code(CodeSpec(("flows.py",), "hook:made", folder=str(tmp_path)))
    assert code.settings == {"workflow_failure_exception_types": [ValueError], "namespace": "n"}
    assert load_code(CodeSpec(("flows.py",), "hook.py:made", folder=str(tmp_path))).settings == code.settings
    for name, told in (("hook:wrong", "workers"), ("hook:none", "no attribute 'none'"), ("hook", "module:attribute")):
        with pytest.raises(ReplaytoolError, match=told):
            load_code(CodeSpec(("flows.py",), name, folder=str(tmp_path)))


def test_settings_of_the_function_rule_the_replay(tmp_path: Path) -> None:
    """A ValueError fails the task as a rule; the user's worker lets it fail the workflow."""
    flow = source("Voyage").replace(
        "        pass", "        await workflow.sleep(1)\n        raise ValueError('storm')"
    )
    hook = "def made():\n    return {'workflow_failure_exception_types': [ValueError]}\n"
    put(tmp_path, {"flows.py": flow, "hook.py": hook})
    run = bent(events("workflow_failed"))
    assert replay(run, load_code(CodeSpec(("flows.py",), folder=str(tmp_path)))).verdict == "failed"
    assert replay(run, load_code(CodeSpec(("flows.py",), "hook:made", folder=str(tmp_path)))).verdict == "drift"


def test_the_fingerprint_is_that_of_all_code_in_the_folder_wherever_it_lies(tmp_path: Path) -> None:
    prints = []
    for folder, helper in (("a", "x = 1"), ("b", "x = 1"), ("c", "x = 2")):
        put(tmp_path / folder, {"flows.py": "import help_of_it\n" + source("Order"), "help_of_it.py": helper})
        prints.append(load_code(CodeSpec(("flows.py",), folder=str(tmp_path / folder))).info.fingerprint)
        sys.path.remove(str(tmp_path / folder))
        del sys.modules["flows"], sys.modules["help_of_it"]
        loading._files.paths.clear()
    assert prints[0] == prints[1] != prints[2]


def test_two_files_of_one_name_stay_apart_in_the_sandbox(tmp_path: Path) -> None:
    """The sandbox imports by name, and the folder that came last stands first on the path."""
    cases = ("activities_in_sequence", "timers")
    code = load_code(CodeSpec(tuple(str(FIXTURES / case / "workflow.py") for case in cases)))
    for sandbox in ("per-run", "shared"):
        for case in cases:
            verdict = replay(recorded(case), code, Options(sandbox=sandbox))
            assert verdict.verdict == "ok", verdict.reason


def test_a_script_that_defines_no_workflow_is_not_imported(tmp_path: Path) -> None:
    script = "import pathlib\nfrom temporalio.client import Client\npathlib.Path('ran').touch()\nraise SystemExit(1)\n"
    files = {"flow.py": source("Found"), "starter.py": script, "aliased.py": source("Alias").replace("workflow", "w")}
    files["aliased.py"] = files["aliased.py"].replace("import w\n", "import workflow as w\n")
    put(tmp_path, files)
    code = load_code(CodeSpec((str(tmp_path),)))
    assert sorted(code.definitions) == ["Alias", "Found"]
    assert "starter" not in code.info.modules


@pytest.mark.parametrize(
    "effect",
    [
        "open('written', 'w')",
        "import socket; socket.create_connection(('127.0.0.1', 1))",
        "import asyncio; asyncio.run(asyncio.sleep(0))",
        "import threading; t = threading.Thread(target=lambda: open('written', 'w')); t.start(); t.join(); 1 / 0",
    ],
)
def test_a_workflow_file_of_a_folder_has_no_effects_while_it_is_imported(
    tmp_path: Path, effect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    put(tmp_path, {"flows/flow.py": source("Reaching") + "\n" + effect + "\n"})
    with pytest.raises(ReplaytoolError, match="cannot import flow"):
        load_code(CodeSpec(("flows",)))
    assert not (tmp_path / "written").exists()
    # A half-made event loop must not be finalized while something is parsed: Python 3.11 takes that for a fault.
    gc.collect()


def test_what_was_passed_over_is_said(tmp_path: Path) -> None:
    put(tmp_path, {name: source("Hidden") for name in ("test_flow.py", "build/flow.py", "in/dist/flow.py")})
    with pytest.raises(ReplaytoolError, match="no workflow found") as raised:
        load_code(CodeSpec((".",), folder=str(tmp_path)))
    assert "passed over: build/, in/dist/, test_flow.py; name a file" in raised.value.hint
