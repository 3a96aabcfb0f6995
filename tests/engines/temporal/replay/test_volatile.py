"""What a library makes anew at each replay is named once and is no drift; a change beside it still is."""

from __future__ import annotations

import base64
import json
import re
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from replaytool.engines import CodeSpec, Options, load_code, replay
from replaytool.model.history import Run
from replaytool.model.verdict import Verdict
from replaytool.replay import call_site
from tests.support.histories import bent, events, recorded
from tests.support.paths import FIXTURES

CASE = "activities_in_sequence"
WORKFLOW = (FIXTURES / CASE / "workflow.py").read_text()
LIBRARY = """
import asyncio
import datetime
import uuid
from temporalio import workflow


def stamp(item):
    return {"item": item, "id": str(uuid.uuid4()), "day": datetime.date.today().isoformat()}


async def send_from_a_task(activity, item, **options):
    async def send():
        return await workflow.execute_activity(activity, stamp(item), **options)

    async def start():
        return await asyncio.create_task(send())

    return await asyncio.create_task(start())
"""
SET_OF_IDS = """

def ids(*members):
    one = str(uuid.uuid4())
    place = int(one[0], 16) % (len(members) + 1)
    return {"ids": [*members[:place], one, *members[place:]]}
"""
_counter = iter(range(1000))


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A library as an installed one: its folder counts as the one of installed packages."""
    folder = tmp_path / "installed"
    folder.mkdir()
    name = f"stamping_{next(_counter)}"
    (folder / f"{name}.py").write_text(LIBRARY)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(call_site, "_INSTALLED", (sysconfig.get_path("purelib"), str(folder)))
    yield name
    sys.modules.pop(name, None)


def judge(
    tmp_path: Path, library: str, call: str, engine: str = "direct", sandbox: str = "shared", run: Run | None = None
) -> Verdict:
    source = WORKFLOW.replace(
        "SHORT =",
        f"with workflow.unsafe.imports_passed_through():\n    import uuid\n    import {library} as library\n\nSHORT =",
    )
    source = source.replace("workflow.execute_activity(send_parcel, item, start_to_close_timeout=SHORT)", call)
    name = f"stamped_order_{next(_counter)}"
    (tmp_path / "app").mkdir(exist_ok=True)
    (tmp_path / "app" / f"{name}.py").write_text(source)
    code = load_code(CodeSpec((f"{name}.py",), folder=str(tmp_path / "app")))
    return replay(run or recorded(CASE), code, Options(sandbox=sandbox), engine)


STAMPED = "workflow.execute_activity(send_parcel, library.stamp(item), start_to_close_timeout=SHORT)"
OTHER = "workflow.execute_activity(send_parcel, library.stamp(item), start_to_close_timeout=SHORT * 2)"


@pytest.mark.parametrize("engine", ["direct", "sdk"])
def test_only_the_stable_part_is_drift(tmp_path: Path, library: str, engine: str) -> None:
    found = judge(tmp_path, library, OTHER, engine)
    assert found.verdict == "drift"
    assert {one.path for one in found.drift} >= {"startToCloseTimeout"}
    assert not any("id" in one.path or "day" in one.path for one in found.drift)


def test_the_places_are_named_once_with_the_librarys_line(tmp_path: Path, library: str) -> None:
    found = judge(tmp_path, library, STAMPED)
    (note,) = found.notes
    assert note.startswith("2 values differ between two replays of the same code, first input[0].")
    assert f"{library}.py:9 (uuid.uuid4)" in note
    assert f"{library}.py:9 (date.today)" in note


def test_the_workflows_own_chance_is_compared(tmp_path: Path, library: str) -> None:
    own = "workflow.execute_activity(send_parcel, str(uuid.uuid4()), start_to_close_timeout=SHORT)"
    found = judge(tmp_path, library, own, sandbox="off")
    assert (found.verdict, found.notes) == ("drift", ())
    assert [one.what for one in found.hazards] == ["uuid.uuid4"]


def test_a_task_that_a_library_started_is_the_workflows_line(tmp_path: Path, library: str) -> None:
    found = judge(tmp_path, library, "library.send_from_a_task(send_parcel, item, start_to_close_timeout=SHORT)")
    site = found.call_site
    assert site is not None
    assert (Path(site.file).stem.rstrip("0123456789"), site.function) == ("stamped_order_", "Order.run")
    assert library in site.chain[0].file


CASES_OF_A_SET = [("'x', 'y'", "'x', 'y'", "ok"), ("'x', 'y'", "'x', 'z'", "drift"), ("'x', 'y'", "'x'", "drift")]


@pytest.mark.parametrize(("recorded_members", "members", "word"), CASES_OF_A_SET)
def test_a_list_made_from_a_set_of_ids_is_compared_without_its_order(
    tmp_path: Path, library: str, recorded_members: str, members: str, word: str
) -> None:
    (tmp_path / "installed" / f"{library}.py").write_text(LIBRARY + SET_OF_IDS)
    listed = events(CASE)
    payload = listed[16]["activityTaskScheduledEventAttributes"]["input"]["payloads"][0]
    recorded_ids = [*re.findall(r"'(\w)'", recorded_members), "id of the record"]
    payload["data"] = base64.b64encode(json.dumps({"ids": recorded_ids}).encode()).decode()
    call = f"workflow.execute_activity(send_parcel, library.ids({members}), start_to_close_timeout=SHORT)"
    verdicts = [judge(tmp_path, library, call, run=bent(listed)) for _ in range(4)]
    assert [one.verdict for one in verdicts] == [word] * 4
