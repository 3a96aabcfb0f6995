from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.test_merge import same_when_merged
from tests.conftest import Call


@pytest.mark.drill
def test_eight_shards_merged_are_the_whole_report(call: Call, tmp_path: Path) -> None:
    same_when_merged(call, tmp_path, 8)
