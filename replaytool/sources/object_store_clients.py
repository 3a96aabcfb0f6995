"""How to get at an object store: what its address and the usual variables say, and what goes wrong."""

from __future__ import annotations

import os
import re
import threading
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from replaytool.errors import ReplaytoolError
from replaytool.text import visible

Result = TypeVar("Result")

PATIENCE = 60.0
"""Seconds for one request with all of its retries; some clients behind pyarrow would wait for minutes."""

# In a key, ? is a letter or a pattern; only what looks like options is taken for options.
_OPTIONS = re.compile(r"\?(\w+=[^&?/]*(?:&\w+=[^&?]*)*)$")
_S3_OPTIONS = {"endpoint_override", "region", "scheme"}

_CREDENTIALS = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or AWS_PROFILE, and AWS_REGION; "
    "AWS_ENDPOINT_URL for a store that is not Amazon's",
    "gs": "run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS",
    "az": "set AZURE_STORAGE_ACCOUNT, and AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN",
}


@dataclass(frozen=True, slots=True)
class Address:
    """What a person typed, taken apart. A password in it goes to the store and nowhere else."""

    scheme: str
    authority: str = field(repr=False)
    key: str
    options: Mapping[str, str] = field(repr=False)

    @property
    def host(self) -> str:
        """The authority without its secrets."""
        return self.authority.rpartition("@")[2]

    def __str__(self) -> str:
        return visible(f"{self.scheme}://{self.host}/{self.key}")


@dataclass(frozen=True, slots=True)
class Place:
    """A file system, and a path in it that begins with the bucket."""

    address: Address
    filesystem: Any
    path: str

    def name(self, path: str) -> str:
        """How an object is called in tables and messages."""
        return f"{self.address.scheme}://{path}"


def parsed(uri: str) -> Address:
    """The parts of s3://bucket/key?option=value. The key is taken as it stands: % is a letter."""
    scheme, rest = uri.split("://", 1)
    options = _OPTIONS.search(rest)
    if options is not None:
        rest = rest[: options.start()]
    authority, _, key = rest.partition("/")
    address = Address(
        scheme.lower(),
        authority,
        key,
        dict(urllib.parse.parse_qsl(options[1])) if options is not None else {},
    )
    if not address.host:
        raise ReplaytoolError(f"{visible(uri)} names no bucket", f"write {address.scheme}://BUCKET/PREFIX")
    return address


def connect(uri: str) -> Place:
    """The file system behind an address; nothing but a bucket's region is asked for yet."""
    address = parsed(uri)
    return bounded(address, lambda: _connected(address))


def bounded(address: Address, call: Callable[[], Result]) -> Result:
    """The call's result, with an end to waiting and with Ctrl-C working, neither of which C++ grants."""
    outcome: list[Result] = []
    errors: list[BaseException] = []
    thread = threading.Thread(target=_note, args=(call, outcome, errors), daemon=True)
    thread.start()
    thread.join(PATIENCE)
    if outcome:
        return outcome[0]
    raise explained(address, errors[0] if errors else TimeoutError(f"no answer within {PATIENCE:.0f} seconds"))


def _note(call: Callable[[], Result], outcome: list[Result], errors: list[BaseException]) -> None:
    try:
        outcome.append(call())
    except BaseException as error:
        errors.append(error)


def explained(address: Address, error: BaseException) -> BaseException:
    """An object store's exception as something that a person can act on; any other is a fault and stays."""
    if not isinstance(error, OSError) and not type(error).__module__.startswith("pyarrow"):
        return error
    text = _without_secrets(address, str(error))
    credentials = _CREDENTIALS[_family(address)]
    for pattern, message, hint in _CAUSES:
        if re.search(pattern, text, re.IGNORECASE):
            return ReplaytoolError(message.format(address, where=_where(address)), f"{hint or credentials} ({text})")
    return ReplaytoolError(f"{address} cannot be used: {text}", credentials)


_CAUSES = [
    (r"NO_SUCH_BUCKET|bucket does not exist", "there is no bucket for {0} at {where}", "check its name"),
    (
        r"ACCESS_DENIED|ACCESS_KEY|SIGNATURE|status 40[13]|PERMISSION_DENIED|UNAUTHENTICATED|credential"
        r"|OAuth2|token|account name|expired",
        "access to {0} was refused",
        "",
    ),
    (
        r"NETWORK_CONNECTION|connect|resolve|timeout|timed out|no answer|UNAVAILABLE",
        "{where} cannot be reached for {0}",
        "check the endpoint and the network",
    ),
]


def _where(address: Address) -> str:
    if address.scheme == "s3":
        return _s3_endpoint(address)[1] or "Amazon S3"
    return address.options.get("endpoint_override") or {"gs": "Google Cloud Storage", "az": "Azure"}[_family(address)]


def _family(address: Address) -> str:
    return address.scheme if address.scheme in _CREDENTIALS else "az"


def _without_secrets(address: Address, text: str) -> str:
    userinfo = address.authority.rpartition("@")[0]
    names = ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN"]
    secrets = [
        *userinfo.split(":"),
        urllib.parse.unquote(userinfo),
        *(os.environ.get(name, "") for name in names),
    ]
    secrets += [value for name, value in address.options.items() if re.search("key|token|secret", name)]
    for secret in secrets:
        # A container's name stands where another scheme has a user, and short words occur in others.
        if len(secret) > 5:
            text = text.replace(secret, "***")
    return visible(" ".join(text.split()))[:600]


def _connected(address: Address) -> Place:
    if address.scheme == "s3":
        return Place(address, _s3(address), f"{address.host}/{address.key}".rstrip("/"))
    if _family(address) == "az" and "." not in address.authority and "@" not in address.authority:
        return Place(address, _azure(), f"{address.host}/{address.key}".rstrip("/"))
    return _by_uri(address)


def _s3(address: Address) -> Any:
    from pyarrow import fs

    unknown = set(address.options) - _S3_OPTIONS
    if unknown:
        raise ReplaytoolError(
            f"{address} has an option that is not known: {visible(', '.join(sorted(unknown)))}",
            f"known are {', '.join(sorted(_S3_OPTIONS))}",
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


def _s3_endpoint(address: Address) -> tuple[str, str]:
    given = address.options.get("endpoint_override", "")
    url = given or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    scheme, separator, host = url.rpartition("://")
    return address.options.get("scheme") or (scheme if separator else "https"), host.rstrip("/")


def _s3_region(address: Address, endpoint: str) -> str | None:
    from pyarrow import fs

    named = address.options.get("region") or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if named or endpoint:
        return named or "us-east-1"
    try:
        region: str = fs.resolve_s3_region(address.host)
    except OSError:
        return None  # the request itself will say what is wrong
    return region


def _azure() -> Any:
    from pyarrow import fs

    return fs.AzureFileSystem(
        os.environ.get("AZURE_STORAGE_ACCOUNT", ""),
        account_key=os.environ.get("AZURE_STORAGE_KEY"),
        sas_token=os.environ.get("AZURE_STORAGE_SAS_TOKEN"),
    )


def _by_uri(address: Address) -> Place:
    from pyarrow import fs

    scheme = "abfs" if address.scheme == "az" else address.scheme
    options = dict(address.options)
    if scheme == "gs":
        options.setdefault("retry_limit_seconds", "15")
    query = "?" + urllib.parse.urlencode(options) if options else ""
    key = urllib.parse.quote(address.key.rstrip("/"))
    filesystem, path = fs.FileSystem.from_uri(f"{scheme}://{address.authority}/{key}{query}")
    return Place(address, filesystem, path)
