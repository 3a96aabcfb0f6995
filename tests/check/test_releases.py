"""`check --with`: another release of a library stands in front of what is installed, and only there."""

from __future__ import annotations

import hashlib
import zipfile
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest

from tests.conftest import Call
from tests.support.paths import FIXTURES

pytestmark = pytest.mark.slow

LOYALTY = FIXTURES / "loyalty"


def write_wheel(folder: Path, version: str, trips: int) -> None:
    """A library of one line, as a wheel."""
    info = f"mailrules-{version}.dist-info"
    files = {
        "mailrules.py": f"TRIPS_PER_MAIL = {trips}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: mailrules\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    records = []
    for name, text in files.items():
        digest = urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        records.append(f"{name},sha256={digest},{len(text)}")
    files[f"{info}/RECORD"] = "\n".join([*records, f"{info}/RECORD,,"]) + "\n"
    with zipfile.ZipFile(folder / f"mailrules-{version}-py3-none-any.whl", "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)


@pytest.fixture
def project(call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The loyalty programme with its rule in a library, which is installed as 1.0."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "wheels").mkdir()
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "mailrules.py").write_text("TRIPS_PER_MAIL = 3\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "here"))
    for version, trips in (("1.1", 3), ("2.0", 2)):
        write_wheel(tmp_path / "wheels", version, trips)
    text = (LOYALTY / "workflow.py").read_text()
    (tmp_path / "wf.py").write_text(text.replace("TRIPS_PER_MAIL = 3", "from mailrules import TRIPS_PER_MAIL"))
    assert call("load", *sorted(LOYALTY.glob("history-rider-0[1-4].json"))).code == 0
    return tmp_path


def test_a_release_that_breaks_runs_is_named_with_them(call: Call, project: Path) -> None:
    before = (project / "replaytool.duckdb").read_bytes()
    given = ("check", "-w", "wf.py", "--find-links", "wheels", "--with", "mailrules==1.1", "--with", "mailrules==2.0")
    told = call(*given)
    assert told.code == 1, told.err
    assert "mailrules==2.0: loyalty-rider-01" in told.out
    assert "mailrules==1.1: loyalty" not in told.out
    found = call(*given, "--json").json
    assert [one["name"] for one in found["releases"]] == ["as installed", "mailrules==1.1", "mailrules==2.0"]
    assert [one["summary"]["diverged"] for one in found["releases"]] == [0, 0, 3]
    assert {one["release"] for one in found["changes"]} == {"mailrules==2.0"}
    assert found["releases"][2]["versions"] == {"mailrules": "2.0"}
    assert (project / "replaytool.duckdb").read_bytes() == before, "the store keeps the verdicts of what is installed"


def test_what_cannot_be_installed_is_one_error(call: Call, project: Path) -> None:
    gone = call("check", "-w", "wf.py", "--find-links", "wheels", "--with", "mailrules==9.9")
    assert (gone.code, "mailrules==9.9 cannot be installed" in gone.err) == (2, True)
    assert "Traceback" not in gone.err
    for wrong in ("--index-url=http://x", "mailrules", "../wheels", "mailrules==1.0; os"):
        assert call("check", "-w", "wf.py", f"--with={wrong}").code == 2
    assert call("check", "-w", "wf.py", "--with", "mailrules==1.1", "--base", "main").code == 2


@pytest.mark.drill
@pytest.mark.parametrize(
    ("case", "release", "said"),
    [
        ("timers", "1.20.0", "ok → diverged, event 17"),  # since 1.24 a sleep that is cancelled cancels its timer
        ("dynamic_workflow", "1.20.0", "not checked: cannot import workflow"),  # refuses collections.abc.Sequence
    ],
)
def test_releases_of_the_sdk_differ_on_recorded_histories(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str, release: str, said: str
) -> None:
    """This one asks the package index."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    histories = sorted((FIXTURES / case).glob("history*.json"))
    told = call("check", *histories, "-w", FIXTURES / case / "workflow.py", "--with", f"temporalio=={release}")
    assert told.code != 0
    assert said in told.out
