from __future__ import annotations

import base64
import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from replaytool.config import Settings
from replaytool.engines.temporal.events.payloads import PayloadDecoder, build_payload_decoder, read_plain_value
from replaytool.errors import ReplaytoolError
from replaytool.model.history import Payload
from replaytool.replay.code import importing as loading
from tests.conftest import Call
from tests.support.paths import FIXTURES


def payload(encoding: str, data: bytes) -> Payload:
    return Payload(data, {"encoding": encoding.encode()})


@pytest.mark.parametrize(
    ("recorded", "shown"),
    [
        (payload("json/plain", b'{"km":3}'), {"km": 3}),
        (payload("json/protobuf", b'{"a":"b"}'), {"a": "b"}),
        (payload("binary/plain", b"hello"), "hello"),
        (payload("binary/plain", b"\xff\xfe"), {"encoding": "binary/plain", "bytes": 2}),
        (payload("binary/null", b""), None),
        (payload("json/plain", b"{not json"), {"encoding": "json/plain", "bytes": 9}),
        (payload("binary/encrypted", b"12345"), {"encoding": "binary/encrypted", "bytes": 5}),
        (Payload(b"abc"), {"encoding": "", "bytes": 3}),
    ],
)
def test_common_encodings_are_read_and_others_named(recorded: Payload, shown: Any) -> None:
    assert read_plain_value(recorded) == shown


def test_payloads_inside_an_event_become_values() -> None:
    event = {"input": {"payloads": [{"metadata": {"encoding": "anNvbi9wbGFpbg=="}, "data": "Mw=="}]}, "other": [1]}
    assert PayloadDecoder().make_readable(event) == {"input": {"payloads": [3]}, "other": [1]}


ENCRYPTED = FIXTURES / "encrypted_payloads"


def test_a_converter_reads_what_its_codec_wrote(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    (history,) = sorted(ENCRYPTED.glob("history*.json"))
    monkeypatch.syspath_prepend(str(ENCRYPTED))
    # Earlier tests have replayed in this process: the name leads to another fixture's code.
    monkeypatch.setattr(loading._files, "paths", {})
    monkeypatch.delitem(sys.modules, "workflow", raising=False)
    converter = json.loads((ENCRYPTED / "verdict.json").read_bytes())["converter"]
    key = call("load", history, "--json").json["run_keys"][0]
    blind = call("show", key, "--json").out
    seen = call("show", key, "--json", "--converter", converter).out
    assert "binary/encrypted" in blind
    assert "binary/encrypted" not in seen
    stored = call("sql", "SELECT raw FROM events", "--format", "jsonl").out
    assert stored == call("sql", "SELECT raw FROM events", "--format", "jsonl").out
    decoded = call("--store", "decoded.duckdb", "load", history, "--decode", "--converter", converter)
    assert decoded.code == 0, decoded.err
    assert "binary/encrypted" not in call("--store", "decoded.duckdb", "show", key, "--json").out


class _Codec(BaseHTTPRequestHandler):
    """A codec server over the real protocol: its encoding is the text turned round."""

    def do_POST(self) -> None:
        if self.headers.get("Authorization") != "Bearer secret" or self.path != "/decode":
            self.send_response(403)
            self.end_headers()
            return
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        answer = {
            "payloads": [
                {
                    "metadata": {"encoding": base64.b64encode(b"json/plain").decode()},
                    "data": base64.b64encode(base64.b64decode(one["data"])[::-1]).decode(),
                }
                for one in body["payloads"]
            ]
        }
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def codec_server() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Codec)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join(10)
    server.server_close()


def test_a_codec_server_decodes(codec_server: str) -> None:
    reading = build_payload_decoder(Settings(codec_endpoint=codec_server, codec_auth="Bearer secret"))
    assert reading.decode_values([payload("binary/reversed", b"]3,2,1[")]) == [[1, 2, 3]]


def test_a_codec_server_that_refuses_is_one_error_without_the_secret(codec_server: str) -> None:
    reading = build_payload_decoder(Settings(codec_endpoint=codec_server, codec_auth="Bearer wrong"))
    with pytest.raises(ReplaytoolError) as caught:
        reading.decode_values([payload("binary/reversed", b"x")])
    assert "403" in caught.value.message
    assert "wrong" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    "settings",
    [
        Settings(converter="no_such_module:x"),
        Settings(converter="json:loads"),
        Settings(converter="json:nothing"),
        Settings(codec_endpoint="ftp://x"),
        Settings(codec_endpoint="http://x", converter="a:b"),
    ],
)
def test_what_cannot_decode_is_one_error(settings: Settings) -> None:
    with pytest.raises(ReplaytoolError):
        build_payload_decoder(settings)


def test_decode_needs_something_to_decode_with(call: Call, tmp_path: Path) -> None:
    result = call("load", next(iter(sorted(FIXTURES.glob("*/history*.json")))), "--decode")
    assert result.code == 2
    assert "--converter" in result.err
