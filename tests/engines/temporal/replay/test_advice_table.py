"""What the advice says of an edit is what the edit did, and a suggested guard makes the history pass."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from pathlib import Path

import pytest

from replaytool.engines import CodeSpec, Options, load_code
from replaytool.model.verdict import Verdict
from tests.support.histories import recorded, replay
from tests.support.paths import FIXTURES

_CALLED = re.compile(r"execute_(activity|local_activity|child_workflow)\(([\w.]+)")
_OTHER_KIND = {"activity": "local_activity", "local_activity": "activity", "child_workflow": "child_workflow"}
_GUARD = re.compile(r"`(if (not )?workflow\.patched\('([^']+)'\):)`")
_NEW = "await workflow.execute_activity('audit', start_to_close_timeout=timedelta(seconds=10))"
_CHILD = "await workflow.execute_child_workflow('Audit', id='audit-1')"
_TIMER = "await workflow.sleep(7)"
_SIGNAL = "await workflow.get_external_workflow_handle('other').signal('hello')"
_FAIL = "import temporalio.exceptions as failures; raise failures.ApplicationError('no')"

# Each program with: its history, the statement to edit (one line of its source), and the line behind it, if the two
# can change places.
PROGRAMS: dict[str, tuple[str, str, str]] = {
    "activities_in_sequence": (
        "history.json",
        "reserved = await workflow.execute_activity(reserve_stock, item, start_to_close_timeout=SHORT)",
        "charged = await workflow.execute_activity(charge_card, cents, start_to_close_timeout=SHORT)",
    ),
    "saga_with_compensation": ("history.json", "await self.do(cancel, booking)", ""),
    "child_completed": (
        "history-parent.json",
        'return await workflow.execute_child_workflow(Delivery.run, street, id="delivery-7")',
        "",
    ),
    "local_activities": (
        "history.json",
        "net = await workflow.execute_local_activity(look_up_price, item, start_to_close_timeout=SHORT)",
        "",
    ),
    "loyalty": (
        "history-rider-02.json",
        "scored = await workflow.execute_activity(score_trip, km, start_to_close_timeout=SHORT)",
        "",
    ),
    "patches": (
        "history-before.json",
        "shipped = await workflow.execute_activity(ship_by_post, item, start_to_close_timeout=SHORT)",
        "",
    ),
}

# What each edit makes of the statement, and the word for it. None: the edit does not fit this statement.
EDITS: dict[str, tuple[str, str]] = {
    "activity before it": ("inserted", f"{_NEW}\n{{old}}"),
    "timer before it": ("inserted", f"{_TIMER}\n{{old}}"),
    "child before it": ("inserted", f"{_CHILD}\n{{old}}"),
    "signal before it": ("inserted", f"{_SIGNAL}\n{{old}}"),
    "gone": ("removed", "{target}"),
    "early end": ("removed", "return {result}"),
    "moved behind the next": ("moved", "{next}\n{old}"),
    "activity instead": ("replaced", f"{_NEW}\n{{target}}"),
    "timer instead": ("other", f"{_TIMER}\n{{target}}"),
    "failure instead": ("removed", _FAIL),
    "renamed": ("renamed", "{old}"),
    "another kind": ("other", "{kind}"),
}


def _cases() -> list[tuple[str, str]]:
    return [(program, edit) for program in PROGRAMS for edit in EDITS]


def _edited(program: str, edit: str, guard: re.Match[str] | None = None) -> str | None:
    """Return the program's source with the edit, below the guard if there is one; None if the edit does not fit."""
    _, old, following = PROGRAMS[program]
    target, has_target, _ = old.partition(" = await")
    if edit == "moved behind the next" and not following:
        return None
    called = _CALLED.search(old)
    kind = _CALLED.sub(lambda call: f"execute_{_OTHER_KIND[call[1]]}({call[2]}", old)
    if edit in ("renamed", "another kind") and (called is None or (edit != "renamed" and kind == old)):
        return None
    assigned = f"{target} = ''" if has_target else ("return ''" if old.startswith("return") else "pass")
    new = EDITS[edit][1].format(old=old, next=following, target=assigned, result="None", kind=kind)
    whole = f"{old}\n{following}" if edit == "moved behind the next" else old
    source = (FIXTURES / program / "workflow.py").read_text()
    source = source.replace("from datetime import timedelta\n", "").replace(
        "from temporalio import", "from datetime import timedelta\nfrom temporalio import", 1
    )
    if edit == "renamed" and called is not None:
        # The definition too: else the old one is still there, and another activity is called in its place.
        name = called[2].removesuffix(".run")
        source = re.sub(rf"\b{name}\b", "another_name", source)
        kept = r"@(\w+\.defn)\n((?:async def|class) another_name)"
        return re.sub(kept, rf"@\1(name={name!r})\n\2", source) if guard is not None else source
    pattern = r"( *)" + r"\n *".join(re.escape(line) for line in whole.split("\n"))
    found = re.search(pattern, source)
    assert found, f"{program} has {whole}"
    space = found[1]
    if guard is None:
        lines = [space + line for line in new.split("\n")]
    else:
        # With `not`, the old code is under the guard, and the new code is what is left without it.
        first, second = (whole, new) if guard[2] else (new, whole)
        lines = [space + guard[1], *(f"{space}    {line}" for line in first.split("\n")), f"{space}else:"]
        lines += [f"{space}    {line}" for line in second.split("\n")]
    return source[: found.start()] + "\n".join(lines) + source[found.end() :]


