"""Let the user's plugins configure the replay once, before replaytool puts its own runner around what they left.

The SDK's Replayer asks each plugin for its settings when it is made. Every replayer of a code would ask again, with
replaytool's runner in place of the user's. So the plugins are asked once, when the code is loaded. Later replayers get
plugins that change no settings and still run their context around each replay.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)
from functools import cache
from typing import Any

from temporalio.client import Plugin as ClientPlugin
from temporalio.client import WorkflowHistory
from temporalio.converter import DataConverter
from temporalio.plugin import SimplePlugin
from temporalio.worker import Interceptor, Plugin, Replayer, Worker, WorkflowReplayResult

Histories = AsyncIterator[WorkflowHistory]
Results = AbstractAsyncContextManager[AsyncIterator[WorkflowReplayResult]]
RunReplayer = Callable[[Replayer, Histories], Results]


class _SettingsKeeper(Plugin):
    """Keeps the settings as they are at its place among the plugins."""

    def __init__(self) -> None:
        self.settings: dict[str, Any] = {}

    def configure_worker(self, config: Any) -> Any:
        return config

    async def run_worker(self, worker: Worker, following: Callable[[Worker], Awaitable[None]]) -> None:
        await following(worker)

    def configure_replayer(self, config: Any) -> Any:
        self.settings = dict(config)
        return config

    def run_replayer(self, replayer: Replayer, histories: Histories, following: RunReplayer) -> Results:
        return following(replayer, histories)


class ConfiguredPlugin(_SettingsKeeper):
    """A plugin of the user's whose settings are in force already; it still wraps each replay."""

    def __init__(self, inner: Plugin) -> None:
        super().__init__()
        self.inner = inner

    def name(self) -> str:
        """Return the plugin's own name."""
        return self.inner.name()

    def run_replayer(self, replayer: Replayer, histories: Histories, following: RunReplayer) -> Results:
        """Call the plugin's own method."""
        return self.inner.run_replayer(replayer, histories, following)

    @property
    def is_custom(self) -> bool:
        """Whether a method of the user's runs the replayer, which may do more than open a context."""
        return type(self.inner).run_replayer not in (Plugin.run_replayer, SimplePlugin.run_replayer)

    @property
    def wraps_replays(self) -> bool:
        """Whether the plugin does anything around a replay."""
        has_context = isinstance(self.inner, SimplePlugin) and self.inner.run_context is not None
        return has_context or self.is_custom


def configure_plugins(settings: Mapping[str, Any], workflows: Sequence[type]) -> dict[str, Any]:
    """Return the settings and workflows that the plugins leave, as a Replayer with these plugins would have them."""
    given = list(settings["plugins"])
    own = [one for one in given if isinstance(one, Plugin) or not isinstance(one, ClientPlugin)]
    start = _configure_client_plugins(settings, [one for one in given if one not in own])
    for name in _SEQUENCES:  # copies: a plugin may append in place, also to the SDK's default list
        start[name] = list(start.get(name) or ())
    before, after = _SettingsKeeper(), _SettingsKeeper()
    try:
        Replayer(**{**start, "workflows": list(workflows), "plugins": [before, *own, after]})
    except ValueError:
        if workflows or not after.settings:  # without any workflow the SDK refuses; the caller says it better
            raise
    known = inspect.signature(Replayer.__init__).parameters
    changed = {
        name: value
        for name, value in after.settings.items()
        if name in known and (name in _SEQUENCES or value is not before.settings.get(name))
    }
    kept = {name: value for name, value in {**start, **changed}.items() if value or name not in _SEQUENCES}
    return {
        **kept,
        "workflows": list(after.settings.get("workflows") or ()),
        "plugins": [ConfiguredPlugin(one) for one in own],
    }


_SEQUENCES = ("interceptors", "workflow_failure_exception_types")


def _configure_client_plugins(settings: Mapping[str, Any], plugins: Sequence[ClientPlugin]) -> dict[str, Any]:
    """Return the settings with what a worker takes from its client: the converter and the worker's interceptors."""
    found = dict(settings)
    if not plugins:
        return found
    given = settings.get("data_converter") or DataConverter.default
    config: Any = {
        "namespace": settings.get("namespace", "default"),
        "data_converter": given,
        "interceptors": [],
        "plugins": list(plugins),
    }
    for one in plugins:
        config = one.configure_client(config)
    from_client = [one for one in config.get("interceptors") or () if isinstance(one, Interceptor)]
    if config["data_converter"] is not given:
        found["data_converter"] = config["data_converter"]
    found["interceptors"] = [*from_client, *settings.get("interceptors", ())]
    return found


def find_custom_plugin(settings: Mapping[str, Any]) -> ConfiguredPlugin | None:
    """Return a plugin with a `run_replayer` of its own, which only the SDK's replayer can honor in full."""
    return next((one for one in settings.get("plugins", ()) if one.is_custom), None)


def hold_plugins(settings: Mapping[str, Any], workflows: Sequence[type]) -> AbstractContextManager[None]:
    """Keep the context of each plugin open during the block, as the SDK's replayer does during a replay."""
    plugins = [one for one in settings.get("plugins", ()) if one.wraps_replays]
    return _hold_contexts(plugins, workflows) if plugins else nullcontext()


@contextmanager
def _hold_contexts(plugins: Sequence[ConfiguredPlugin], workflows: Sequence[type]) -> Iterator[None]:
    loop, replayer = _get_context_loop(), Replayer(workflows=list(workflows), plugins=list(plugins))
    entered, leave = asyncio.Event(), asyncio.Event()
    # One task enters and leaves: a context may use cancel scopes or context variables, which belong to a task.
    holding = loop.create_task(_hold_until(replayer, entered, leave))
    entering = loop.create_task(entered.wait())
    loop.run_until_complete(asyncio.wait([holding, entering], return_when=asyncio.FIRST_COMPLETED))
    if holding.done():
        entering.cancel()
        holding.result()
    try:
        yield
    finally:
        leave.set()
        loop.run_until_complete(holding)


async def _hold_until(replayer: Replayer, entered: asyncio.Event, leave: asyncio.Event) -> None:
    """Enter the plugins in the order in which the SDK's replayer nests them."""
    run: RunReplayer = _replay_nothing
    for plugin in reversed(replayer.plugins):
        run = _wrap_runner(plugin, run)
    async with run(replayer, _no_histories()):
        entered.set()
        await leave.wait()


def _wrap_runner(plugin: Plugin, inner: RunReplayer) -> RunReplayer:
    return lambda replayer, histories: plugin.run_replayer(replayer, histories, inner)


@asynccontextmanager
async def _replay_nothing(
    replayer: Replayer, histories: Histories
) -> AsyncIterator[AsyncIterator[WorkflowReplayResult]]:
    yield _no_results()


async def _no_histories() -> Histories:
    return
    yield


async def _no_results() -> AsyncIterator[WorkflowReplayResult]:
    return
    yield


_get_context_loop = cache(asyncio.new_event_loop)
"""The loop of the plugins' contexts; it runs only while they are entered and left."""
