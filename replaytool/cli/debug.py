"""`replaytool debug`: one run, at any of its events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from replaytool.cli import session
from replaytool.cli.shared import options
from replaytool.errors import FINDINGS, ReplaytoolError
from replaytool.render import debug as telling
from replaytool.render.tables import as_json as json_line
from replaytool.text import visible

if TYPE_CHECKING:
    from replaytool.debug.time_travel import TimeTravel
    from replaytool.model.debug_state import ReplayProgress
    from replaytool.session import CodeMap, Session

_NO_CODE = "give --workflows MODULE-OR-PATH, --code BUILD=MODULE-OR-PATH or --git"


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is to be printed."""

    at: int | None
    watch: Sequence[str]
    find: str | None
    blame: str | None

    @property
    def of_code(self) -> bool:
        """Whether only code can answer it."""
        return bool(self.watch or self.find or self.blame)


@click.command
@click.argument("run")
@click.option("--at", type=int, metavar="EVENT", help="Begin at this event; with --no-tui, the state just after it.")
@click.option("-w", "--workflows", multiple=True, metavar="CODE", help="The code for all builds. Repeatable.")
@click.option("--code", "builds", multiple=True, metavar="BUILD=CODE", help="The code that a build had. Repeatable.")
@click.option("--git", is_flag=True, help="Build ids are commits or refs of the repository that --workflows is in.")
@click.option(
    "--git-ref", default="", metavar="PATTERN", help="How a build id leads to a ref: release-{build}, or an expression."
)
@click.option("--watch", multiple=True, metavar="EXPR", help="Print an expression at every step. Repeatable.")
@click.option("--find", metavar="EXPR", help="Print the first step where an expression holds; 1 if it never does.")
@click.option("--blame", metavar="PATH", help="Print the event, build and line that last changed a value.")
@click.option("--break", "breaks", multiple=True, metavar="SPEC", help="A breakpoint for the screen. Repeatable.")
@click.option("--no-tui", is_flag=True, help="Print instead of opening the screen.")
@click.option("--pdb", is_flag=True, help="Stop in pdb in the workflow's code, just before the task of --at runs.")
@click.option("--replayer", metavar="MODULE:FUNCTION", help="Returns keyword arguments for the SDK's Replayer.")
@options.decoding
@options.as_json
@options.store
@click.pass_context
def command(
    ctx: click.Context,
    /,
    run: str,
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
    """Walk through a run, forwards and backwards.

    Shows what each event says, what the run waited for, and which build ran it; and with code, the state and the
    variables of the workflow at each event. Each build's tasks are replayed with the code that build had, where
    --code, --git or the configuration says which. Expressions see `self`, its attributes and the main variables as
    bare names, `event` and `task`. With --no-tui, --json, --watch, --find or --blame it prints instead of opening the
    screen. RUN is a run key, a workflow id, a run id, or the beginning of one.

    \b
    Examples:
      replaytool debug order-17
      replaytool debug order-17 --at 11 --no-tui
      replaytool debug order-17 --code v1=old/wf.py --code v2=wf.py --find "points == 0 and trips"
      replaytool debug order-17 --workflows app/wf.py --git --blame points
    """
    work = session(ctx, **{name: given.pop(name) for name in _SETTINGS})
    code = _code(work, **given)
    asked = _Asked(at, watch, find, blame)
    if pdb:
        _pdb(work, run, code, asked)
    elif no_tui or as_json or asked.of_code:
        if breaks:
            raise ReplaytoolError("--break is for the screen", "use --find EXPR to search and print")
        ctx.exit(_print(work, run, code, asked, as_json=as_json))
    else:
        from replaytool.tui import launch

        launch.launch_tui(work, work.find(run).run_key, at, code, breaks)


_SETTINGS = ("store", "converter", "codec_endpoint", "codec_auth", "replayer")


def _code(work: Session, *, workflows: tuple[str, ...], builds: tuple[str, ...], git: bool, git_ref: str) -> Any:
    named = {}
    for one in builds:
        build, _, place = one.partition("=")
        if not (build and place):
            raise ReplaytoolError(f"--code {one!r} names no build and its code", "write --code BUILD=MODULE-OR-PATH")
        named[build] = place
    return work.code_map(workflows, named, git=git, git_ref=git_ref)


def _pdb(work: Session, run: str, code: CodeMap | None, asked: _Asked) -> None:
    if code is None:
        raise ReplaytoolError("--pdb needs code to stop in", _NO_CODE)
    if asked.at is None or asked.of_code:
        raise ReplaytoolError("--pdb stops at one event", "give --at EVENT and no --watch, --find or --blame")
    options.say(f"replaytool: {work.pdb(run, code, asked.at)}")


def _print(work: Session, run: str, code: CodeMap | None, asked: _Asked, *, as_json: bool) -> int:
    if code is None:
        if asked.of_code:
            raise ReplaytoolError("an expression needs code to be evaluated in", _NO_CODE)
        return _answer(work, run, None, asked, as_json=as_json)
    with _progress() as progress, work.walk(run, code, progress) as walk:
        return _answer(work, run, walk, asked, as_json=as_json)


def _answer(work: Session, run: str, walk: TimeTravel | None, asked: _Asked, *, as_json: bool) -> int:
    lines: list[str] = []
    whole: dict[str, Any] = {}
    answers = [_at(work, run, walk, asked)] if asked.at is not None or not asked.of_code else []
    if walk is not None:
        answers += [*_found(walk, asked), *_watched(walk, asked)]
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
            click.echo(visible(line))
    return status


@dataclass(frozen=True, slots=True)
class _Answer:
    lines: list[str]
    plain: dict[str, Any]
    status: int = 0


def _at(work: Session, run: str, walk: TimeTravel | None, asked: _Asked) -> _Answer:
    from replaytool.debug import timeline
    from replaytool.engines.temporal.events import payloads

    row, events = work.history(run)
    line = timeline.read_timeline(events, payloads.build_payload_decoder(work.settings).make_readable)
    state = line.state_at(line.last_event_id if asked.at is None else asked.at)
    lines = list(telling.recorded(row, state))
    plain = {"run_key": row.run_key, **state.to_json()}
    if walk is None:
        return _Answer([*lines, "no code was named: the recorded side alone"], {"at": plain})
    moment, parts = walk.state_at(state.event_id), walk.find_build_changes()
    lines += telling.replayed(walk.code_summary, moment, parts)
    plain |= telling.moment_json(walk.code_summary, moment)
    status = FINDINGS if moment.trouble is not None and moment.trouble.kind != "no code" else 0
    return _Answer(lines, {"at": plain, "parts": [telling.part_json(part) for part in parts]}, status)


def _found(walk: TimeTravel, asked: _Asked) -> Iterator[_Answer]:
    """Blame is laid as seen from where the expression was found, if one was looked for."""
    seen_from = asked.at
    if asked.find:
        found = walk.find_first_holding(asked.find)
        seen_from = seen_from if seen_from is not None else found.event_id
        status = FINDINGS if found.event_id is None else 0
        yield _Answer(list(telling.found(found)), {"find": telling.answer_json(found)}, status)
    if asked.blame:
        blamed = walk.blame_value(asked.blame, seen_from)
        status = FINDINGS if blamed.event_id is None else 0
        yield _Answer(list(telling.blamed(blamed)), {"blame": telling.answer_json(blamed)}, status)


def _watched(walk: TimeTravel, asked: _Asked) -> Iterator[_Answer]:
    for expression in asked.watch:
        answer = walk.watch_expression(expression)
        status = FINDINGS if answer.trouble is not None and not answer.steps else 0
        yield _Answer(list(telling.watched(answer)), {"watch": telling.watch_json(answer)}, status)


@contextmanager
def _progress() -> Iterator[Any]:
    """How far the replays are, for a person who watches a terminal."""
    from rich.console import Console
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    with Bars(console=console, transient=True, disable=not console.is_terminal) as bars:
        tasks: dict[str, Any] = {}

        def tell(progress: ReplayProgress) -> None:
            label = visible(progress.code)
            if label not in tasks:
                tasks[label] = bars.add_task(label, total=progress.of)
            bars.update(tasks[label], completed=progress.events)

        yield tell