def _replayed(folder: Path, source: str, program: str) -> Verdict:
    (folder / "edited.py").write_text(source)
    code = load_code(CodeSpec((str(folder / "edited.py"),)))
    # A process of `check` has the code of one check. This one has that of other tests, which may define the old name.
    files = {name: file for name, file in code.info.files.items() if file == str(folder / "edited.py")}
    code = replace(code, info=replace(code.info, files=files))
    return replay(recorded(program, PROGRAMS[program][0]), code, Options(), "auto")


@pytest.mark.sampled(3)
@pytest.mark.parametrize(("program", "edit"), _cases())
def test_the_advice_says_what_happened_and_its_guard_replays(program: str, edit: str, tmp_path: Path) -> None:
    source = _edited(program, edit)
    if source is None:
        pytest.skip("the edit does not fit this program")
    verdict = _replayed(tmp_path, source, program)
    if verdict.divergence is None:
        pytest.skip(f"the edit breaks nothing here: {verdict.verdict}: {verdict.reason}")
    told = verdict.divergence
    expected = EDITS[edit][0]
    if edit == "activity instead" and told.expected is not None and told.expected.kind != "activity":
        expected = "other"
    assert told.edit == expected, told.advice
    guard = _GUARD.search(told.advice)
    if guard is None:
        return
    guarded = _edited(program, edit, guard)
    assert guarded is not None
    ast.parse(guarded)
    (tmp_path / "again").mkdir()
    again = _replayed(tmp_path / "again", guarded, program)
    assert again.verdict in ("ok", "drift"), f"{again.reason}: {told.advice}"


_ORDER = (FIXTURES / "activities_in_sequence" / "workflow.py").read_text()
_RUN = "    async def run(self, item: str, cents: int) -> list[str]:\n"


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (_RUN, f"{_RUN}        import datetime\n        datetime.datetime.now()\n", "Use workflow.now()"),
        (_RUN, f"{_RUN}        import random\n        random.random()\n", "Use workflow.random()"),
        (_RUN, f"{_RUN}        import uuid\n        uuid.uuid4()\n", "Use workflow.uuid4()"),
        ("@workflow.defn", "@workflow.defn(name='Purchase')", "@workflow.defn(name='Order')"),
        ("cents: int) -> list", "cents: int, gift: bool) -> list", "Order.run needs 'gift'"),
    ],
)
def test_a_failed_task_has_advice_and_a_line(before: str, after: str, told: str, tmp_path: Path) -> None:
    verdict = _replayed(tmp_path, _ORDER.replace(before, after), "activities_in_sequence")
    assert verdict.failure is not None, verdict.reason
    assert told in verdict.failure.advice
    assert verdict.failure.call_site is not None
