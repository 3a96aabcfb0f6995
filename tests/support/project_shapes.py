"""Eight shapes of projects that people have, with a worker each, and the edit that breaks a recorded run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tests.support.paths import FIXTURES

ORDER = (FIXTURES / "activities_in_sequence" / "workflow.py").read_text()
REMINDER = (FIXTURES / "timers" / "workflow.py").read_text()
_HEAD, _CLASS = ORDER.index("@activity.defn"), ORDER.index("@workflow.defn")
STEPS = ORDER[ORDER.index('"""\n') + 4 : _CLASS].replace("activity, workflow", "activity").strip() + "\n"
_RUN = ORDER[_CLASS:]
_FLOW = """\
from datetime import timedelta

from temporalio import workflow

from {steps} import charge_card, reserve_stock, send_parcel

SHORT = timedelta(seconds=10)


"""
WORKER = """\
import asyncio
{imports}
from temporalio.client import Client
from temporalio.worker import Worker

QUEUE = "{queue}"


async def main() -> None:
    client = await Client.connect("localhost:7233"{client})
    async with Worker(client, task_queue=QUEUE, workflows=[{flow}], activities=[]{worker}):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
"""
AUDIT = """\
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.worker import Interceptor, WorkflowInboundInterceptor


class Reserving(WorkflowInboundInterceptor):
    async def execute_workflow(self, input: Any) -> Any:
        first = await workflow.execute_activity(
            "reserve_stock", input.args[0], start_to_close_timeout=timedelta(seconds=10)
        )
        return [first, *await super().execute_workflow(input)]


class StockInterceptor(Interceptor):
    def workflow_interceptor_class(self, input: Any) -> Any:
        return Reserving
"""
PROJECT = '[project]\nname = "shop"\nversion = "1"\n'
CHARGE = "charge_card, cents"


def make_flow(steps: str) -> str:
    """The order workflow in a file of its own, with its activities from another one."""
    return _FLOW.format(steps=steps) + _RUN


def make_worker(module: str, flow: str, queue: str, *, client: str = "", worker: str = "", more: str = "") -> str:
    """A worker's script."""
    imports = f"from {module} import {flow}\n{more}"
    return WORKER.format(imports=imports, flow=flow, queue=queue, client=client, worker=worker)


@dataclass(frozen=True)
class ProjectShape:
    """A project as somebody has it, and an edit that makes it leave a recorded run."""

    files: dict[str, str]
    edited: str
    """The file of the edit."""
    before: str = CHARGE
    after: str = '"take_payment", cents'
    cases: tuple[str, ...] = ("activities_in_sequence",)
    configured: dict[str, object] = field(default_factory=dict)
    """What `init` writes besides the histories."""

    def write_files(self, folder: Path) -> None:
        for name, text in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)

    def break_code(self, folder: Path) -> int:
        """Make the edit, and return its line."""
        text = (folder / self.edited).read_text()
        assert text.count(self.before) == 1
        (folder / self.edited).write_text(text.replace(self.before, self.after))
        return text[: text.index(self.before)].count("\n") + 1


def _text_of(case: str) -> str:
    return (FIXTURES / case / "workflow.py").read_text()


