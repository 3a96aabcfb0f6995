"""Buckets, on a server of our own that speaks S3: listing, reading, writing, and what goes wrong."""

from __future__ import annotations

import gzip
import socket
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from replaytool.errors import ReplaytoolError
from replaytool.sources import HistorySource, open_output, open_sources
from replaytool.sources import object_store_clients as buckets

KEYS = ["runs/a.json", "runs/b.json.gz", "runs/deep/c.json", "runs/.hidden/d.json", "other/e.txt"]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing-secret")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{endpoint}")
    store = boto3.resource("s3", endpoint_url=f"http://{endpoint}", region_name="us-east-1")
    made = store.create_bucket(Bucket="histories")
    for key in KEYS:
        made.put_object(Key=key, Body=gzip.compress(key.encode()) if key.endswith("gz") else key.encode())
    made.put_object(Key="runs/", Body=b"")
    made.put_object(Key="empty/", Body=b"")
    yield made
    made.objects.all().delete()
    made.delete()


def content(source: HistorySource) -> bytes:
    with source.open() as stream:
        return stream.read()


def names(uri: str) -> list[str]:
    return [source.name.removeprefix("s3://histories/") for source in open_sources([uri])]


def refusal(uri: str) -> ReplaytoolError:
    with pytest.raises(ReplaytoolError) as raised:
        open_sources([uri])
    assert raised.value.hint
    return raised.value


@pytest.mark.usefixtures("bucket")
@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("s3://histories", ["other/e.txt", "runs/a.json", "runs/b.json.gz", "runs/deep/c.json"]),
        ("s3://histories/runs/", ["runs/a.json", "runs/b.json.gz", "runs/deep/c.json"]),
        ("S3://histories/runs/a.json", ["runs/a.json"]),
        ("s3://histories/runs/*.json", ["runs/a.json"]),
        ("s3://histories/**/*.json", ["runs/a.json", "runs/deep/c.json"]),
        ("s3://histories/runs/?.json*", ["runs/a.json", "runs/b.json.gz"]),
        ("s3://histories/runs/.hidden/*", ["runs/.hidden/d.json"]),
    ],
)
def test_what_an_address_names(uri: str, expected: list[str]) -> None:
    assert names(uri) == expected


@pytest.mark.usefixtures("bucket")
def test_content_is_streamed_and_unpacked() -> None:
    assert [content(source) for source in open_sources(["s3://histories/runs"])] == [
        b"runs/a.json",
        b"runs/b.json.gz",
        b"runs/deep/c.json",
    ]


def test_the_endpoint_may_stand_in_the_address(bucket: Any, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket.put_object(Key="100% sure+é #1.json", Body=b"yes")
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    options = f"?endpoint_override={endpoint}&scheme=http"
    (source,) = open_sources([f"s3://histories/100% sure+é #1.json{options}"])
    assert source.name == "s3://histories/100% sure+é #1.json"
    assert content(source) == b"yes"
    (source,) = open_sources([f"s3://testing:word-of-mouth@histories/other{options}"])
    assert content(source) == b"other/e.txt"
    assert "word-of-mouth" not in repr(source)
    assert "word-of-mouth" not in refusal(f"s3://testing:word-of-mouth@histories/nope{options}").message
    assert "colour" in refusal(f"s3://histories/x{options}&colour=red").message


@pytest.mark.usefixtures("bucket")
def test_what_is_not_there() -> None:
    assert "nothing at s3://histories/nope" in refusal("s3://histories/nope").message
    assert "nothing at s3://histories/run" in refusal("s3://histories/run").message
    assert "nothing at" in refusal("s3://histories/empty/").message
    assert "nothing at" in refusal("s3://histories/nope/*.json").message
    assert "no bucket" in refusal("s3://missing-bucket/x").message
    assert "no bucket" in refusal("s3://missing-bucket/*").message
    assert "names no bucket" in refusal("s3:///x").message


def test_an_object_that_goes_away_is_one_failure(bucket: Any) -> None:
    first, *_, last = open_sources(["s3://histories/runs"])
    bucket.Object("runs/a.json").delete()
    with pytest.raises(OSError, match=r"runs/a\.json"):
        first.open()
    assert content(last) == b"runs/deep/c.json"


@pytest.mark.usefixtures("bucket")
def test_a_refused_connection_is_told_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    start = time.monotonic()
    message = refusal("s3://histories/x").message
    assert time.monotonic() - start < 30
    assert "127.0.0.1:1 cannot be reached" in message


@pytest.mark.usefixtures("bucket")
def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setattr(buckets, "PATIENCE", 1.0)
        error = refusal("s3://histories/x")
    assert "cannot be reached" in error.message
    assert "no answer within 1 second" in error.hint


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("gs://anonymous@bucket/x?endpoint_override=127.0.0.1:1&scheme=http&retry_limit_seconds=1", "reached"),
        ("az://container/x", "refused"),
        ("gs:///x", "names no bucket"),
    ],
)
def test_other_stores_are_refused_as_clearly(uri: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT", raising=False)
    assert expected in refusal(uri).message


def test_a_result_is_written_whole(bucket: Any) -> None:
    with open_output("s3://histories/out/result.parquet") as output:
        output.write(b"x" * 9_000_000)
        assert not list(bucket.objects.filter(Prefix="out/"))
    assert bucket.Object("out/result.parquet").content_length == 9_000_000


def test_what_fails_half_way_writes_nothing(bucket: Any) -> None:
    with pytest.raises(ZeroDivisionError), open_output("s3://histories/out/x") as output:
        output.write(b"x" * (5_000_000 + 1 // output.write(b"")))
    assert not list(bucket.objects.filter(Prefix="out/"))


@pytest.mark.usefixtures("bucket")
def test_a_bucket_that_is_missing_is_told_when_writing() -> None:
    with pytest.raises(ReplaytoolError, match="no bucket"), open_output("s3://missing-bucket/x") as output:
        output.write(b"x")
    with pytest.raises(ReplaytoolError, match="names no object"):
        open_output("s3://histories/out/")
