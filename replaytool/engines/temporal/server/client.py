"""Connect to a Temporal server, and explain its errors with what to do next."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.model.server_options import ServerTarget

if TYPE_CHECKING:
    from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryResponse
    from temporalio.client import Client
    from temporalio.runtime import Runtime
    from temporalio.service import RPCError

Response = TypeVar("Response")
CONNECT_SECONDS = 10.0
CALL_TIMEOUT = timedelta(seconds=30)
RETRY_MILLISECONDS = 30_000
"""How long a call is retried while the server is away or overloaded."""

_PAGE = 1000
_REACH = "check --address or TEMPORAL_ADDRESS, and that the server runs (`temporal server start-dev` starts one)"
_ACCESS = "check --api-key or TEMPORAL_API_KEY, the client certificate, and what they may do in this namespace"

# Signs in the transport's error text: what they mean, what to do, and the code.
_TRANSPORT = [
    ("InvalidContentType", "does not speak TLS", "turn TLS off: --no-tls, or TEMPORAL_TLS=false", ErrorCode.SERVER_TLS),
    ("InvalidMessage", "does not speak TLS", "turn TLS off: --no-tls, or TEMPORAL_TLS=false", ErrorCode.SERVER_TLS),
    (
        "InvalidCertificate(UnknownIssuer",
        "has a certificate of an untrusted authority",
        "give the authority's certificate with --tls-ca or TEMPORAL_TLS_SERVER_CA_CERT_PATH",
        ErrorCode.SERVER_TLS,
    ),
    (
        "InvalidCertificate(NotValidForName",
        "has a certificate for another name",
        "give the name in the certificate with --tls-server-name or TEMPORAL_TLS_SERVER_NAME",
        ErrorCode.SERVER_TLS,
    ),
    (
        "InvalidCertificate",
        "has a certificate that is not valid",
        "check its dates and the authority",
        ErrorCode.SERVER_TLS,
    ),
    ("PrivateKeyParseError", "was not called: the private key is not PEM", "check --tls-key", ErrorCode.SERVER_TLS),
    (
        "client cert and private key",
        "was not called: the client certificate needs its key",
        "give both",
        ErrorCode.SERVER_TLS,
    ),
    (
        "CertificateParseError",
        "was not called: a certificate is not PEM",
        "check --tls-cert and --tls-ca",
        ErrorCode.SERVER_TLS,
    ),
    ("dns error", "cannot be reached: no such host name", _REACH, ErrorCode.SERVER_UNREACHABLE),
    ("ConnectionRefused", "cannot be reached: nothing listens on that port", _REACH, ErrorCode.SERVER_UNREACHABLE),
    ("invalid target URL", "cannot be reached: the address is not valid", "write HOST:PORT", ErrorCode.SERVER_ADDRESS),
]


@functools.cache
def _silent_runtime() -> Runtime:
    """Return the process's one runtime. It is silent: the SDK would log to standard output."""
    from temporalio.runtime import Runtime, TelemetryConfig

    return Runtime(telemetry=TelemetryConfig(logging=None, metrics=None))


async def connect_client(target: ServerTarget) -> Client:
    """Return a client, or raise an explained error, within a bounded time."""
    from temporalio.client import Client
    from temporalio.service import RetryConfig

    retry = RetryConfig(initial_interval_millis=200, max_elapsed_time_millis=RETRY_MILLISECONDS, max_retries=100)
    connecting = Client.connect(
        target.address, namespace=target.namespace, runtime=_silent_runtime(), retry_config=retry, **target.connect
    )
    try:
        return await asyncio.wait_for(connecting, CONNECT_SECONDS)
    except TimeoutError as error:
        raise ReplaytoolError(
            f"the Temporal server {target.address} did not answer within {CONNECT_SECONDS:.0f} seconds",
            _REACH,
            code=ErrorCode.SERVER_UNREACHABLE,
        ) from error
    except (RuntimeError, ValueError) as error:
        raise _explain_connect_error(target, target.redact_secrets(str(error))) from None


def _explain_connect_error(target: ServerTarget, text: str) -> ReplaytoolError:
    server = f"the Temporal server {target.address}"
    for sign, meaning, hint, code in _TRANSPORT:
        if sign in text:
            return ReplaytoolError(f"{server} {meaning}", hint, code=code)
    # Connecting calls GetSystemInfo, so a refused key shows here and not at our first call.
    if "Unauthenticated" in text or "PermissionDenied" in text:
        return ReplaytoolError(f"{server} refused access", _ACCESS, code=ErrorCode.SERVER_ACCESS)
    if "call error after connection" in text:
        guess = "a client certificate" if target.connect.get("tls") else "TLS, which is off"
        return ReplaytoolError(
            f"{server} closed the connection without an answer",
            f"it may expect {guess}, or it is not a Temporal server: see --tls, --tls-cert and --tls-key ({text})",
            code=ErrorCode.SERVER_CLOSED,
        )
    return ReplaytoolError(f"{server} cannot be used: {text}", _REACH, code=ErrorCode.SERVER_FAILED)


async def call_with_retry(method: Callable[..., Awaitable[Response]], request: object) -> Response:
    """Call a method of the workflow service, with the SDK's retries. Only for calls that change nothing."""
    return await method(request, retry=True, timeout=CALL_TIMEOUT)


async def iterate_history_pages(
    client: Client, namespace: str, workflow_id: str, run_id: str
) -> AsyncIterator[GetWorkflowExecutionHistoryResponse]:
    """Yield the pages of a run's history."""
    from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryRequest

    request = GetWorkflowExecutionHistoryRequest(namespace=namespace, maximum_page_size=_PAGE)
    request.execution.workflow_id, request.execution.run_id = workflow_id, run_id
    while True:
        page = await call_with_retry(client.workflow_service.get_workflow_execution_history, request)
        yield page
        if not page.next_page_token:
            return
        request.next_page_token = page.next_page_token


def explain_rpc_error(target: ServerTarget, error: RPCError) -> ReplaytoolError:
    """Explain why a call failed."""
    from temporalio.service import RPCStatusCode

    server = f"the Temporal server {target.address}"
    text = target.redact_secrets(error.message)
    if is_namespace_unknown(error):
        hint = "check --namespace or TEMPORAL_NAMESPACE; `temporal operator namespace list` lists them"
        return ReplaytoolError(
            f"{server} has no namespace {target.redact_secrets(target.namespace)}",
            hint,
            code=ErrorCode.SERVER_NAMESPACE,
        )
    if error.status in (RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED):
        message = f"{server} refused access to namespace {target.redact_secrets(target.namespace)}: {text}"
        return ReplaytoolError(message, _ACCESS, code=ErrorCode.SERVER_ACCESS)
    if error.status == RPCStatusCode.RESOURCE_EXHAUSTED:
        return ReplaytoolError(
            f"{server} limits the request rate: {text}",
            "try again later, or with --concurrency 1",
            code=ErrorCode.SERVER_RATE,
        )
    if error.status in (RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED):
        return ReplaytoolError(f"{server} stopped answering: {text}", _REACH, code=ErrorCode.SERVER_SILENT)
    return ReplaytoolError(
        f"{server} refused the request: {text} ({error.status.name})", _REACH, code=ErrorCode.SERVER_REFUSED
    )


def is_namespace_unknown(error: RPCError) -> bool:
    """Return whether the namespace was not found, and not a workflow in it."""
    from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure

    details = error.grpc_status.details
    return any(detail.Is(NamespaceNotFoundFailure.DESCRIPTOR) for detail in details)
