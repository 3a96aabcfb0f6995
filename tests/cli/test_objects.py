"""From object stores and to them, over the real protocol."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator

import boto3
import pyarrow.parquet as pq
import pytest
from moto.server import ThreadedMotoServer

from tests.conftest import Call
from tests.support.paths import FIXTURES

BUCKET = "exports"  # all moto servers of a process share their buckets


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_S3": f"http://{host}:{port}",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1")
    client.create_bucket(Bucket=BUCKET)
    yield client
    server.stop()


def test_load_from_a_bucket_and_write_parquet_to_it(call: Call, bucket: object) -> None:
    client = boto3.client("s3", endpoint_url=bucket.meta.endpoint_url, region_name="us-east-1")  # type: ignore[attr-defined]
    for index, name in enumerate(("timers", "updates", "signals")):
        content = (FIXTURES / name).glob("history*.json").__next__().read_bytes()
        client.put_object(Bucket=BUCKET, Key=f"in/{name}.json.gz", Body=gzip.compress(content) if index else content)
    assert call("load", f"s3://{BUCKET}/in", "--json").json["runs"] == {"new": 3}
    assert call("sql", "FROM runs", "-o", f"s3://{BUCKET}/out/runs.parquet").code == 0
    written = client.get_object(Bucket=BUCKET, Key="out/runs.parquet")["Body"].read()
    assert pq.read_table(io.BytesIO(written)).num_rows == 3
    missing = call("load", f"s3://{BUCKET}-nope/in")
    assert missing.code == 2
    assert "Traceback" not in missing.err