_QUEUE = "activities_in_sequence"
_ENCRYPTED = "data_converter=dataclasses.replace(temporalio.converter.default(), payload_codec=Encryption())"
SHAPES = {
    "flat scripts": ProjectShape(
        {
            "workflows.py": make_flow("activities"),
            "activities.py": STEPS,
            "run_worker.py": make_worker("workflows", "Order", _QUEUE),
        },
        "workflows.py",
        configured={"workflows": ["workflows.py"]},
    ),
    "src layout": ProjectShape(
        {
            "pyproject.toml": PROJECT,
            "src/shop/__init__.py": "",
            "src/shop/flows.py": make_flow("shop.steps"),
            "src/shop/steps.py": STEPS,
            "src/shop/worker.py": make_worker("shop.flows", "Order", _QUEUE),
        },
        "src/shop/flows.py",
        configured={"workflows": ["src/shop/"]},
    ),
    "package": ProjectShape(
        {
            "pyproject.toml": PROJECT,
            "shop/__init__.py": "",
            "shop/flows/__init__.py": "from .order import Order",
            "shop/flows/order.py": make_flow("..steps"),
            "shop/steps.py": STEPS,
            "shop/__main__.py": make_worker(".flows", "Order", _QUEUE),
        },
        "shop/flows/order.py",
        configured={"workflows": ["shop/"]},
    ),
    "monorepo with two workers": ProjectShape(
        {
            "apps/orders/flows.py": make_flow("activities"),
            "apps/orders/activities.py": STEPS,
            "apps/orders/worker.py": make_worker("flows", "Order", _QUEUE),
            "apps/reminders/flows.py": "from activities import note\n\n" + REMINDER,
            "apps/reminders/activities.py": "def note() -> None: ...\n",
            "apps/reminders/worker.py": make_worker("flows", "Reminder", "timers"),
        },
        "apps/orders/flows.py",
        cases=("activities_in_sequence", "timers"),
        configured={"workflows": ["apps/orders/flows.py", "apps/reminders/flows.py"]},
    ),
    "pydantic converter": ProjectShape(
        {
            "pyproject.toml": PROJECT,
            "pricing.py": _text_of("pydantic_payloads"),
            "worker.py": make_worker(
                "pricing",
                "Pricing",
                "pydantic_payloads",
                client=", data_converter=pydantic_data_converter",
                more="from temporalio.contrib.pydantic import pydantic_data_converter\n",
            ),
        },
        "pricing.py",
        "execute_activity(price,",
        'execute_activity("prices",',
        ("pydantic_payloads",),
        {"workflows": ["pricing.py"], "converter": "temporalio.contrib.pydantic:pydantic_data_converter"},
    ),
    "encrypted payloads": ProjectShape(
        {
            "pyproject.toml": PROJECT,
            "src/clinic/__init__.py": "",
            "src/clinic/flows.py": _text_of("encrypted_payloads"),
            "src/clinic/worker.py": make_worker(
                "clinic.flows",
                "Consultation",
                "encrypted_payloads",
                client=f", {_ENCRYPTED}",
                more="import dataclasses\nimport temporalio.converter\nfrom clinic.flows import Encryption\n",
            ),
        },
        "src/clinic/flows.py",
        "execute_activity(\n            diagnose,",
        'execute_activity(\n            "examine",',
        ("encrypted_payloads",),
        {"workflows": ["src/clinic/"], "converter": "clinic.flows:Encryption"},
    ),
    "interceptors": ProjectShape(
        {
            "pyproject.toml": PROJECT,
            "shop/__init__.py": "",
            "shop/flows.py": make_flow("shop.steps")
            .replace("        reserved = await workflow.execute_activity(reserve_stock, item,", "        #")
            .replace("[reserved, charged, sent]", "[charged, sent]"),
            "shop/steps.py": STEPS,
            "shop/audit.py": AUDIT,
            "shop/worker.py": make_worker(
                "shop.flows",
                "Order",
                _QUEUE,
                client=", interceptors=interceptors",
                more="from shop.audit import StockInterceptor\n\ninterceptors = [StockInterceptor()]\n",
            ),
        },
        "shop/flows.py",
        configured={"workflows": ["shop/"], "interceptors": ["shop.audit:StockInterceptor"]},
    ),
    "same type in two modules": ProjectShape(
        {
            "pyproject.toml": PROJECT,
            "shop/__init__.py": "",
            "shop/first/__init__.py": "",
            "shop/first/flows.py": make_flow("shop.steps"),
            "shop/first/worker.py": make_worker("shop.first.flows", "Order", _QUEUE),
            "shop/second/__init__.py": "",
            "shop/second/flows.py": make_flow("shop.steps").replace(CHARGE, '"bill", cents'),
            "shop/second/worker.py": make_worker(".flows", "Order", "orders-2"),
            "shop/steps.py": STEPS,
        },
        "shop/first/flows.py",
        configured={"workflows": ["shop/"]},
    ),
}
