"""What can be imported is imported, and each run meets the class that its worker would have given it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from replaytool.engines import CodeSpec, Options, load_code, open_project, replay
from replaytool.errors import ReplaytoolError
from replaytool.model.history import Run
from replaytool.replay.code import importing as loading
from replaytool.replay.code.project_code import find_project_code
from tests.replay.code.test_user_code import DYNAMIC, put, source
from tests.support.histories import bent, events, recorded
from tests.support.paths import FIXTURES

ORDER = (FIXTURES / "activities_in_sequence" / "workflow.py").read_text()
OTHER = (FIXTURES / "activities_in_sequence" / "changed_activity_renamed.py").read_text()
SCRIPT = ORDER.replace(
    "from temporalio import workflow", "from temporalio import workflow\nfrom steps import AMOUNT", 1
)
WORKER = """
from temporalio.worker import Worker
from {module} import {name}

async def main(client):
    flows = [{name}]
    async with Worker(client, task_queue={queue}, workflows=flows):
        pass
"""


@pytest.fixture(autouse=True)
def _own_path() -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    loading._files.paths.clear()
    loading._files.renamed.clear()
    for name in set(sys.modules) - modules:
        if not name.startswith(("temporalio", "replaytool", "google")):
            del sys.modules[name]


def order_run(queue: str | None = None) -> Run:
    """The recorded run, as if it had been started on this task queue."""
    listed = events("activities_in_sequence")
    own = listed[0]["workflowExecutionStartedEventAttributes"]["taskQueue"]["name"]
    return bent(json.loads(json.dumps(listed).replace(f'"{own}"', f'"{queue or own}"')))


def test_what_cannot_be_imported_costs_only_its_own_types(tmp_path: Path) -> None:
    put(tmp_path, {"app/__init__.py": "", "app/order.py": ORDER, "app/lost.py": "import not_there\n" + source("Lost")})
    for item in ("app", str(tmp_path), "app/"):
        code = load_code(CodeSpec((item,), folder=str(tmp_path)))
        assert replay(order_run(), code).verdict == "ok"
        lost = replay(bent(events("activities_in_sequence"), "Lost"), code)
        assert lost.verdict == "unverified"
        assert lost.reason == (
            "its module could not be imported: app/lost.py: ModuleNotFoundError: No module named 'not_there'"
        )
        assert code.info.not_imported == ("app/lost.py: ModuleNotFoundError: No module named 'not_there'",)


def test_a_dynamic_workflow_never_takes_what_could_not_be_imported(tmp_path: Path) -> None:
    put(tmp_path, {"any.py": DYNAMIC, "lost.py": "import not_there\n" + source("Lost", "(name='Order')")})
    found = replay(order_run(), load_code(CodeSpec((".",), folder=str(tmp_path))))
    assert found.verdict == "unverified"
    assert "its module could not be imported: lost.py" in found.reason


def test_a_lost_class_beside_an_imported_one_of_its_type_leaves_the_run_undecided(tmp_path: Path) -> None:
    put(tmp_path, {"order.py": ORDER, "old/order.py": "import not_there\n" + ORDER, "more.py": source("More")})
    found = replay(order_run(), load_code(CodeSpec((".",), folder=str(tmp_path))))
    assert found.verdict == "unverified"
    assert "defined more than once" in found.reason
    assert "not_there" in found.reason
    left = load_code(CodeSpec((".",), folder=str(tmp_path), exclude=("old",)))
    assert replay(order_run(), left).verdict == "ok"


def test_a_class_is_named_with_its_module(tmp_path: Path) -> None:
    put(tmp_path, {"app/__init__.py": "", "app/flows.py": ORDER + source("More"), "v2.py": OTHER})
    for item in ("app.flows:Order", "app/flows.py:Order"):
        code = load_code(CodeSpec((item,), folder=str(tmp_path)))
        assert set(code.definitions) == {"Order"}
    both = load_code(CodeSpec(("v2.py", "app.flows:Order"), folder=str(tmp_path)))
    assert replay(order_run(), both).verdict == "ok"
    with pytest.raises(ReplaytoolError, match=r"app\.flows has no class Ordr"):
        load_code(CodeSpec(("app.flows:Ordr",), folder=str(tmp_path)))


def test_the_task_queue_tells_which_worker_a_run_belongs_to(tmp_path: Path) -> None:
    put(
        tmp_path,
        {
            "one/__init__.py": "QUEUE = 'first'",
            "one/flows.py": ORDER,
            "one/main.py": WORKER.format(module="one.flows", name="Order", queue="QUEUE").replace(
                "from one", "from one import QUEUE\nfrom one"
            ),
            "two/__init__.py": "",
            "two/flows.py": OTHER,
            "two/main.py": WORKER.format(module=".flows", name="Order", queue="'second'"),
        },
    )
    code = load_code(CodeSpec((".",), folder=str(tmp_path)))
    assert replay(order_run("first"), code).verdict == "ok"
    assert replay(order_run("second"), code).verdict == "diverged"
    for engine in ("sdk", "direct"):
        assert replay(order_run("first"), code, engine=engine).verdict == "ok"
    third = replay(order_run("third"), code)
    assert third.verdict == "unverified"
    assert "[tool.replaytool.types]" in third.reason
    settled = load_code(CodeSpec((".",), folder=str(tmp_path), types=(("Order", "two.flows:Order"),)))
    assert replay(order_run("first"), settled).verdict == "diverged"


def test_a_computed_list_of_workflows_decides_nothing(tmp_path: Path) -> None:
    worker = WORKER.format(module="one", name="Order", queue="'first'")
    put(tmp_path, {"one.py": ORDER, "two.py": OTHER, "main.py": worker, "more.py": source("More")})
    assert replay(order_run("first"), load_code(CodeSpec((".",), folder=str(tmp_path)))).verdict == "ok"
    put(tmp_path, {"main.py": worker.replace("[Order]", "[Order]\n    flows.append(main)")})
    assert replay(order_run("first"), load_code(CodeSpec((".",), folder=str(tmp_path)))).verdict == "unverified"


def test_a_folder_with_an_init_file_may_hold_scripts(tmp_path: Path) -> None:
    put(tmp_path, {"shop/__init__.py": "", "shop/flows.py": SCRIPT, "shop/steps.py": "AMOUNT = 1"})
    code = load_code(CodeSpec(("shop/flows.py",), folder=str(tmp_path)))
    assert replay(order_run(), code, Options(sandbox="per-run")).verdict == "ok"


def test_scripts_of_two_folders_import_their_own_neighbours(tmp_path: Path) -> None:
    """Each folder has a `steps.py`, and the sandbox imports both again."""
    named = "import steps\n" + ORDER.replace("charge_card, cents", "steps.CHARGE, cents")
    put(tmp_path, {"a/flows.py": named, "a/steps.py": "CHARGE = 'charge_card'"})
    other = named.replace("@workflow.defn", "@workflow.defn(name='Other')", 1)
    put(tmp_path, {"b/flows.py": other, "b/steps.py": "import deep.text\nCHARGE = deep.text.CHARGE"})
    put(tmp_path, {"b/deep/__init__.py": "", "b/deep/text.py": "CHARGE = 'other'"})
    for order in (("a/flows.py", "b/flows.py"), ("b/flows.py", "a/flows.py")):
        code = load_code(CodeSpec(order, folder=str(tmp_path)))
        for sandbox in ("per-run", "shared", "off"):
            assert replay(order_run(), code, Options(sandbox=sandbox)).verdict == "ok", (order, sandbox)
            assert replay(bent(events("activities_in_sequence"), "Other"), code).verdict == "diverged"


def test_a_src_layout_needs_no_installation(tmp_path: Path) -> None:
    flows = "import shop.names\n" + ORDER
    put(tmp_path, {"pyproject.toml": "[project]\nname='shop'", "src/shop/__init__.py": "", "src/shop/names.py": ""})
    put(tmp_path, {"src/shop/flows.py": flows, "lib/extra.py": "", "deep/more.py": "import extra\n" + source("More")})
    for item in ("shop", "shop.flows", "src/shop", "src"):
        assert replay(order_run(), load_code(CodeSpec((item,), folder=str(tmp_path)))).verdict == "ok"
    assert set(load_code(CodeSpec(("deep",), folder=str(tmp_path), pythonpath=("lib",))).definitions) == {"More"}


def test_a_project_is_searched_without_running_it(tmp_path: Path) -> None:
    worker = WORKER.format(module="made", name="Made", queue="'q'")
    put(
        tmp_path,
        {
            "src/shop/__init__.py": "",
            "src/shop/flows.py": "raise SystemExit\n" + source("Order"),
            "main.py": "raise SystemExit\n" + worker,
            "made.py": "from shop.make import flow\n\nclass Made: ...\n",
            "tests/flows.py": source("Tested"),
            "test_it.py": source("Tested"),
            "old/flows.py": source("Old"),
        },
    )
    found = find_project_code(open_project(tmp_path, ("old",)))
    assert found.files == ("src/shop/flows.py", "made.py")


def test_recorded_runs_still_follow_their_code() -> None:
    code = load_code(CodeSpec((str(FIXTURES / "timers" / "workflow.py"),)))
    assert replay(recorded("timers"), code).verdict == "ok"
