"""`replaytool debug`: step through a run, forwards and backwards."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from glob import iglob
from typing import TYPE_CHECKING, Any

import click

from replaytool.cli import open_session
from replaytool.cli.shared import options
from replaytool.errors import FINDINGS, ErrorCode, ReplaytoolError
from replaytool.render import debug as telling
from replaytool.render.tables import encode_json_line as json_line
from replaytool.text import escape_controls

if TYPE_CHECKING:
    from replaytool.debug.time_travel import TimeTravel
    from replaytool.model.debug_state import ReplayProgress
    from replaytool.session import CodeMap, Session

_NO_CODE = "add --workflows MODULE-OR-PATH, --code BUILD=MODULE-OR-PATH or --git"


@dataclass(frozen=True, slots=True)
class _DebugRequest:
    """What the user asked to be printed."""

    at: int | None
    watch: Sequence[str]
    find: str | None
    blame: str | None

    @property
    def needs_code(self) -> bool:
        """Whether only workflow code can answer it."""
        return bool(self.watch or self.find or self.blame)


@click.command
@click.argument("targets", metavar="[RUN] [SOURCE]…", nargs=-1, required=True)
@click.option("--at", type=int, metavar="EVENT", help="Start at this event; with --no-tui, print the state after it.")
@click.option("-w", "--workflows", multiple=True, metavar="CODE", help="One code for all builds. Repeatable.")
@click.option("--code", "builds", multiple=True, metavar="BUILD=CODE", help="The code of one build. Repeatable.")
@click.option("--git", is_flag=True, help="Build IDs are commits or refs of the repository of --workflows.")
@click.option(
    "--git-ref", default="", metavar="PATTERN", help="How to make a ref of a build ID: release-{build}, or a regex."
)
@click.option("--watch", multiple=True, metavar="EXPR", help="Print an expression where its value changes. Repeatable.")
@click.option("--find", metavar="EXPR", help="Print the first step where an expression is true; exit with 1 if none.")
@click.option("--blame", metavar="PATH", help="Print the event, build and line that last changed a value.")
@click.option(
    "--break",
    "breaks",
    multiple=True,
    metavar="SPEC",
    help="Set a breakpoint on the screen, such as failure or @charge_card. Repeatable.",
)
@click.option("--no-tui", is_flag=True, help="Print instead of opening the screen.")
@click.option("--pdb", is_flag=True, help="Stop in pdb in the workflow code, before the task of --at runs.")
@click.option(
    "--replayer", metavar="MODULE:FUNCTION", help="Function that returns keyword arguments for the SDK's Replayer."
)
@options.decoding_options
@options.as_json
@options.store
@click.pass_context
def command(
    ctx: click.Context,
    /,
    targets: tuple[str, ...],
    at: int | None,
    watch: tuple[str, ...],
    find: str | None,
    blame: str | None,
    breaks: tuple[str, ...],
    no_tui: bool,
    pdb: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Step through a run, forwards and backwards.

    The command shows each event, what the run waits for, and which build ran it. With workflow code it also shows the
    workflow's state and variables at each event. Name the code of each build with --code or --git, or in the
    configuration. Expressions can use `self`, its attributes and the main coroutine's variables by name, `event` and
    `task`. With --no-tui, --json, --watch, --find or --blame the command prints; without them it opens the screen. RUN
    is a run key, a workflow ID, a run ID, or the start of one.

    \b
    Examples:
      replaytool debug order-17
      replaytool debug order-17 --at 11 --no-tui
      replaytool debug order-17 --code v1=old/wf.py --code v2=wf.py --find "points == 0 and trips"
      replaytool debug order-17 --workflows app/wf.py --git --blame points
    """
    named_store = given["store"] or ctx.obj["store"]
    work = open_session(ctx, **{name: given.pop(name) for name in _SETTINGS})
    work, run = _choose_run(work, targets, () if named_store else [one for one in targets if _is_source(work, one)])
    code = _find_code_map(work, **given)
    asked = _DebugRequest(at, watch, find, blame)
    if pdb:
        _start_pdb(work, run, code, asked)
    elif no_tui or as_json or asked.needs_code:
        if breaks:
            raise ReplaytoolError(
                "--break works on the screen only",
                "use --find EXPR to search and print",
                code=ErrorCode.USAGE_COMBINATION,
            )
        ctx.exit(_print_answers(work, run, code, asked, as_json=as_json))
    else:
        from replaytool.tui import launch

        launch.launch_tui(work, run, at, code, breaks)


def _is_source(work: Session, text: str) -> bool:
    """Return whether an argument names a place. A folder that is called like a run of the store is not meant."""
    if text == "-" or "://" in text:
        return True
    if not (os.path.exists(text) or any(iglob(text, recursive=True))):
        return False
    if os.sep not in text and "." not in text and work.settings.store.is_file():
        with suppress(ReplaytoolError):
            work.find_run(text)
            return False
    return True


def _choose_run(work: Session, targets: Sequence[str], sources: Sequence[str]) -> tuple[Session, str]:
    """Return the session that has the run, and the name of the run."""
    names = [one for one in targets if one not in sources]
    if len(names) > 1:
        raise ReplaytoolError(
            f"{escape_controls(names[1])!r} is no file and no folder, and one run is named already",
            "write one RUN, and the files that hold it",
            code=ErrorCode.USAGE_VALUE,
        )
    if sources:
        with options.show_load_progress("reading") as observer:
            work = work.open_sources(sources, observer)
    return work, work.find_run(names[0] if names else "").run_key


