"""Options that the reset commands share, and the values built from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from replaytool.model.reset_server import ResetSettings
    from replaytool.model.server_options import ServerOptions


def _parse_exclusions(_: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...]:
    found = tuple(part.strip() for part in (value or "").split(",") if part.strip())
    wrong = [one for one in found if one not in ("signals", "updates")]
    if wrong:
        raise click.BadParameter(f"{wrong[0]!r} cannot be excluded; only signals and updates can", param=parameter)
    return found


def _parse_version(_: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, str] | None:
    if value is None:
        return None
    deployment, colon, build = value.rpartition(":")
    if not (colon and deployment and build):
        raise click.BadParameter("write DEPLOYMENT:BUILD", param=parameter)
    return deployment, build


def reset_call_options(function: Callable[..., object]) -> Callable[..., object]:
    """Add the options that are the same for every reset call."""
    for option in (
        click.option(
            "--reason", metavar="TEXT", default="", help="Reason to record in the histories, after the item's token."
        ),
        click.option("--exclude", metavar="LIST", callback=_parse_exclusions, help="Do not re-apply: signals,updates."),
        click.option(
            "--pin", metavar="DEPLOYMENT:BUILD", callback=_parse_version, help="Pin the new runs to this version."
        ),
    ):
        function = option(function)
    return function


def pop_server_options(given: dict[str, Any]) -> ServerOptions:
    """Remove the server options from `given` and return them as one value."""
    from replaytool.model.server_options import ServerOptions

    return ServerOptions(**{one.name: given.pop(one.name) for one in fields(ServerOptions)})


def pop_reset_call_options(given: dict[str, Any]) -> ResetSettings:
    """Remove the reset call options from `given` and return them as one value."""
    from replaytool.model.reset_server import ResetSettings

    return ResetSettings(given.pop("reason"), given.pop("exclude"), given.pop("pin"))
