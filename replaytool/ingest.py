"""From sources through formats into the store: batches for speed, whole files for safety, one line for what is bad."""

from __future__ import annotations

import gc
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import BinaryIO, cast

from replaytool.errors import ReplaytoolError
from replaytool.formats import HEAD_SIZE, Unreadable, detect_format
from replaytool.model.history import Run
from replaytool.sources import HistorySource
from replaytool.store import Store

_BATCH_BYTES = 70 * 1024 * 1024
_BATCH_EVENTS = 180_000
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BadFile:
    """A file that was not taken in, and what its owner can do about it."""

    name: str
    reason: str
    hint: str = ""
    position: str = ""


@dataclass
class Report:
    """What a load did."""

    files: int = 0
    events: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    problems: Counter[str] = field(default_factory=Counter)
    bad: list[BadFile] = field(default_factory=list)
    run_keys: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Observer:
    """What somebody who watches is told while it goes on."""

    on_file: Callable[[str, int], None] = lambda name, events: None
    on_bad: Callable[[BadFile], None] = lambda bad: None


Transform = Callable[[Run], Run]


def read(source: HistorySource) -> Iterator[Run]:
    """The runs of one source; raises Unreadable, also for what the system says about the file."""
    try:
        with source.open() as stream:
            head = stream.read(HEAD_SIZE)
            found = detect_format(head)
            _log.debug("%s is %s", source.name, found.name)
            content = BytesIO(head) if len(head) < HEAD_SIZE else cast(BinaryIO, _Rewound(head, stream))
            yield from found.read_runs(content, source.hints)
    except OSError as error:
        raise Unreadable(error.strerror or str(error), getattr(error, "hint", "check the file and its mode")) from error
    except (RecursionError, MemoryError) as error:
        raise Unreadable(
            f"{type(error).__name__} while reading it", "this is no history as engines write it"
        ) from error


class _Rewound:
    """A stream whose head was read to find its format, from the beginning again."""

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


def load(
    store: Store,
    sources: Iterable[HistorySource],
    observer: Observer | None = None,
    transform: Transform | None = None,
) -> Report:
    """Load every source. A file is in or it is out; a bad one is reported and the others go on."""
    loading = _Loading(store, observer or Observer(), transform or (lambda run: run))
    with _patient_collector():
        try:
            for source in sources:
                loading.take(source)
        finally:
            loading.flush()
    return loading.report


@contextmanager
def _patient_collector() -> Iterator[None]:
    """Events are made by the hundred thousand and hold no cycles: looking for some takes a sixth of the time."""
    usual = gc.get_threshold()
    gc.set_threshold(200_000, 20, 20)
    try:
        yield
    finally:
        gc.set_threshold(*usual)


class _Loading:
    """Whole files gathered until there are enough for one burst; a file longer than a burst is one by itself."""

    def __init__(self, store: Store, observer: Observer, transform: Transform) -> None:
        self.store = store
        self.observer = observer
        self.transform = transform
        self.report = Report()
        self.waiting: list[tuple[str, Run]] = []
        self.bytes = 0
        self.events = 0

    def take(self, source: HistorySource) -> None:
        """Read one source to its end, or not at all."""
        self.report.files += 1
        own: list[tuple[str, Run]] = []
        size = events = 0
        runs = read(source)
        try:
            for run in runs:
                own.append((source.name, self.transform(run)))
                size += run.history_bytes
                events += len(run.events)
                if size > _BATCH_BYTES or events > _BATCH_EVENTS:
                    self.flush()
                    self._take_long(own, runs, source)
                    return
        except Unreadable as error:
            self._refuse(source, error)
            return
        self._join(own, size, events)
        self.observer.on_file(source.name, events)

    def _join(self, own: list[tuple[str, Run]], size: int, events: int) -> None:
        self.waiting += own
        self.bytes += size
        self.events += events
        if self.bytes > _BATCH_BYTES or self.events > _BATCH_EVENTS:
            self.flush()

    def _take_long(self, begun: list[tuple[str, Run]], runs: Iterator[Run], source: HistorySource) -> None:
        """A file that does not fit in one batch is one transaction over several."""
        counted = Report()
        try:
            with self.store.open_writer() as writer:
                batch, size, events = begun, _BATCH_BYTES, 0
                while batch:
                    self._count(counted, batch, writer.add_runs(batch))
                    batch, size, events = [], 0, 0
                    for run in runs:
                        batch.append((source.name, self.transform(run)))
                        size += run.history_bytes
                        events += len(run.events)
                        if size > _BATCH_BYTES or events > _BATCH_EVENTS:
                            break
        except Unreadable as error:
            self._refuse(source, error)
            return
        self._merge(counted)
        self.observer.on_file(source.name, counted.events)

    def flush(self) -> None:
        """Write what has been gathered, in one transaction."""
        if not self.waiting:
            return
        counted = Report()
        waiting, self.waiting, self.bytes, self.events = self.waiting, [], 0, 0
        with self.store.open_writer() as writer:
            self._count(counted, waiting, writer.add_runs(waiting))
        self._merge(counted)

    @staticmethod
    def _count(report: Report, batch: list[tuple[str, Run]], added: list) -> None:  # type: ignore[type-arg]
        for (_, run), one in zip(batch, added, strict=True):
            report.outcomes[one.outcome] += 1
            report.events += len(run.events)
            report.run_keys.append(one.run_key)
            report.problems.update({problem.code for problem in run.problems})

    def _merge(self, counted: Report) -> None:
        self.report.events += counted.events
        self.report.outcomes += counted.outcomes
        self.report.problems += counted.problems
        self.report.run_keys += counted.run_keys

    def _refuse(self, source: HistorySource, error: Unreadable) -> None:
        bad = BadFile(source.name, error.reason, error.hint, error.position)
        self.report.bad.append(bad)
        self.observer.on_bad(bad)


def nothing_found(report: Report) -> ReplaytoolError | None:
    """The error for a load that met no file at all."""
    if report.files:
        return None
    return ReplaytoolError("nothing to load", "name files, folders, globs or object stores with histories in them")
