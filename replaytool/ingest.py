"""From sources through formats into the store: in batches for speed, whole files for safety, bad files reported."""

from __future__ import annotations

import gc
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import BinaryIO, cast

from replaytool import sources
from replaytool.errors import ErrorCode
from replaytool.formats import HEAD_SIZE, Unreadable, detect_format, find_place_format
from replaytool.model.history import Run
from replaytool.sources import HistorySource
from replaytool.store import AddedRun, ReadSteps, Store
from replaytool.text import hide_url_secrets

_BATCH_BYTES = 70 * 1024 * 1024
_BATCH_EVENTS = 180_000
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BadFile:
    """A file that was not loaded, why, and what its owner can do."""

    name: str
    reason: str
    hint: str = ""
    position: str = ""
    code: str = ""


@dataclass
class LoadReport:
    """What a load did."""

    files: int = 0
    events: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    problems: Counter[str] = field(default_factory=Counter)
    bad: list[BadFile] = field(default_factory=list)
    run_keys: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class LoadObserver:
    """Callbacks for a caller that shows progress."""

    on_file: Callable[[str, int], None] = lambda name, events: None
    on_bad: Callable[[BadFile], None] = lambda bad: None
    on_total: Callable[[int], None] = lambda number: None
    """Called when loading is over and replaying begins, with the number of replays to come."""


Transform = Callable[[Run], Run]


def open_sources(
    arguments: Sequence[str], stdin: BinaryIO | None = None, *, keep_going: bool = True
) -> Iterator[HistorySource]:
    """Return the sources that the arguments name. A format may claim a file, a folder or an address as a whole.

    With `keep_going`, one place without histories is reported as a bad file.
    """
    return sources.open_sources(
        arguments, stdin, lambda place: find_place_format(place) is not None, keep_going=keep_going
    )


def read_runs(source: HistorySource) -> Iterator[Run]:
    """Yield the runs of a source. Raise Unreadable for a bad file and for the system's errors about it."""
    try:
        if source.place is not None and (whole := find_place_format(source.place)) is not None:
            yield from whole.read_place(source.place)
            return
        with source.open() as stream:
            head = stream.read(HEAD_SIZE)
            found = detect_format(head)
            _log.debug("%s is %s", source.name, found.name)
            content = BytesIO(head) if len(head) < HEAD_SIZE else cast(BinaryIO, _RewoundStream(head, stream))
            yield from found.read_runs(content, source.hints)
    except OSError as error:
        raise Unreadable(
            error.strerror or str(error),
            getattr(error, "hint", "check the file and its mode"),
            code=getattr(error, "code", ErrorCode.SOURCE_UNREADABLE),
        ) from error
    except (RecursionError, MemoryError) as error:
        raise Unreadable(
            f"{type(error).__name__} while reading it",
            "this is not a history that an engine writes",
            code=ErrorCode.FORMAT_TOO_LARGE,
        ) from error


class _RewoundStream:
    """A stream whose first bytes were read to detect the format, readable from its beginning."""

    def __init__(self, head: bytes, stream: object) -> None:
        self._head = head
        self._read: Callable[[int], bytes] = stream.read  # type: ignore[attr-defined]

    def read(self, size: int = -1) -> bytes:
        if not self._head:
            return self._read(size)
        if size < 0 or size > len(self._head):
            head, self._head = self._head, b""
            return head + self._read(size - len(head) if size >= 0 else -1)
        taken, self._head = self._head[:size], self._head[size:]
        return taken


def load_into_store(
    store: Store,
    sources: Iterable[HistorySource],
    observer: LoadObserver | None = None,
    transform: Transform | None = None,
    read_steps: ReadSteps | None = None,
) -> LoadReport:
    """Load every source. A file is loaded completely or not at all; a bad one is reported and the others go on."""
    loading = _StoreLoader(store, observer or LoadObserver(), transform or (lambda run: run), read_steps)
    with _relax_garbage_collector():
        try:
            for source in sources:
                loading.load_source(source)
        finally:
            loading.write_queue()
    return loading.report


