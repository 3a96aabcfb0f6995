"""Where the code asks for nothing, the line is named at which it waits or ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from replaytool.engines import CodeSpec, load_code
from tests.support.histories import recorded, replay
from tests.support.paths import FIXTURES

ORDER = FIXTURES / "activities_in_sequence"
CHARGE = "        charged = await "


@pytest.mark.parametrize("engine", ["direct", "sdk"])
@pytest.mark.parametrize(
    ("lines", "function"),
    [
        ("        await workflow.wait_condition(lambda: False)  # here\n", "Order.run"),
        ("        await self.long()\n", "Order.long"),
        ("        await asyncio.gather(workflow.wait_condition(lambda: False))  # here\n", "Order.run"),
        ("        await workflow.wait_condition(lambda: workflow.now().year > 3000)  # here\n", "Order.run"),
    ],
)
def test_the_line_that_waits_is_named(tmp_path: Path, engine: str, lines: str, function: str) -> None:
    text = (ORDER / "workflow.py").read_text().replace(CHARGE, lines + CHARGE)
    text += "\n    async def long(self) -> None:\n        await workflow.wait_condition(lambda: False)  # here\n"
    file = tmp_path / f"waiting_{engine}.py"
    file.write_text(f"import asyncio\n{text}")
    verdict = replay(recorded(ORDER.name), load_code(CodeSpec((str(file),))), engine=engine)
    assert verdict.verdict == "diverged"
    assert verdict.divergence is not None
    assert verdict.divergence.actual is None
    site = verdict.call_site
    assert site is not None
    assert site.function == function
    assert "# here" in file.read_text().splitlines()[site.line - 1]
