"""Connect to an object store by its address and the usual environment variables; explain what goes wrong."""

from __future__ import annotations

import os
import re
import threading
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from replaytool.errors import ErrorCode, ReplaytoolError
from replaytool.text import escape_controls

Result = TypeVar("Result")

PATIENCE = 60.0
"""Seconds for one request with all its retries. Some clients inside pyarrow would wait for minutes."""

# ? may be part of a key or of a pattern, so only what looks like options is taken as options.
_OPTIONS = re.compile(r"\?(\w+=[^&?/]*(?:&\w+=[^&?]*)*)$")
_S3_OPTIONS = {"endpoint_override", "region", "scheme"}

_CREDENTIALS = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or AWS_PROFILE, and AWS_REGION; "
    "AWS_ENDPOINT_URL for a store that is not Amazon's",
    "gs": "run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS",
    "az": "set AZURE_STORAGE_ACCOUNT, and AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN",
}


@dataclass(frozen=True, slots=True)
class ObjectAddress:
    """The parts of an address. A password in it goes to the store and nowhere else."""

    scheme: str
    authority: str = field(repr=False)
    key: str
    options: Mapping[str, str] = field(repr=False)

    @property
    def host_name(self) -> str:
        """Return the authority without its secrets."""
        return self.authority.rpartition("@")[2]

    def __str__(self) -> str:
        return escape_controls(f"{self.scheme}://{self.host_name}/{self.key}")


@dataclass(frozen=True, slots=True)
class ObjectPlace:
    """A file system, and a path in it that begins with the bucket."""

    address: ObjectAddress
    filesystem: Any
    path: str

    def object_name(self, path: str) -> str:
        """Return an object's name for tables and messages."""
        return f"{self.address.scheme}://{path}"


def parse_address(uri: str) -> ObjectAddress:
    """Return the parts of s3://bucket/key?option=value. The key is taken literally: % is not an escape."""
    scheme, rest = uri.split("://", 1)
    options = _OPTIONS.search(rest)
    if options is not None:
        rest = rest[: options.start()]
    authority, _, key = rest.partition("/")
    address = ObjectAddress(
        scheme.lower(),
        authority,
        key,
        dict(urllib.parse.parse_qsl(options[1])) if options is not None else {},
    )
    if not address.host_name:
        raise ReplaytoolError(
            f"{escape_controls(uri)} names no bucket",
            f"write {address.scheme}://BUCKET/PREFIX",
            code=ErrorCode.SOURCE_BUCKET_UNNAMED,
        )
    return address


def connect_object_store(uri: str) -> ObjectPlace:
    """Return the file system of an address. No request is made, except for a bucket's region."""
    address = parse_address(uri)
    return call_with_timeout(address, lambda: _connect_by_scheme(address))


def call_with_timeout(address: ObjectAddress, call: Callable[[], Result]) -> Result:
    """Return the call's result. The call has a time limit and Ctrl-C works, neither of which C++ offers."""
    outcome: list[Result] = []
    errors: list[BaseException] = []
    thread = threading.Thread(target=_keep_outcome, args=(call, outcome, errors), daemon=True)
    thread.start()
    thread.join(PATIENCE)
    if outcome:
        return outcome[0]
    raise explain_object_error(
        address, errors[0] if errors else TimeoutError(f"no answer within {PATIENCE:.0f} seconds")
    )


def _keep_outcome(call: Callable[[], Result], outcome: list[Result], errors: list[BaseException]) -> None:
    try:
        outcome.append(call())
    except BaseException as error:
        errors.append(error)


def explain_object_error(address: ObjectAddress, error: BaseException) -> BaseException:
    """Turn an object store's exception into one that the user can act on. Any other exception is returned as it is."""
    if not isinstance(error, OSError) and not type(error).__module__.startswith("pyarrow"):
        return error
    text = _without_secrets(address, str(error))
    credentials = _CREDENTIALS[_credentials_family(address)]
    for pattern, message, hint, code in _CAUSES:
        if re.search(pattern, text, re.IGNORECASE):
            return ReplaytoolError(
                message.format(address, where=_describe_endpoint(address)), f"{hint or credentials} ({text})", code=code
            )
    return ReplaytoolError(f"{address} cannot be used: {text}", credentials, code=ErrorCode.SOURCE_BUCKET_FAILED)