@contextmanager
def _relax_garbage_collector() -> Iterator[None]:
    """Collect garbage less often: events hold no cycles, and looking for cycles takes a sixth of the time."""
    usual = gc.get_threshold()
    gc.set_threshold(200_000, 20, 20)
    try:
        yield
    finally:
        gc.set_threshold(*usual)


class _StoreLoader:
    """Collect whole files until there are enough for a batch; a file longer than a batch is loaded alone."""

    def __init__(
        self, store: Store, observer: LoadObserver, transform: Transform, read_steps: ReadSteps | None
    ) -> None:
        self.store = store
        self.observer = observer
        self.transform = transform
        self.read_steps = read_steps
        self.report = LoadReport()
        self.waiting: list[tuple[str, Run]] = []
        self.bytes = 0
        self.events = 0

    def load_source(self, source: HistorySource) -> None:
        """Read one source completely, or not at all."""
        self.report.files += 1
        own: list[tuple[str, Run]] = []
        size = events = 0
        runs = read_runs(source)
        try:
            for run in runs:
                own.append((source.name, self.transform(run)))
                size += run.history_bytes
                events += len(run.events)
                if size > _BATCH_BYTES or events > _BATCH_EVENTS:
                    self.write_queue()
                    self._load_long_source(own, runs, source)
                    return
        except Unreadable as error:
            self._refuse_source(source, error)
            return
        self._queue_runs(own, size, events)
        self.observer.on_file(source.name, events)

    def _queue_runs(self, own: list[tuple[str, Run]], size: int, events: int) -> None:
        self.waiting += own
        self.bytes += size
        self.events += events
        if self.bytes > _BATCH_BYTES or self.events > _BATCH_EVENTS:
            self.write_queue()

    def _load_long_source(self, begun: list[tuple[str, Run]], runs: Iterator[Run], source: HistorySource) -> None:
        """Load a file that is longer than a batch in one transaction over several batches."""
        counted = LoadReport()
        try:
            with self.store.open_writer() as writer:
                batch, size, events = begun, _BATCH_BYTES, 0
                while batch:
                    self._count_batch(counted, batch, writer.add_runs(batch, self.read_steps))
                    batch, size, events = [], 0, 0
                    for run in runs:
                        batch.append((source.name, self.transform(run)))
                        size += run.history_bytes
                        events += len(run.events)
                        if size > _BATCH_BYTES or events > _BATCH_EVENTS:
                            break
        except Unreadable as error:
            self._refuse_source(source, error)
            return
        self._merge_report(counted)
        self.observer.on_file(source.name, counted.events)

    def write_queue(self) -> None:
        """Write the collected runs in one transaction."""
        if not self.waiting:
            return
        counted = LoadReport()
        waiting, self.waiting, self.bytes, self.events = self.waiting, [], 0, 0
        with self.store.open_writer() as writer:
            self._count_batch(counted, waiting, writer.add_runs(waiting, self.read_steps))
        self._merge_report(counted)

    @staticmethod
    def _count_batch(report: LoadReport, batch: list[tuple[str, Run]], added: Sequence[AddedRun]) -> None:
        for (_, run), one in zip(batch, added, strict=True):
            report.outcomes[one.outcome] += 1
            report.events += len(run.events)
            report.run_keys.append(one.run_key)
            report.problems.update({problem.code for problem in run.problems} | set(one.problems))

    def _merge_report(self, counted: LoadReport) -> None:
        self.report.events += counted.events
        self.report.outcomes += counted.outcomes
        self.report.problems += counted.problems
        self.report.run_keys += counted.run_keys

    def _refuse_source(self, source: HistorySource, error: Unreadable) -> None:
        name, reason, hint = map(hide_url_secrets, (source.name, error.reason, error.hint))
        bad = BadFile(name, reason, hint, error.position, error.code.code)
        self.report.bad.append(bad)
        self.observer.on_bad(bad)