_SETTINGS = ("store", "converter", "codec_endpoint", "codec_auth", "replayer")


def _find_code_map(
    work: Session, *, workflows: tuple[str, ...], builds: tuple[str, ...], git: bool, git_ref: str
) -> CodeMap | None:
    return work.find_code_map(workflows, options.parse_build_codes(builds), git=git, git_ref=git_ref)


def _start_pdb(work: Session, run: str, code: CodeMap | None, asked: _DebugRequest) -> None:
    if code is None:
        raise ReplaytoolError("--pdb needs workflow code", _NO_CODE, code=ErrorCode.CODE_NOT_NAMED)
    if asked.at is None or asked.needs_code:
        raise ReplaytoolError(
            "--pdb stops at one event",
            "give --at EVENT and no --watch, --find or --blame",
            code=ErrorCode.USAGE_COMBINATION,
        )
    options.print_note(f"replaytool: {work.start_pdb(run, code, asked.at)}")


def _print_answers(work: Session, run: str, code: CodeMap | None, asked: _DebugRequest, *, as_json: bool) -> int:
    if code is None:
        if asked.needs_code:
            raise ReplaytoolError("expressions need workflow code", _NO_CODE, code=ErrorCode.CODE_NOT_NAMED)
        return _collect_answers(work, run, None, asked, as_json=as_json)
    with _show_replay_progress() as progress, work.open_walk(run, code, progress) as walk:
        return _collect_answers(work, run, walk, asked, as_json=as_json)


def _collect_answers(work: Session, run: str, walk: TimeTravel | None, asked: _DebugRequest, *, as_json: bool) -> int:
    lines: list[str] = []
    whole: dict[str, Any] = {}
    answers = [_describe_event(work, run, walk, asked)] if asked.at is not None or not asked.needs_code else []
    if walk is not None:
        answers += [*_answer_searches(walk, asked), *_answer_watches(walk, asked)]
    status = 0
    for answer in answers:
        lines += answer.lines
        for key, value in answer.plain.items():
            whole[key] = whole[key] + value if key == "watch" and key in whole else value
        status = status or answer.status
    if as_json:
        click.echo(json_line(whole).decode())
    else:
        for line in lines:
            click.echo(escape_controls(line))
    return status


@dataclass(frozen=True, slots=True)
class _DebugAnswer:
    lines: list[str]
    plain: dict[str, object]
    status: int = 0


def _describe_event(work: Session, run: str, walk: TimeTravel | None, asked: _DebugRequest) -> _DebugAnswer:

    row, events = work.read_history(run)
    line = work.event_reader(row.engine).read_timeline(events)
    state = line.state_at(line.last_event_id if asked.at is None else asked.at)
    lines = list(telling.format_recorded_state(row, state))
    plain = {"run_key": row.run_key, **state.to_json()}
    if walk is None:
        return _DebugAnswer([*lines, "no workflow code given: this is the recorded state only"], {"at": plain})
    moment, parts = walk.state_at(state.event_id), walk.find_build_changes()
    lines += telling.format_replayed_state(walk.code_summary, moment, parts)
    plain |= telling.moment_to_json(walk.code_summary, moment)
    status = FINDINGS if moment.trouble is not None and moment.trouble.kind != "no code" else 0
    return _DebugAnswer(
        lines, {"at": plain, "parts": [telling.state_difference_to_json(part) for part in parts]}, status
    )


def _answer_searches(walk: TimeTravel, asked: _DebugRequest) -> Iterator[_DebugAnswer]:
    """Answer --find and --blame. Blame starts where --find stopped, unless --at says otherwise."""
    seen_from = asked.at
    if asked.find:
        found = walk.find_first_holding(asked.find)
        seen_from = seen_from if seen_from is not None else found.event_id
        status = FINDINGS if found.event_id is None else 0
        yield _DebugAnswer(list(telling.format_search_answer(found)), {"find": telling.answer_to_json(found)}, status)
    if asked.blame:
        blamed = walk.blame_value(asked.blame, seen_from)
        status = FINDINGS if blamed.event_id is None else 0
        yield _DebugAnswer(list(telling.format_blame_answer(blamed)), {"blame": telling.answer_to_json(blamed)}, status)


def _answer_watches(walk: TimeTravel, asked: _DebugRequest) -> Iterator[_DebugAnswer]:
    for expression in asked.watch:
        answer = walk.watch_expression(expression)
        status = FINDINGS if answer.trouble is not None and not answer.steps else 0
        yield _DebugAnswer(list(telling.format_watch_answer(answer)), {"watch": telling.watch_to_json(answer)}, status)


@contextmanager
def _show_replay_progress() -> Iterator[Callable[[ReplayProgress], None]]:
    """Show a progress bar on a terminal for each code that is replayed."""
    from rich.console import Console
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    console = Console(stderr=True)
    with Bars(console=console, transient=True, disable=not console.is_terminal) as bars:
        tasks: dict[str, TaskID] = {}

        def update_bar(progress: ReplayProgress) -> None:
            label = escape_controls(progress.code)
            if label not in tasks:
                tasks[label] = bars.add_task(label, total=progress.of)
            bars.update(tasks[label], completed=progress.events)

        yield update_bar
