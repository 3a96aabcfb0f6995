"""What the screens ask the session for, each question on a thread of its own: the loop that paints never waits."""

from __future__ import annotations

import asyncio
import shlex
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.model.history import Event
from replaytool.tui.debugger import source_pane
from replaytool.tui.debugger.breakpoints import Breakpoint, is_same_file
from replaytool.tui.screens import run_filter as filters
from replaytool.tui.styled_lines import Line, cell_text, line
from replaytool.tui.text import recorded as recorded_panes
from replaytool.tui.text import replayed as replayed_panes

if TYPE_CHECKING:
    import pyarrow as pa

    from replaytool.debug.compare_runs import AlignedPair
    from replaytool.debug.time_travel import TimeTravel
    from replaytool.model.debug_state import ReplayedState, ReplayProgress, StateDifference
    from replaytool.model.event_role import EventRole
    from replaytool.model.reset_plan import ResetPlan
    from replaytool.model.verdict import CheckReport, Verdict
    from replaytool.session import BuildRow, ChosenBuildRow, CodeMap, EventReader, ProblemRow, Session
    from replaytool.session.checks import CheckOverview
    from replaytool.session.resets import ApplyProgress, ApplyResult, Confirm, ResetRequest, ResetServer

Answer = TypeVar("Answer")
MOST_ROWS = 10_000
_CHUNK = 128
_LARGEST_SOURCE = 2_000_000


