"""Which server is meant: what the user said, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from replaytool.text import escape_controls


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Server options of the command line. None leaves the choice to the environment and the configuration file."""

    address: str | None = None
    namespace: str | None = None
    profile: str | None = None
    config_file: str | None = None
    api_key: str | None = field(default=None, repr=False)
    tls: bool | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    tls_ca: str | None = None
    tls_server_name: str | None = None


@dataclass(frozen=True, slots=True)
class ServerTarget:
    """The resolved server."""

    address: str
    namespace: str
    connect: dict[str, Any] = field(repr=False)
    """Arguments of Client.connect."""
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def redact_secrets(self, text: str) -> str:
        """Return the text on one line, without secrets."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return escape_controls(" ".join(text.split()))
