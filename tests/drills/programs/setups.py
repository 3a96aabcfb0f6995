"""How a program's worker is set up (converter, plugin, sandbox), and how its code lies in a project.

`setups:NAME` is a `replayer` function for every name of a set-up, such as `masked__timer__sandboxed__package`.
"""

# ruff: noqa: A002 - the SDK calls it so
from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter, PayloadCodec
from temporalio.plugin import SimplePlugin
from temporalio.worker import (
    ExecuteWorkflowInput,
    Interceptor,
    StartActivityInput,
    UnsandboxedWorkflowRunner,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
    WorkflowRunner,
)
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from temporalio.workflow import ActivityHandle, sleep

PASSED = SandboxRestrictions.default.with_passthrough_modules("tests.drills.programs")


class Zipped(PayloadCodec):
    """Compresses payloads."""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [
            Payload(metadata={"encoding": b"binary/zipped"}, data=zlib.compress(one.SerializeToString()))
            for one in payloads
        ]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [
            Payload.FromString(zlib.decompress(one.data)) if one.metadata["encoding"] == b"binary/zipped" else one
            for one in payloads
        ]


class Masked(PayloadCodec):
    """Stands for encryption: the same payload has the same bytes again."""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [
            Payload(metadata={"encoding": b"binary/masked"}, data=bytes(byte ^ 90 for byte in one.SerializeToString()))
            for one in payloads
        ]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [
            Payload.FromString(bytes(byte ^ 90 for byte in one.data))
            if one.metadata["encoding"] == b"binary/masked"
            else one
            for one in payloads
        ]


class _TimerFirst(WorkflowInboundInterceptor):
    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
        await sleep(0.01)
        return await super().execute_workflow(input)


class _HeadersOut(WorkflowOutboundInterceptor):
    def start_activity(self, input: StartActivityInput) -> ActivityHandle[Any]:
        return super().start_activity(replace(input, headers={**input.headers, "trace": Payload(data=b"t")}))


class _HeadersIn(WorkflowInboundInterceptor):
    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        super().init(_HeadersOut(outbound))


class _WorkflowInterceptor(Interceptor):
    def __init__(self, inbound: type[WorkflowInboundInterceptor]) -> None:
        self._inbound = inbound

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor] | None:
        return self._inbound


CONVERTERS: dict[str, DataConverter] = {
    "plain": DataConverter.default,
    "zipped": replace(DataConverter.default, payload_codec=Zipped()),
    "masked": replace(DataConverter.default, payload_codec=Masked()),
    "pydantic": pydantic_data_converter,
}
PLUGINS: dict[str, Callable[[], list[SimplePlugin]]] = {
    "none": list,
    "timer": lambda: [SimplePlugin("timer", interceptors=[_WorkflowInterceptor(_TimerFirst)])],
    "headers": lambda: [SimplePlugin("headers", interceptors=[_WorkflowInterceptor(_HeadersIn)])],
    "runner": lambda: [SimplePlugin("runner", workflow_runner=UnsandboxedWorkflowRunner())],
    "zipping": lambda: [SimplePlugin("zipping", data_converter=CONVERTERS["zipped"])],
    "two": lambda: [*PLUGINS["headers"](), *PLUGINS["timer"]()],
}
SANDBOXES = ("sandboxed", "bare")
FORMS = ("file", "package", "src")


@dataclass(frozen=True)
class Setup:
    """One combination."""

    converter: str = "plain"
    plugin: str = "none"
    sandbox: str = "bare"
    form: str = "file"

    @property
    def name(self) -> str:
        return "__".join((self.converter, self.plugin, self.sandbox, self.form))

    def make_runner(self) -> WorkflowRunner:
        """The runner of a worker and of the SDK's replayer."""
        if self.sandbox == "bare":
            return UnsandboxedWorkflowRunner()
        return SandboxedWorkflowRunner(restrictions=PASSED)

    def make_settings(self) -> dict[str, Any]:
        """Keyword arguments of the SDK's Replayer, made anew."""
        return {
            "data_converter": CONVERTERS[self.converter],
            "plugins": PLUGINS[self.plugin](),
            "workflow_runner": self.make_runner(),
        }


def choose_setup(chance: random.Random) -> Setup:
    """Any combination."""
    return Setup(
        chance.choice(tuple(CONVERTERS)), chance.choice(tuple(PLUGINS)), chance.choice(SANDBOXES), chance.choice(FORMS)
    )


def change_setup(setup: Setup, chance: random.Random) -> Setup:
    """The same with one part changed."""
    other = choose_setup(chance)
    return replace(setup, **chance.choice([{one: getattr(other, one)} for one in ("converter", "plugin", "sandbox")]))


def place_code(source: str, form: str, folder: Path, name: str) -> tuple[str, Path]:
    """Write a program in an install form; what `--workflows` names it, and the folder to name it in."""
    if form == "file":
        (folder / f"{name}.py").write_text(source)
        return f"{name}.py", folder
    root = folder / "src" if form == "src" else folder
    package = root / name
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "flow.py").write_text(source.replace("from tests.drills.programs.steps", "from .parts"))
    (package / "parts.py").write_text("from tests.drills.programs.steps import fail_once as fail_once\n")
    return str(package.relative_to(folder) / "flow.py"), folder


def __getattr__(name: str) -> Callable[[], dict[str, Any]]:
    if name.count("__") == 3 and not name.startswith("_"):
        return Setup(*name.split("__")).make_settings
    raise AttributeError(name)
