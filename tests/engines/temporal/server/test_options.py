"""Which server is meant, and what is said when it cannot be spoken to; keys are never part of that."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import HTTPServer
from pathlib import Path
from socketserver import BaseRequestHandler
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from replaytool.engines.temporal.server import client as temporal_client
from replaytool.engines.temporal.server.options import resolve_target
from replaytool.engines.temporal.server.pull import pull_histories
from replaytool.engines.temporal.server.temporal_query import visibility_query
from replaytool.errors import ReplaytoolError
from replaytool.model.pull_options import PullOptions
from replaytool.model.server_options import ServerOptions
from replaytool.time_parsing import parse_since_time
from tests.support.dev_server import DevServer

pytestmark = pytest.mark.slow

SECRET = "tmprl_secret_of_many_letters"
NAME = "temporal.test"


def refusal(options: ServerOptions) -> str:
    with pytest.raises(ReplaytoolError) as raised:
        list(pull_histories(PullOptions(options, limit=1)))
    assert raised.value.hint
    text = f"{raised.value.message} ({raised.value.hint})"
    assert SECRET not in text
    return text


def write_config(home: Path, text: str) -> None:
    (home / "temporal.toml").write_text(text)


def test_without_anything_it_is_the_local_server() -> None:
    target = resolve_target(ServerOptions())
    assert (target.address, target.namespace, target.connect) == ("localhost:7233", "default", {"tls": False})


def test_options_stand_over_variables_over_the_file(own_settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_config(
        own_settings,
        '[profile.default]\naddress = "file:1"\nnamespace = "file"\n'
        f'[profile.prod]\naddress = "prod:2"\napi_key = "{SECRET}"\n',
    )
    assert (resolve_target(ServerOptions()).address, resolve_target(ServerOptions()).namespace) == ("file:1", "file")
    prod = resolve_target(ServerOptions(profile="prod"))
    assert (prod.address, prod.connect["tls"], prod.connect["api_key"]) == ("prod:2", True, SECRET)
    assert SECRET not in repr(prod)
    monkeypatch.setenv("TEMPORAL_PROFILE", "prod")
    assert resolve_target(ServerOptions()).address == "prod:2"
    monkeypatch.setenv("TEMPORAL_ADDRESS", "variable:3")
    assert resolve_target(ServerOptions()).address == "variable:3"
    assert resolve_target(ServerOptions(address="option:4", namespace="mine")).address == "option:4"
    assert resolve_target(ServerOptions(tls=False)).connect["tls"] is False


def test_another_file(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text('[profile.default]\naddress = "other:1"\n')
    assert resolve_target(ServerOptions(config_file=str(tmp_path / "other.toml"))).address == "other:1"
    assert "does not exist" in refusal(ServerOptions(config_file=str(tmp_path / "none.toml")))


def test_tls_files(tmp_path: Path) -> None:
    for name in ("cert", "key", "ca"):
        (tmp_path / name).write_text(name)
    options = ServerOptions(
        tls_cert=str(tmp_path / "cert"), tls_key=str(tmp_path / "key"), tls_ca=str(tmp_path / "ca"), tls_server_name="n"
    )
    tls = resolve_target(options).connect["tls"]
    assert (tls.client_cert, tls.client_private_key, tls.server_root_ca_cert, tls.domain) == (
        b"cert",
        b"key",
        b"ca",
        "n",
    )
    assert "missing.pem cannot be read" in refusal(ServerOptions(tls_ca=str(tmp_path / "missing.pem")))


@pytest.mark.parametrize(
    "text",
    [
        f'[profile.default]\napi_key = "{SECRET}\n',
        f'[profile.default]\napi_key = ["{SECRET}"]\n',
        f"[profile.default]\napi_key = {SECRET}\n",
    ],
)
def test_a_broken_file_is_told_without_what_is_in_it(own_settings: Path, text: str) -> None:
    write_config(own_settings, text)
    assert "not valid at line 2" in refusal(ServerOptions())


def test_addresses_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    key = ServerOptions(api_key=SECRET)
    assert "nothing listens" in refusal(ServerOptions(address="127.0.0.1:1", api_key=SECRET, tls=False))
    assert "has no port" in refusal(ServerOptions(address="localhost"))
    assert "is a URL" in refusal(ServerOptions(address="http://localhost:7233"))
    assert "address is not valid" in refusal(ServerOptions(address="not a host:1"))
    assert "characters that no key has" in refusal(ServerOptions(api_key=SECRET + "\n"))
    assert "no namespace" not in refusal(ServerOptions(address="nowhere.invalid:7233"))
    assert SECRET not in repr(key)
    monkeypatch.setattr(temporal_client, "CONNECT_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        assert "did not answer within 1 second" in refusal(ServerOptions(address=address))


def test_what_is_no_temporal_server() -> None:
    class Silly(BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(100)
            self.request.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    server = HTTPServer(("127.0.0.1", 0), Silly)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        text = refusal(ServerOptions(address=f"127.0.0.1:{server.server_port}"))
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert "not a Temporal server" in text


Pair = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def make(folder: Path, name: str, issuer: Pair | None = None) -> Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    )
    certificate = builder.sign(issuer[1] if issuer else key, hashes.SHA256())
    plain = serialization.NoEncryption()
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    )
    return certificate, key


@contextlib.contextmanager
def tls_in_front_of(server: DevServer, context: ssl.SSLContext) -> Iterator[str]:
    """The dev server speaks no TLS: this takes it off."""
    host, _, port = server.address.rpartition(":")

    async def copied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def passed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection(host, int(port))
        await asyncio.gather(copied(reader, inner_writer), copied(inner_reader, writer))

    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)
    listening = loop.run_until_complete(asyncio.start_server(passed, "127.0.0.1", 0, ssl=context))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    listening.close()
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0.01))
    loop.close()


def of_server(folder: Path, *, asks: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / f"{NAME}.pem", folder / f"{NAME}.key")
    context.set_alpn_protocols(["h2"])
    if asks:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(folder / "ca.test.pem")
    return context


@pytest.mark.server
def test_tls(server: DevServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = make(tmp_path, "ca.test")
    make(tmp_path, NAME, authority)
    make(tmp_path, "client.test", authority)
    trusted: dict[str, Any] = {"tls_ca": str(tmp_path / "ca.test.pem"), "tls_server_name": NAME}
    client: dict[str, Any] = {
        "tls_cert": str(tmp_path / "client.test.pem"),
        "tls_key": str(tmp_path / "client.test.key"),
    }
    assert "does not speak TLS" in refusal(ServerOptions(address=server.address, tls=True))
    assert "does not speak TLS" in refusal(ServerOptions(address=server.address, api_key=SECRET))
    with tls_in_front_of(server, of_server(tmp_path, asks=False)) as address:
        assert list(pull_histories(PullOptions(ServerOptions(address=address, **trusted), limit=1)))
        assert "expect TLS" in refusal(ServerOptions(address=address))
        assert "untrusted authority" in refusal(ServerOptions(address=address, tls=True))
        assert "another name" in refusal(ServerOptions(address=address, tls_ca=trusted["tls_ca"]))
    with tls_in_front_of(server, of_server(tmp_path, asks=True)) as address:
        assert list(pull_histories(PullOptions(ServerOptions(address=address, **trusted, **client), limit=1)))
        assert "a client certificate" in refusal(ServerOptions(address=address, **trusted))
        assert "needs its key" in refusal(ServerOptions(address=address, **trusted, tls_cert=client["tls_cert"]))
        monkeypatch.setenv("TEMPORAL_ADDRESS", address)
        monkeypatch.setenv("TEMPORAL_TLS_SERVER_CA_CERT_PATH", trusted["tls_ca"])
        monkeypatch.setenv("TEMPORAL_TLS_SERVER_NAME", NAME)
        monkeypatch.setenv("TEMPORAL_TLS_CLIENT_CERT_PATH", client["tls_cert"])
        monkeypatch.setenv("TEMPORAL_TLS_CLIENT_KEY_PATH", client["tls_key"])
        assert list(pull_histories(PullOptions(limit=1)))


NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        ("2h", "2026-03-01T10:00:00Z"),
        ("1W", "2026-02-22T12:00:00Z"),
        ("1d12h30m", "2026-02-27T23:30:00Z"),
        ("2026-02-01", "2026-02-01T00:00:00Z"),
        ("2026-02-01T08:00+02:00", "2026-02-01T06:00:00Z"),
    ],
)
def test_since(since: str, expected: str) -> None:
    assert visibility_query("", since, NOW) == f"(StartTime >= '{expected}' OR CloseTime >= '{expected}')"


@pytest.mark.parametrize("since", ["", "soon", "2", "h", "-2h", "9" * 30 + "d", "2026-13-01", "2h\n; x"])
def test_what_is_no_time(since: str) -> None:
    with pytest.raises(ReplaytoolError, match="is not a time"):
        parse_since_time(since, NOW)
