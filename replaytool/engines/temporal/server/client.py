"""The way to a Temporal server, and its errors in words that say what to do."""

from __future__ import annotations

import asyncio
import functools
from datetime import timedelta
from typing import TYPE_CHECKING

from replaytool.engines.temporal.server.options import Target
from replaytool.errors import ReplaytoolError

if TYPE_CHECKING:
    from temporalio.client import Client
    from temporalio.runtime import Runtime
    from temporalio.service import RPCError

CONNECT_SECONDS = 10.0
CALL_TIMEOUT = timedelta(seconds=30)
RETRY_MILLISECONDS = 30_000
"""How long one call is tried again while the server is away or says that it has too much to do."""

_REACH = "check --address or TEMPORAL_ADDRESS, and that the server runs (`temporal server start-dev` starts one)"
_ACCESS = "check --api-key or TEMPORAL_API_KEY, the client certificate, and what they may do in this namespace"

# What the transport says, and what it means.
_TRANSPORT = [
    ("InvalidContentType", "does not speak TLS", "leave TLS out: --no-tls, or TEMPORAL_TLS=false"),
    ("InvalidMessage", "does not speak TLS", "leave TLS out: --no-tls, or TEMPORAL_TLS=false"),
    (
        "InvalidCertificate(UnknownIssuer",
        "has a certificate from an authority that is not trusted",
        "name the authority's certificate with --tls-ca or TEMPORAL_TLS_SERVER_CA_CERT_PATH",
    ),
    (
        "InvalidCertificate(NotValidForName",
        "has a certificate for another name",
        "give the name in the certificate with --tls-server-name or TEMPORAL_TLS_SERVER_NAME",
    ),
    ("InvalidCertificate", "has a certificate that is not valid", "check its dates and the authority"),
    ("PrivateKeyParseError", "was not called: the private key is not PEM", "check --tls-key"),
    ("client cert and private key", "was not called: the client certificate needs its key", "give both"),
    ("CertificateParseError", "was not called: a certificate is not PEM", "check --tls-cert and --tls-ca"),
    ("dns error", "cannot be reached: its name is not known", _REACH),
    ("ConnectionRefused", "cannot be reached: nothing listens there", _REACH),
    ("invalid target URL", "cannot be reached: this is no address", "write HOST:PORT"),
]


@functools.cache
def _runtime() -> Runtime:
    """One for the whole process, and silent: the SDK's own log would be written to standard output."""
    from temporalio.runtime import Runtime, TelemetryConfig

    return Runtime(telemetry=TelemetryConfig(logging=None, metrics=None))


async def connected(target: Target) -> Client:
    """A client, or the reason why there is none, within a bounded time."""
    from temporalio.client import Client
    from temporalio.service import RetryConfig

    retry = RetryConfig(initial_interval_millis=200, max_elapsed_time_millis=RETRY_MILLISECONDS, max_retries=100)
    connecting = Client.connect(
        target.address, namespace=target.namespace, runtime=_runtime(), retry_config=retry, **target.connect
    )
    try:
        return await asyncio.wait_for(connecting, CONNECT_SECONDS)
    except TimeoutError as error:
        raise ReplaytoolError(
            f"the Temporal server {target.address} did not answer within {CONNECT_SECONDS:.0f} seconds", _REACH
        ) from error
    except (RuntimeError, ValueError) as error:
        raise _unreachable(target, target.redacted(str(error))) from None


def _unreachable(target: Target, text: str) -> ReplaytoolError:
    server = f"the Temporal server {target.address}"
    for sign, meaning, hint in _TRANSPORT:
        if sign in text:
            return ReplaytoolError(f"{server} {meaning}", hint)
    if "Unauthenticated" in text or "PermissionDenied" in text:
        return ReplaytoolError(f"{server} refused access", _ACCESS)
    if "call error after connection" in text:
        guess = "a client certificate" if target.connect.get("tls") else "TLS, which was not asked for"
        return ReplaytoolError(
            f"{server} closed the connection without an answer",
            f"it may expect {guess}, or be no Temporal server: see --tls, --tls-cert and --tls-key ({text})",
        )
    return ReplaytoolError(f"{server} cannot be used: {text}", _REACH)


def explained(target: Target, error: RPCError) -> ReplaytoolError:
    """What a refused call means for the person who asked."""
    from temporalio.service import RPCStatusCode

    server = f"the Temporal server {target.address}"
    text = target.redacted(error.message)
    if is_namespace_unknown(error):
        hint = "check --namespace or TEMPORAL_NAMESPACE; `temporal operator namespace list` lists them"
        return ReplaytoolError(f"{server} has no namespace {target.redacted(target.namespace)}", hint)
    if error.status in (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED):
        message = f"{server} refused access to namespace {target.redacted(target.namespace)}: {text}"
        return ReplaytoolError(message, _ACCESS)
    if error.status == RPCStatusCode.RESOURCE_EXHAUSTED:
        return ReplaytoolError(f"{server} limits its rate: {text}", "try again later, or with --concurrency 1")
    if error.status in (RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED):
        return ReplaytoolError(f"{server} stopped answering: {text}", _REACH)
    return ReplaytoolError(f"{server} refused the request: {text} ({error.status.name})", _REACH)


def is_namespace_unknown(error: RPCError) -> bool:
    """Whether it is the namespace that was not found, and not a workflow in it."""
    from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure

    details = error.grpc_status.details
    return any(detail.Is(NamespaceNotFoundFailure.DESCRIPTOR) for detail in details)
