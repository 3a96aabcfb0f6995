"""`replaytool init`: write the configuration of a project, take its first histories, and check them."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from replaytool import __version__
from replaytool.cli.pull import server_options
from replaytool.cli.shared import code_options as code
from replaytool.cli.shared import options
from replaytool.cli.shared import report_output as reports
from replaytool.errors import CLEAN, ErrorCode, ReplaytoolError
from replaytool.text import count_noun, escape_controls

if TYPE_CHECKING:
    from replaytool.project.find_setup import ProjectSetup

_FOLDER = "histories/"


@click.command
@click.argument("sources", metavar="[SOURCE]…", nargs=-1)
@click.option("--ci", type=click.Choice(["github", "gitlab"]), help="Also write a file for this CI service.")
@click.option(
    "--limit", type=click.IntRange(1), default=20, show_default=True, help="With --address: pull so many runs."
)
@click.option("-q", "--query", metavar="QUERY", default="", help="With --address: only runs that this query finds.")
@server_options
@click.pass_context
def command(
    ctx: click.Context, /, sources: tuple[str, ...], ci: str | None, limit: int, query: str, **server: Any
) -> None:
    """Set up a project: write [tool.replaytool], take first histories, run the first check, say what to commit.

    The command reads the project as text, and finds workflows, converter, plugins and interceptors as its workers and
    clients use them. SOURCE is a file or folder with histories: those outside of the project are copied into
    histories/. With --address, it pulls histories from a server. It never overwrites a file or a table.

    \b
    Examples:
      replaytool init
      replaytool init ~/Downloads/order-17.json --ci github
      replaytool init --address localhost:7233 --limit 50
    """
    from replaytool.config import find_project_file
    from replaytool.engines import open_project
    from replaytool.project.find_setup import find_setup
    from replaytool.project.write_files import append_settings, format_settings, has_settings, write_ci_file

    file = find_project_file(Path.cwd()) or Path.cwd() / "pyproject.toml"
    folder = file.parent
    setup = find_setup(open_project(folder))
    is_new = not has_settings(file)
    if is_new and not setup.workflows:
        raise ReplaytoolError(
            f"no workflow found in {folder}",
            "run `replaytool init` in the project's folder",
            code=ErrorCode.CODE_NO_WORKFLOW,
        )
    places = _gather_histories(folder, sources, query, limit, server)
    made = [name for name in places if "://" not in name and (folder / name).exists()]
    if is_new:
        table = format_settings(setup, places)
        append_settings(file, table)
        click.echo(f"{os.path.relpath(file)}: wrote\n\n{escape_controls(table, keep=chr(10))}")
        _print_left_setup(setup)
    else:
        click.echo(f"{os.path.relpath(file)}: has [tool.replaytool]; left as it is")
    made.insert(0, file.name)
    if ci is not None:
        written, is_written = write_ci_file(folder, ci, f"replaytool=={__version__}")
        click.echo(f"{os.path.relpath(written)}: {'wrote' if is_written else 'exists; left as it is'}")
        made.append(os.path.relpath(written, folder))
        if written.parent.name == ".gitlab":
            click.echo(f"add to .gitlab-ci.yml: include: {{local: {os.path.relpath(written, folder)}}}")
    ctx.exit(_run_first_check(ctx, made))


def _gather_histories(
    folder: Path, sources: Sequence[str], query: str, limit: int, server: dict[str, Any]
) -> tuple[str, ...]:
    """Return where the project's histories are; copy or pull them first if they are elsewhere."""
    from replaytool.project.find_histories import find_history_folders

    root = folder.resolve()
    inside = [one for one in sources if "://" in one or Path(one).resolve().is_relative_to(root)]
    outside = [one for one in sources if one not in inside]
    places = [one if "://" in one else os.path.relpath(one, folder) for one in inside]
    if outside or server["address"]:
        _copy_histories(outside, folder / _FOLDER, query, limit, server)
        places.append(_FOLDER)
    return tuple(dict.fromkeys(places)) or find_history_folders(root) or (_FOLDER,)


def _copy_histories(outside: list[str], folder: Path, query: str, limit: int, server: dict[str, Any]) -> None:
    from replaytool.config import Settings
    from replaytool.model.pull_options import PullOptions, PullProgress
    from replaytool.model.server_options import ServerOptions
    from replaytool.session import Session

    with options.show_load_progress("reading") as observer:
        work = Session(Settings(store=Path(os.devnull)))
        wanted = PullOptions(server=ServerOptions(**server), query=query, limit=limit) if server["address"] else None
        copied, loaded = work.corpora.copy_histories(outside, wanted, str(folder), observer, PullProgress())
    for bad in loaded.bad:
        options.print_note(options.format_bad_file(bad))
    click.echo(f"{os.path.relpath(folder)}/: {count_noun(copied, 'run')} copied")


def _print_left_setup(setup: ProjectSetup) -> None:
    if setup.left:
        click.echo("Not written, because no name stands for it:")
        for one in setup.left:
            click.echo(f"  {escape_controls(one)}")
        click.echo("  give it a name at the top of a module, or name a function with `replayer`: docs/first-hour.md\n")


def _run_first_check(ctx: click.Context, made: Sequence[str]) -> int:
    """Check the configured histories, and print what to do next."""
    given: dict[str, Any] = {"workflows": (), "jobs": 0, "timeout": 60.0, "memory": 1024}
    work = code.open_code_session(ctx, replayer=None, converter=None)
    plan = code.require_replay_plan(work.settings, **given)
    status = CLEAN
    try:
        with code.show_key_progress("checking") as (observer, progress):
            report, _ = work.check_runs(
                work.settings.histories,
                code.make_run_filter(None, None),
                plan,
                observer,
                lambda key, _: progress(key),
            )
    except ReplaytoolError as error:
        if error.code not in (ErrorCode.SOURCE_EMPTY, ErrorCode.SOURCE_MISSING, ErrorCode.STORE_MISSING):
            raise
        click.echo("There are no histories yet. Take some of each workflow type:")
        click.echo("  replaytool init --address HOST:PORT")
        click.echo(f"  temporal workflow show -w WORKFLOW_ID -o json > {_FOLDER}WORKFLOW_ID.json")
    else:
        reports.publish_report(report, [("text", None)])
        status = reports.choose_exit_status(report).code
    click.echo(f"\nNext:\n  git add {' '.join(map(shlex.quote, made))}\n  replaytool check")
    click.echo("Histories hold what the runs were given: `replaytool scrub` replaces user data before you commit them.")
    return status