_CAUSES = [
    (
        r"NO_SUCH_BUCKET|bucket does not exist",
        "there is no bucket for {0} at {where}",
        "check its name",
        ErrorCode.SOURCE_BUCKET_MISSING,
    ),
    (
        r"ACCESS_DENIED|ACCESS_KEY|SIGNATURE|status 40[13]|PERMISSION_DENIED|UNAUTHENTICATED|credential"
        r"|OAuth2|token|account name|expired",
        "access to {0} was refused",
        "",
        ErrorCode.SOURCE_BUCKET_ACCESS,
    ),
    (
        r"NETWORK_CONNECTION|connect|resolve|timeout|timed out|no answer|UNAVAILABLE",
        "{where} cannot be reached for {0}",
        "check the endpoint and the network",
        ErrorCode.SOURCE_BUCKET_UNREACHABLE,
    ),
]


def _describe_endpoint(address: ObjectAddress) -> str:
    if address.scheme == "s3":
        return _s3_endpoint(address)[1] or "Amazon S3"
    return (
        address.options.get("endpoint_override")
        or {"gs": "Google Cloud Storage", "az": "Azure"}[_credentials_family(address)]
    )


def _credentials_family(address: ObjectAddress) -> str:
    return address.scheme if address.scheme in _CREDENTIALS else "az"


def _without_secrets(address: ObjectAddress, text: str) -> str:
    userinfo = address.authority.rpartition("@")[0]
    names = ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN"]
    secrets = [
        *userinfo.split(":"),
        urllib.parse.unquote(userinfo),
        *(os.environ.get(name, "") for name in names),
    ]
    secrets += [value for name, value in address.options.items() if re.search("key|token|secret", name)]
    for secret in secrets:
        # In other schemes a container's name stands in the user's place, and short words occur in normal text.
        if len(secret) > 5:
            text = text.replace(secret, "***")
    return escape_controls(" ".join(text.split()))[:600]


def _connect_by_scheme(address: ObjectAddress) -> ObjectPlace:
    if address.scheme == "s3":
        return ObjectPlace(address, _connect_s3(address), f"{address.host_name}/{address.key}".rstrip("/"))
    if _credentials_family(address) == "az" and "." not in address.authority and "@" not in address.authority:
        return ObjectPlace(address, _connect_azure(), f"{address.host_name}/{address.key}".rstrip("/"))
    return _connect_by_uri(address)


def _connect_s3(address: ObjectAddress) -> Any:
    from pyarrow import fs

    unknown = set(address.options) - _S3_OPTIONS
    if unknown:
        raise ReplaytoolError(
            f"{address} has an option that is not known: {escape_controls(', '.join(sorted(unknown)))}",
            f"known are {', '.join(sorted(_S3_OPTIONS))}",
            code=ErrorCode.SOURCE_BUCKET_OPTION,
        )
    scheme, endpoint = _s3_endpoint(address)
    user, _, password = address.authority.rpartition("@")[0].partition(":")
    return fs.S3FileSystem(
        access_key=urllib.parse.unquote(user) or None,
        secret_key=urllib.parse.unquote(password) or None,
        endpoint_override=endpoint or None,
        scheme=scheme,
        region=_s3_region(address, endpoint),
        connect_timeout=5,
        request_timeout=10,
    )


def _s3_endpoint(address: ObjectAddress) -> tuple[str, str]:
    given = address.options.get("endpoint_override", "")
    url = given or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    scheme, separator, host = url.rpartition("://")
    return address.options.get("scheme") or (scheme if separator else "https"), host.rstrip("/")


def _s3_region(address: ObjectAddress, endpoint: str) -> str | None:
    from pyarrow import fs

    named = address.options.get("region") or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if named or endpoint:
        return named or "us-east-1"
    try:
        region: str = fs.resolve_s3_region(address.host_name)
    except OSError:
        return None  # the request itself will report what is wrong
    return region


def _connect_azure() -> Any:
    from pyarrow import fs

    return fs.AzureFileSystem(
        os.environ.get("AZURE_STORAGE_ACCOUNT", ""),
        account_key=os.environ.get("AZURE_STORAGE_KEY"),
        sas_token=os.environ.get("AZURE_STORAGE_SAS_TOKEN"),
    )


def _connect_by_uri(address: ObjectAddress) -> ObjectPlace:
    from pyarrow import fs

    scheme = "abfs" if address.scheme == "az" else address.scheme
    options = dict(address.options)
    if scheme == "gs":
        options.setdefault("retry_limit_seconds", "15")
    query = "?" + urllib.parse.urlencode(options) if options else ""
    key = urllib.parse.quote(address.key.rstrip("/"))
    filesystem, path = fs.FileSystem.from_uri(f"{scheme}://{address.authority}/{key}{query}")
    return ObjectPlace(address, filesystem, path)
