"""The s3 connector against a real S3 server, with a line to it that can break."""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import threading
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from loaders.settings import SettingsError
from tests.integration.landing import CONTENT, QUICK, Landing, landed, receipts, recorded

BUCKET = "agency"
SECRET = {"access_key": "AKIAEXAMPLE", "secret_key": "secret-4711"}


class Line:
    """A TCP relay to the server that breaks the first answers after so many bytes."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.breaks_after: list[int] = []
        self.before_retry = lambda: None
        self.requests: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self.target)) as server:
            up = threading.Thread(target=self._up, args=(client, server), daemon=True)
            up.start()
            sent = 0
            while data := _receive(server):
                try:
                    client.sendall(data)
                except OSError:
                    break
                sent += len(data)
                # Small answers (listing, head) pass; the body is cut.
                if self.breaks_after and sent >= self.breaks_after[0]:
                    self.breaks_after.pop(0)
                    self.before_retry()
                    break
            for end in (client, server):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            up.join()

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        while data := _receive(client):
            self.requests.append(data)
            try:
                server.sendall(data)
            except OSError:
                return


def _receive(end: socket.socket) -> bytes:
    try:
        return end.recv(65536)
    except OSError:
        return b""


@pytest.fixture(scope="module")
def store() -> Iterator[Any]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{host}:{port}",
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
    )
    client.create_bucket(Bucket=BUCKET)
    client.port = port
    yield client
    client.close()
    server.stop()


@pytest.fixture
def line(store: Any) -> Iterator[Line]:
    relay = Line(store.port)
    yield relay
    relay.close()


@pytest.fixture
def options(line: Line, landing: Landing) -> dict[str, Any]:
    landing.secret("store", json.dumps(SECRET))
    return {
        "endpoint_url": f"http://127.0.0.1:{line.port}",
        "bucket": BUCKET,
        "pattern": "out/{period}/DS_*.csv",
        "credential": "store",
        "retry": QUICK,
    }


def put(store: Any, key: str, content: bytes = CONTENT) -> None:
    store.put_object(Bucket=BUCKET, Key=key, Body=content)


def test_an_object_and_its_side_car_are_landed(
    landing: Landing, store: Any, options: dict[str, Any]
) -> None:
    put(store, "out/2024-01/DS_1.csv")
    put(store, "out/2024-01/deeper/DS_2.csv")
    put(store, "out/2024-01/DS_1.csv.delivery.json", b'{"data_label": "sample"}')
    result = landing("2024-01", "s3", **options)
    assert landed(result) == CONTENT
    assert (result.file_name, result.data_label) == ("DS_1.csv", "sample")


def test_a_broken_line_goes_on_where_it_broke(
    landing: Landing, store: Any, line: Line, options: dict[str, Any]
) -> None:
    put(store, "out/2024-02/DS_1.csv")
    line.breaks_after = [len(CONTENT) // 2]
    assert landed(landing("2024-02", "s3", **options)) == CONTENT
    ranges = [
        header
        for request in line.requests
        for header in request.decode("latin-1").lower().split("\r\n")
        if header.startswith("range:")
    ]
    assert ranges[0] == "range: bytes=0-"
    assert len(ranges) == 2
    assert int(ranges[1].removeprefix("range: bytes=").rstrip("-")) > 0


def test_an_object_that_changed_in_between_is_fetched_anew(
    landing: Landing, store: Any, line: Line, options: dict[str, Any]
) -> None:
    put(store, "out/2024-03/DS_1.csv")
    other = CONTENT[::-1]
    line.breaks_after = [len(CONTENT) // 2]
    line.before_retry = lambda: put(store, "out/2024-03/DS_1.csv", other)
    assert landed(landing("2024-03", "s3", **options)) == other


def test_nothing_there_is_missing_and_two_are_refused(
    landing: Landing, store: Any, options: dict[str, Any]
) -> None:
    assert landing("2024-04", "s3", **options).status == "missing"
    put(store, "out/2024-04/DS_1.csv", b"1")
    put(store, "out/2024-04/DS_2.csv", b"2")
    result = landing("2024-04", "s3", **options)
    assert result.status == "refused"
    assert "out/2024-04/DS_1.csv, out/2024-04/DS_2.csv" in (result.reason or "")


def test_an_empty_object_and_one_over_the_limit_are_refused(
    landing: Landing, store: Any, options: dict[str, Any]
) -> None:
    put(store, "out/2024-05/DS_1.csv", b"")
    assert "is empty (0 bytes)" in (landing("2024-05", "s3", **options).reason or "")
    put(store, "out/2024-05/DS_1.csv")
    result = landing("2024-05", "s3", **options, max_bytes=1000)
    assert "the contract allows 1000" in (result.reason or "")
    assert receipts("2024-05") == []


def test_a_bucket_that_is_not_there_is_refused(landing: Landing, options: dict[str, Any]) -> None:
    result = landing("2024-06", "s3", **options | {"bucket": "nowhere"})
    assert result.status == "refused"
    assert "answers NoSuchBucket" in (result.reason or "")


def test_a_store_that_stays_away_is_recorded_without_the_secret(
    landing: Landing, options: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    result = landing("2024-06", "s3", **options | {"endpoint_url": f"http://127.0.0.1:{port}"})
    assert (result.status, result.is_unreachable) == ("missing", True)
    assert "4711" not in f"{result!r} {recorded('2024-06')} {capfd.readouterr()}"


def test_a_silent_store_hits_the_time_out(landing: Landing, options: dict[str, Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        changed = {
            "endpoint_url": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "timeouts": {"connect": 1, "read": 0.2},
        }
        result = landing("2024-06", "s3", **options | changed)
    assert result.is_unreachable
    assert "ReadTimeoutError" in (result.reason or "")


def test_half_a_credential_is_a_wrong_setting(landing: Landing, options: dict[str, Any]) -> None:
    landing.secret("store", "secret-4711")
    with pytest.raises(SettingsError, match="'store' must be") as caught:
        landing("2024-06", "s3", **options)
    assert "4711" not in str(caught.value)
