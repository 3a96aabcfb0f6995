"""The shorter ways come to the same as the SDK's own: values both ways, errors, and the order in which code runs."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import enum
from typing import Any

import pytest
from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.converter import DataConverter, DefaultPayloadConverter
from temporalio.worker import UnsandboxedWorkflowRunner, _workflow_instance

from replaytool.engines.temporal.sdk import fast_paths as lean
from replaytool.engines.temporal.sdk.workflow_instance import make_instance_factory
from tests.engines.temporal.oracle import Bench


class Color(enum.IntEnum):
    RED = 1


@dataclasses.dataclass
class Trip:
    miles: int


VALUES: list[Any] = [
    None, True, 0, -1, 2**70, 1.5, float("inf"), float("nan"), "", "ü\ud800", "a\"b", b"bytes", [], {}, [None, [1, {}]],
    {"b": 1, "a": [Trip(3)]}, {1: "x", 2: "y"}, (1, 2), {3}, Trip(1), Color.RED, [Color.RED], {"k": Color.RED},
    datetime.datetime(2026, 1, 2), {"at": datetime.datetime(2026, 1, 2)}, RawValue(Payload(data=b"raw")),
    {"z": {"y": {"x": 0}}}, object(), {"o": object()}, {"b": 1, 2: 3}, Payload(data=b"x"),
]  # fmt: skip


def pair() -> tuple[Any, Any]:
    worker = Bench([_Any]).worker()
    return DataConverter.default._new_payload_converter(), worker.worker._data_converter._new_payload_converter()


def outcome(call: Any, *args: Any) -> Any:
    try:
        return "made", repr(call(*args))
    except Exception as error:
        return type(error), str(error), repr(error.__cause__)


def test_values_become_the_same_payloads() -> None:
    theirs, ours = pair()
    assert type(ours) is not type(theirs)
    for value in VALUES:
        for values in ([value], [value, 1], [None, value], ()):
            assert outcome(ours.to_payloads, values) == outcome(theirs.to_payloads, values), value


@pytest.mark.parametrize("hints", [None, [int], [str], [Trip], [Any], [RawValue], [int, str]])
@pytest.mark.parametrize("encoding", [b"json/plain", b"binary/null", b"binary/plain", b"json/protobuf", b"odd", None])
def test_payloads_become_the_same_values(encoding: bytes | None, hints: Any) -> None:
    theirs, ours = pair()
    metadata = {} if encoding is None else {"encoding": encoding}
    for data in (b"", b"1", b'"text"', b'{"miles": 2}', b"[1, null]", b"{", b"\xff", b"NaN", '"ü"'.encode("utf-16")):
        payload = Payload(metadata=metadata, data=data)
        for payloads in ([payload], [payload, payload], []):
            assert outcome(ours.from_payloads, payloads, hints) == outcome(theirs.from_payloads, payloads, hints)


def test_a_converter_of_ones_own_is_left_alone() -> None:
    class Own(DefaultPayloadConverter):
        pass

    converter = DataConverter(payload_converter_class=Own)
    settings = Bench([_Any], converter).settings(UnsandboxedWorkflowRunner())
    worker = make_instance_factory(settings)
    lean.use_fast_converter(worker.worker)
    assert worker.worker._data_converter is converter


@pytest.mark.skipif(not lean._KNOWN, reason="this release of the SDK waits in another way")
def test_a_wait_takes_as_many_turns_and_is_cancelled_in_the_same_way() -> None:
    async def scene(wait: Any) -> list[str]:
        said: list[str] = []
        loop = asyncio.get_running_loop()

        async def tick() -> None:
            for number in range(6):
                said.append(f"tick {number}")
                await asyncio.sleep(0)

        async def one(name: str, future: asyncio.Future[Any]) -> None:
            try:
                said.append(f"{name} {await wait(future)}")
            except BaseException as error:
                said.append(f"{name} {type(error).__name__} {future.done()}")

        early, late, broken, dropped = (loop.create_future() for _ in range(4))
        early.set_result(1)
        tasks = [loop.create_task(one(*pair)) for pair in [("e", early), ("l", late), ("b", broken), ("d", dropped)]]
        ticking = loop.create_task(tick())
        await asyncio.sleep(0)
        late.set_result(2)
        broken.set_exception(ValueError("no"))
        tasks[3].cancel()
        await asyncio.gather(ticking, *tasks)
        return said

    theirs = asyncio.run(scene(_workflow_instance._shield_await))
    with lean.use_fast_awaits():
        assert _workflow_instance._shield_await is lean._await_future_directly
        ours = asyncio.run(scene(_workflow_instance._shield_await))
    assert ours == theirs
    assert _workflow_instance._shield_await is not lean._await_future_directly


@workflow.defn
class _Any:
    @workflow.run
    async def run(self) -> None:
        """Nothing."""
