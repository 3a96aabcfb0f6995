"""Find the Temporal server to use: explicit options, then the official environment variables and configuration file."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.model.server_options import ServerOptions, ServerTarget
from replaytool.text import escape_controls

if TYPE_CHECKING:
    from temporalio.envconfig import ClientConfigProfile, ClientConfigTLS

DEFAULT_ADDRESS = "localhost:7233"
DEFAULT_NAMESPACE = "default"


def resolve_target(options: ServerOptions) -> ServerTarget:
    """Return the server to use, or raise what is wrong with the configuration."""
    profile = _override_profile(_load_profile(options), options)
    try:
        config: dict[str, Any] = {**profile.to_client_connect_config()}
    except OSError as error:
        name = escape_controls(str(error.filename))
        raise ReplaytoolError(
            f"the TLS file {name} cannot be read: {error.strerror}",
            "check --tls-cert, --tls-key and --tls-ca, or the TEMPORAL_TLS_* variables and temporal.toml",
            code=ErrorCode.SERVER_TLS_FILE,
        ) from error
    address = _check_address(config.pop("target_host", DEFAULT_ADDRESS))
    namespace = config.pop("namespace", DEFAULT_NAMESPACE) or DEFAULT_NAMESPACE
    _check_api_key(config.get("api_key"))
    # Set explicitly: the client's default differs between versions.
    config.setdefault("tls", False)
    return ServerTarget(address, namespace, config, _collect_secrets(profile))


def _load_profile(options: ServerOptions) -> ClientConfigProfile:
    from temporalio.envconfig import ClientConfigProfile

    path = Path(options.config_file) if options.config_file else None
    if path is not None and not path.is_file():
        raise ReplaytoolError(
            f"the configuration file {escape_controls(str(path))} does not exist",
            "check --config-file",
            code=ErrorCode.SERVER_CONFIG_FILE,
        )
    try:
        return ClientConfigProfile.load(options.profile, config_source=path)
    except Exception as error:
        # `from None`: the parser's error quotes the line, and a traceback would print the key in it.
        raise _profile_error(options, str(error)) from None


def _profile_error(options: ServerOptions, text: str) -> ReplaytoolError:
    # The parser quotes the line, which may hold a key: repeat only its position.
    missing = re.fullmatch(r"Profile '(.*)' not found", text)
    if missing:
        return ReplaytoolError(
            f"the Temporal configuration has no profile {escape_controls(missing[1])}",
            "check --profile or TEMPORAL_PROFILE; `temporal config list --help` tells where the file is",
            code=ErrorCode.SERVER_PROFILE,
        )
    place = re.search(r"line \d+, column \d+", text)
    name = escape_controls(options.config_file or "in TEMPORAL_CONFIG_FILE or at its default place")
    where = f" at {place[0]}" if place else ""
    return ReplaytoolError(
        f"the Temporal configuration ({name}, and the TEMPORAL_* variables) is not valid{where}",
        "`temporal config get` reads the same file",
        code=ErrorCode.SERVER_CONFIG_INVALID,
    )


def _override_profile(profile: ClientConfigProfile, options: ServerOptions) -> ClientConfigProfile:
    given = {"address": options.address, "namespace": options.namespace, "api_key": options.api_key}
    changes: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    return replace(profile, tls=_override_tls(profile.tls, options), **changes)


def _override_tls(tls: ClientConfigTLS | None, options: ServerOptions) -> ClientConfigTLS | None:
    from temporalio.envconfig import ClientConfigTLS

    given = {
        "server_name": options.tls_server_name,
        "server_root_ca_cert": options.tls_ca and Path(options.tls_ca),
        "client_cert": options.tls_cert and Path(options.tls_cert),
        "client_private_key": options.tls_key and Path(options.tls_key),
    }
    changes: dict[str, Any] = {key: value for key, value in given.items() if value}
    if options.tls is not None:
        changes["disabled"] = not options.tls
    # A certificate has no use without TLS, so giving one turns TLS on.
    elif changes:
        changes["disabled"] = False
    return replace(tls or ClientConfigTLS(), **changes) if changes else tls


def _check_address(address: str) -> str:
    if "://" in address:
        raise ReplaytoolError(
            f"the address {escape_controls(address)} is a URL",
            "write HOST:PORT, and --tls if the server uses TLS",
            code=ErrorCode.SERVER_ADDRESS,
        )
    if not re.search(r":\d+$", address):
        raise ReplaytoolError(
            f"the address {escape_controls(address)} has no port",
            f"write {escape_controls(address)}:7233",
            code=ErrorCode.SERVER_ADDRESS,
        )
    return address


def _check_api_key(api_key: str | None) -> None:
    if api_key is not None and (not api_key.isascii() or not api_key.isprintable()):
        raise ReplaytoolError(
            "the API key has characters that no key has",
            "check whether a line end or a quote was copied with it",
            code=ErrorCode.SERVER_API_KEY,
        )


def _collect_secrets(profile: ClientConfigProfile) -> tuple[str, ...]:
    values = [profile.api_key or "", *profile.grpc_meta.values()]
    return tuple(value for value in values if value)