async def run_in_thread(question: Callable[..., Answer], *arguments: object) -> Answer:
    """The answer, found on a thread that nobody waits for when the program ends."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Answer] = loop.create_future()

    def set_answer(result: Answer | None, error: BaseException | None) -> None:
        if answer.cancelled():
            return
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(result)  # type: ignore[arg-type]

    def run_question() -> None:
        outcome: tuple[Answer | None, BaseException | None]
        try:
            outcome = (question(*arguments), None)
        except BaseException as error:  # whatever it is, it belongs to who asked
            outcome = (None, error)
        if not loop.is_closed():
            loop.call_soon_threadsafe(set_answer, *outcome)

    threading.Thread(target=run_question, daemon=True).start()
    return await answer


class TableRows:
    """A table as a list of rows, of which only those that are shown become Python values."""

    def __init__(self, table: pa.Table, *, cut: bool = False) -> None:
        self.names: list[str] = table.schema.names
        self.cut = cut
        """There was more than is worth showing."""
        self._table = table
        self._chunks: dict[int, list[dict[str, Any]]] = {}

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        number, place = divmod(index, _CHUNK)
        if number not in self._chunks:
            if len(self._chunks) > 64:
                self._chunks.clear()
            columns = self._table.slice(number * _CHUNK, _CHUNK).columns
            rows = zip(*(column.to_pylist() for column in columns), strict=True)
            self._chunks[number] = [dict(zip(self.names, row, strict=True)) for row in rows]
        return self._chunks[number][place]

    def column_values(self, name: str) -> list[Any]:
        """All values of one column."""
        values: list[Any] = self._table.column(name).to_pylist()
        return values


@dataclass(frozen=True, slots=True)
class OpenedRun:
    """One run, read."""

    row: dict[str, Any]
    events: Sequence[Event]
    reader: EventReader
    roles: Mapping[str, EventRole]
    """By event type."""


class SessionWorker:
    """The session's side of the screens; every method may take long and is called through `away`."""

    def __init__(self, session: Session) -> None:
        self.session = session
        # The settings that fence in a person's query are the database's and not the connection's: two at once would
        # find each other's lock on them.
        self._one_query = threading.Lock()

    def list_runs(self, text: str, sort: str, descending: bool) -> TableRows:
        """The runs that fit a filter line."""
        return self._read_rows(
            lambda: self.session.open_run_list(filters.parse_filter(text), sort, descending=descending), None
        )

    def run_sql(self, query: str) -> TableRows:
        """The first rows of a person's query."""
        return self._read_rows(lambda: self.session.run_sql(query, allow_files=False), MOST_ROWS)

    def _read_rows(
        self, open_query: Callable[[], AbstractContextManager[pa.RecordBatchReader]], most: int | None
    ) -> TableRows:
        import pyarrow as pa

        with self._one_query, open_query() as reader:
            batches, count = [], 0
            for batch in reader:
                batches.append(batch)
                count += batch.num_rows
                if most is not None and count > most:
                    break
            table = pa.Table.from_batches(batches, schema=reader.schema)
        return TableRows(table if most is None else table.slice(0, most), cut=most is not None and count > most)

    def list_builds(self) -> list[BuildRow]:
        """Who ran what, and when."""
        return self.session.list_builds()

    def list_causes(self) -> CheckOverview:
        """What the last checks found."""
        return self.session.checks.read_overview()

    def last_verdict(self, run_key: str) -> Verdict | None:
        """What the last check said about a run."""
        return self.session.checks.read_verdict(run_key)

    def check_runs(
        self, run_keys: Sequence[str], code: Sequence[str], seen: Callable[[str, Verdict], None], stop: threading.Event
    ) -> CheckReport:
        """Replay runs against code, in children."""
        return self.session.checks.run_check(run_keys, code, seen, stop)

    def list_reset_builds(self, run_keys: Sequence[str]) -> list[ChosenBuildRow]:
        """The builds that these runs can be taken back to before."""
        return self.session.resets.list_builds(run_keys)

    def plan_reset(self, wanted: ResetRequest) -> ResetPlan:
        """What a reset would do."""
        return self.session.resets.make_plan(wanted)

    def simulate_plan(
        self, wanted: ResetRequest, code: Sequence[str], seen: Callable[[str], None], stop: threading.Event
    ) -> ResetPlan:
        """The same, simulated in children."""
        return self.session.resets.simulate_plan(wanted, code, seen, stop)

    def write_plan(self, plan: ResetPlan, path: Path) -> None:
        """The plan as a file."""
        self.session.resets.write_plan(plan, path)

    def new_tally(self) -> ApplyProgress:
        """What an apply counts."""
        return self.session.resets.make_tally()

    def apply_plan(
        self,
        path: Path,
        plan: ResetPlan,
        target: ResetServer,
        confirm: Confirm,
        tally: ApplyProgress,
        stop: threading.Event,
    ) -> ApplyResult | None:
        """Reset what the plan says."""
        return self.session.resets.apply_plan(path, plan, target, confirm, tally, stop)

    def list_run_keys(self) -> list[str]:
        """All runs of the store."""
        return self.session.list_run_keys()

    def list_runs_of_build(self, build: str) -> list[str]:
        """The runs that a build took part in."""
        return self.list_runs(filters.format_filter_word("build", build), "started_at", False).column_values("run_key")

    def read_source(self, file: str) -> list[str]:
        """The lines of a file of code; none where it cannot be read."""
        path = Path(file)
        try:
            is_code = path.suffix == ".py" and path.is_file() and path.stat().st_size < _LARGEST_SOURCE
            return path.read_text(encoding="utf-8", errors="replace").splitlines() if is_code else []
        except OSError:
            return []

    def list_problems(self, run_key: str) -> list[ProblemRow]:
        """What is odd about a run."""
        return self.session.list_problems(run_key)

    def compare_runs(self, left: str, right: str) -> tuple[Any, Any, list[AlignedPair]]:
        """Two runs aligned."""
        return self.session.diff_runs(left, right)

    def open_run(self, run: str) -> OpenedRun:
        """A run with its events, which are not looked into yet."""
        row, events = self.session.read_history(run)
        if not events:
            raise ReplaytoolError(
                f"run {row.run_key} has no events", "load its history again", code=ErrorCode.STORE_RUN_EMPTY
            )
        reader = self.session.event_reader(row.engine)
        roles = {event_type: reader.classify_event(event_type) for event_type in {one.event_type for one in events}}
        return OpenedRun(row.values, events, reader, roles)

    def open_time_travel(self, run_key: str, code: CodeMap | str, tell: Callable[[ReplayProgress], None]) -> TimeTravel:
        """The replayed side of a run: children replay it, and answer questions."""
        named = self.parse_code_map(code) if isinstance(code, str) else code
        return self.session.open_walk(run_key, named, tell)

    def parse_code_map(self, text: str) -> CodeMap:
        """The code that a person named: modules and paths, BUILD=MODULE-OR-PATH, or --git."""
        try:
            words = shlex.split(text)
        except ValueError as error:
            raise ReplaytoolError(f"{text!r} cannot be read: {error}", "", code=ErrorCode.CODE_BUILD_FORM) from error
        builds = dict(word.split("=", 1) for word in words if "=" in word)
        workflows = [word for word in words if "=" not in word and word != "--git"]
        found = self.session.find_code_map(workflows, builds, git="--git" in words)
        if found is None:
            raise ReplaytoolError(
                "no workflow code given", "enter a module, a path, or BUILD=PATH", code=ErrorCode.CODE_NOT_NAMED
            )
        return found

    def read_moment(self, walk: TimeTravel, before: int, at: int) -> tuple[ReplayedState, StateDifference]:
        """The state at an event, and what has changed on the way there."""
        return walk.state_at(at), walk.difference_between(before, at)

    def read_code_lines(self, walk: TimeTravel, build: str | None, file: str) -> tuple[list[Line], Line]:
        """A file of the code for showing, or a word about why not."""
        found = walk.read_source(build, file)
        notice = replayed_panes.format_trouble(found.trouble) if found.trouble else line(("the file is empty", "dim"))
        return source_pane.highlight_python(found.text) if found.trouble is None else [], notice

    def find_line_stop(
        self, walk: TimeTravel, opened: OpenedRun, span: range, lines: Sequence[Breakpoint], halt: threading.Event
    ) -> int | None:
        """The first event of the span at which code waits, or asks for something, at one of these lines."""
        for index in span:
            if halt.is_set():
                return None
            event = opened.events[index]
            if not opened.roles[event.event_type].is_unseen:
                found = source_pane.find_code_positions(walk.state_at(event.event_id))
                if any(one.line == at and is_same_file(one.file, file) for one in lines for file, at, _ in found):
                    return index
        return None

    def format_event(self, opened: OpenedRun, event: Event) -> list[Line]:
        """Return the lines of an event with decoded values."""
        return recorded_panes.format_event(*opened.reader.split_event(opened.reader.decode_event(event)))

    def preview_events(self, opened: OpenedRun, events: Sequence[Event]) -> dict[int, str]:
        """Return what each event carried, on one line, by event ID."""
        return {key: _preview_values(found) for key, found in opened.reader.read_carried_values(events).items()}

    def search_events(self, opened: OpenedRun, names: Sequence[str], wanted: str) -> list[int]:
        """Return the indexes of events with this text in their type, name, build ID or values."""
        wanted = wanted.lower()
        return [
            index
            for index, (event, name, whole) in enumerate(
                zip(opened.events, names, opened.reader.decode_events(opened.events), strict=True)
            )
            if wanted in f"{event.event_type} {name} {event.build_id or ''}".lower()
            or wanted in _searchable_text(whole)
        ]


def _preview_values(found: str | Sequence[object]) -> str:
    if isinstance(found, str):
        return cell_text(found, 120)
    return ", ".join(_quote_text(one) for one in found[:9])[:400]


def _quote_text(value: object) -> str:
    return f'"{cell_text(value, 118)}"' if isinstance(value, str) else cell_text(value, 120) or "null"


def _searchable_text(value: object) -> str:
    return msgspec.json.encode(value, enc_hook=str).decode("utf-8", "replace").lower()
