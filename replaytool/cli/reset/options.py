"""Options that the commands of `replaytool reset` share, and the values that are made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from replaytool.engines.temporal.reset.server_calls import ResetSettings
    from replaytool.engines.temporal.server.options import ServerOptions


def _list(_: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...]:
    found = tuple(part.strip() for part in (value or "").split(",") if part.strip())
    wrong = [one for one in found if one not in ("signals", "updates")]
    if wrong:
        raise click.BadParameter(
            f"{wrong[0]!r} always comes back; signals and updates can be left out", param=parameter
        )
    return found


def _pair(_: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, str] | None:
    if value is None:
        return None
    deployment, colon, build = value.rpartition(":")
    if not (colon and deployment and build):
        raise click.BadParameter("write DEPLOYMENT:BUILD", param=parameter)
    return deployment, build


def how(function: Callable[..., Any]) -> Callable[..., Any]:
    """What is the same for each reset, whoever makes the call."""
    for option in (
        click.option(
            "--reason", metavar="TEXT", default="", help="Why, for the histories; the item's token precedes it."
        ),
        click.option("--exclude", metavar="LIST", callback=_list, help="Do not bring back: signals,updates."),
        click.option("--pin", metavar="DEPLOYMENT:BUILD", callback=_pair, help="Pin the new runs to this version."),
    ):
        function = option(function)
    return function


def taken_server(given: dict[str, Any]) -> ServerOptions:
    """Which server, taken out of what was given."""
    from replaytool.engines.temporal.server.options import ServerOptions

    return ServerOptions(**{one.name: given.pop(one.name) for one in fields(ServerOptions)})


def taken_how(given: dict[str, Any]) -> ResetSettings:
    """How each reset is made, taken out of what was given."""
    from replaytool.engines.temporal.reset.server_calls import ResetSettings

    return ResetSettings(given.pop("reason"), given.pop("exclude"), given.pop("pin"))
