"""`replaytool demo --server`: recover corrupted workflows on a real dev server with a reset plan."""

from __future__ import annotations

import asyncio
import functools
import shlex
import sys
from pathlib import Path

import click

from replaytool.cli.demo.narration import print_command, print_heading, print_paragraph
from replaytool.engines.temporal.server import demo_riders as riders
from replaytool.errors import FAULT, ErrorCode, ReplaytoolError
from replaytool.render.tables import format_table


def recover_riders(place: Path) -> None:
    """Run the whole recovery and explain each step."""
    asyncio.run(_recover_with_server(place, riders.find_temporal_executable()))


async def _recover_with_server(place: Path, temporal: str) -> None:
    print_heading(1, "Start a server")
    async with riders.start_dev_server(temporal) as (address, client):
        click.echo(f"A Temporal dev server runs in memory at {address}.")
        print_heading(2, "Run v1, then v2")
        print_paragraph(
            "Riders send trips. v1 scores them correctly; v2, deployed after it, sets the points to 0 each time. "
            "rider-03 sends none to v2: its state is right, and it must not be reset."
        )
        for build in ("v1", "v2"):
            async with riders.run_build_worker(client, place, build):
                await riders.send_trips(client, build)
                click.echo(f"\nworker of {build}:\n" + _format_standings(await riders.list_standings(client)), nl=False)
        print_heading(3, "Pull the histories and plan the resets")
        await _run_child_command(place, f"pull --address {address}")
        await _run_child_command(
            place, f"reset plan --build v2 --workflows code/v3.py --address {address} -o plan.json"
        )
        print_heading(4, "Apply the plan while v3 runs")
        print_paragraph("One rider is reset first, as a canary. The others follow once v3 has completed its next task.")
        async with riders.run_build_worker(client, place, "v3"):
            await _run_child_command(place, f"reset apply plan.json --address {address} --canary 1 --allow v3 --yes")
            for rider in riders.RIDERS:
                await riders.wait_until_true(
                    functools.partial(riders.has_right_points, client, rider), f"the right points of {rider}"
                )
            click.echo("\nworker of v3:\n" + _format_standings(await riders.list_standings(client)), nl=False)
            print_heading(5, "Verify")
            await _run_child_command(place, f"reset verify plan.json --address {address} --workflows code/v3.py")
            await _run_child_command(place, f"pull --address {address}")


def _format_standings(rows: list[tuple[str, list[int], int, int]]) -> str:
    return format_table(("rider", "trips", "points", "right"), rows)


async def _run_child_command(place: Path, line: str) -> None:
    """Run one command in a child process while the workers go on in this one."""
    print_command(line)
    sys.stdout.flush()
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "replaytool", *shlex.split(line), cwd=place)
    if code := await process.wait():
        raise ReplaytoolError(f"`replaytool {line}` exited with {code}", "", FAULT, code=ErrorCode.DEMO_STEP)
