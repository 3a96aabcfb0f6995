"""`check --guilty` names the edit that breaks runs, above the symptoms, in every format."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from replaytool.cli.demo import demo_files
from tests.conftest import Call
from tests.drills.guilty_drill import make_pull_request, try_pull_request
from tests.support.git_repository import git

pytestmark = pytest.mark.slow
