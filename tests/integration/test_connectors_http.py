"""The http connector against a real server that cuts, stalls, changes and refuses."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from loaders.settings import SettingsError
from tests.conftest import Warehouse
from tests.integration.landing import (
    CONTENT,
    QUICK,
    SOURCE,
    Landing,
    landed,
    receipts,
    recorded,
)

HALF = len(CONTENT) // 2
OTHER = CONTENT[::-1]


class Handler(BaseHTTPRequestHandler):
    """Answers each request with the next line of the test's script."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.server.requests.append((self.path, dict(self.headers)))
        script = self.server.script
        (script.pop(0) if len(script) > 1 else script[0])(self)

    def send(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        stated = {"Content-Length": str(len(body))}
        for name, value in (stated | {k.replace("_", "-"): v for k, v in headers.items()}).items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def cut(self) -> None:
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list[Callable[[Handler], None]] = []
        self.requests: list[tuple[str, dict[str, str]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/out/the_{{yyyymm}}.csv"

    def handle_error(self, *_: Any) -> None:  # clients that leave early are the point of the tests
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def whole(content: bytes = CONTENT, etag: str = '"1"') -> Callable[[Handler], None]:
    """A server that knows ranges, as long as If-Range names the version."""

    def answer(handler: Handler) -> None:
        wanted = handler.headers.get("Range")
        if wanted and handler.headers.get("If-Range") == etag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            place = f"bytes {start}-{len(content) - 1}/{len(content)}"
            handler.send(206, content[start:], ETag=etag, Content_Range=place)
        else:
            handler.send(200, content, ETag=etag)

    return answer


def cut(content: bytes = CONTENT, at: int = HALF, **headers: str) -> Callable[[Handler], None]:
    """All bytes are announced, then the line breaks."""

    def answer(handler: Handler) -> None:
        handler.send_response(200)
        for name, value in ({"Content-Length": str(len(content)), "ETag": '"1"'} | headers).items():
            if value:
                handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content[:at])
        handler.cut()

    return answer


def status(code: int, **headers: str) -> Callable[[Handler], None]:
    return lambda handler: handler.send(code, b"{}" if code != 204 else b"", **headers)


def test_a_file_is_landed_whole_with_its_name(landing: Landing, server: Server) -> None:
    server.script = [whole()]
    result = landing("2024-01", "http", url=server.url, maturity="final", retry=QUICK)
    assert landed(result) == CONTENT
    assert result.file_name == "the_202401.csv"
    assert [path for path, _ in server.requests] == ["/out/the_202401.csv"]
    again = landing("2024-01", "http", url=server.url, retry=QUICK)
    assert again.status == "unchanged"


def test_a_cut_connection_goes_on_where_it_broke(landing: Landing, server: Server) -> None:
    server.script = [cut(), whole()]
    assert landed(landing("2024-02", "http", url=server.url, retry=QUICK)) == CONTENT
    again = server.requests[1][1]
    assert (again["Range"], again["If-Range"]) == (f"bytes={HALF}-", '"1"')


def test_a_line_that_breaks_more_often_than_attempts_still_brings_the_file(
    landing: Landing, server: Server
) -> None:
    def piece(handler: Handler) -> None:
        start = int(handler.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        handler.send_response(206 if start else 200)
        handler.send_header("ETag", '"1"')
        handler.send_header("Content-Length", str(len(CONTENT) - start))
        place = f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
        handler.send_header("Content-Range", place)
        handler.end_headers()
        handler.wfile.write(CONTENT[start : start + len(CONTENT) // 8])
        handler.cut()

    server.script = [piece]
    assert landed(landing("2024-03", "http", url=server.url, retry=QUICK)) == CONTENT
    assert len(server.requests) > QUICK["attempts"]


@pytest.mark.parametrize(
    ("period", "second"),
    [
        ("2024-04", whole(OTHER, '"2"')),  # If-Range keeps the old version out
        ("2024-05", lambda h: h.send(200, OTHER, ETag='"1"')),  # no ranges at all
        (
            "2024-06",  # a server that ignores If-Range
            lambda h: h.send(
                206,
                OTHER[HALF:],
                ETag='"2"',
                Content_Range=f"bytes {HALF}-{len(OTHER) - 1}/{len(OTHER)}",
            ),
        ),
        ("2024-07", status(416)),
    ],
)
def test_a_file_that_changed_in_between_is_fetched_anew(
    landing: Landing, server: Server, period: str, second: Callable[[Handler], None]
) -> None:
    server.script = [cut(), second, whole(OTHER, '"2"')]
    assert landed(landing(period, "http", url=server.url, retry=QUICK)) == OTHER


def test_without_a_validator_a_cut_file_is_fetched_anew(landing: Landing, server: Server) -> None:
    server.script = [
        cut(ETag=""),
        cut(ETag='W/"weak"'),
        lambda h: h.send(200, CONTENT),
    ]
    assert landed(landing("2024-08", "http", url=server.url, retry=QUICK)) == CONTENT
    assert all("Range" not in headers for _, headers in server.requests)


def test_retry_after_is_waited_for(landing: Landing, server: Server) -> None:
    server.script = [status(503, Retry_After="1"), status(429), whole()]
    before = time.monotonic()
    assert landed(landing("2024-09", "http", url=server.url, retry=QUICK)) == CONTENT
    assert time.monotonic() - before >= 1


def test_a_server_that_wants_hours_is_left_to_the_next_run(
    landing: Landing, server: Server
) -> None:
    at = formatdate(time.time() + 7200, usegmt=True)
    server.script = [status(503, Retry_After=at)]
    result = landing("2024-10", "http", url=server.url, retry=QUICK)
    assert (result.status, result.is_unreachable) == ("missing", True)
    assert len(server.requests) == 1


def test_a_server_that_stays_away_is_recorded_and_leaves_nothing(
    landing: Landing, server: Server
) -> None:
    server.script = [cut(at=0)]
    result = landing("2024-10", "http", url=server.url, retry=QUICK)
    assert (result.status, result.is_unreachable) == ("missing", True)
    assert "tried 3 times, the next run of the import asks again" in (result.reason or "")
    assert recorded("2024-10")["reason"] == result.reason
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/x"
        result = landing("2024-10", "http", url=url, retry=QUICK)
    assert "cannot be reached" in (result.reason or "")


def test_a_slow_server_hits_the_time_out(landing: Landing, server: Server) -> None:
    released = threading.Event()
    server.script = [lambda _: released.wait(10) and None]
    before = time.monotonic()
    result = landing(
        "2024-10",
        "http",
        url=server.url,
        timeouts={"read": 0.2},
        retry=QUICK | {"attempts": 2},
    )
    released.set()
    assert time.monotonic() - before < 3
    assert "did not answer in time (ReadTimeout)" in (result.reason or "")
    assert result.is_unreachable


def test_a_trickle_is_not_waited_for_without_end(landing: Landing, server: Server) -> None:
    def trickle(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        for _ in range(1000):
            handler.wfile.write(b"x")
            time.sleep(0.05)

    server.script = [trickle]
    result = landing("2024-10", "http", url=server.url, retry=QUICK | {"max_seconds": 0.5})
    assert result.is_unreachable
    assert "in the time that the contract allows" in (result.reason or "")


@pytest.mark.parametrize("code", [404, 204])
def test_nothing_there_is_missing(landing: Landing, server: Server, code: int) -> None:
    server.script = [status(code)]
    result = landing("2024-10", "http", url=server.url, retry=QUICK)
    assert (result.status, result.is_unreachable) == ("missing", False)
    assert "expected http://127.0.0.1" in (result.reason or "")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (status(410), "answers 410 to /out/the_202410.csv"),
        (status(302, Location="http://localhost:1/x"), "redirects to http://localhost"),
        (status(302, Location="/round"), "redirects more than 5 times"),
        (lambda h: h.send(200, b"abc", Content_Encoding="zstd"), "in the coding 'zstd'"),
    ],
)
def test_what_no_later_try_would_better_is_refused_at_once(
    landing: Landing, server: Server, answer: Callable[[Handler], None], reason: str
) -> None:
    server.script = [answer]
    result = landing("2024-10", "http", url=server.url, retry=QUICK)
    assert result.status == "refused"
    assert reason in (result.reason or "")
    assert len(server.requests) <= 6


def test_a_file_without_a_stated_end_is_refused(landing: Landing, server: Server) -> None:
    def endless(handler: Handler) -> None:
        handler.send(200, b"a;b\n", Content_Length="", Connection="close")
        handler.close_connection = True

    server.script = [endless]
    result = landing("2024-10", "http", url=server.url, retry=QUICK)
    assert result.status == "refused"
    assert "does not say how long the file is" in (result.reason or "")


def test_a_redirect_on_the_same_host_is_followed(landing: Landing, server: Server) -> None:
    server.script = [status(307, Location="/there.csv"), whole()]
    assert landed(landing("2024-11", "http", url=server.url, retry=QUICK)) == CONTENT


def test_a_body_that_is_compressed_unasked_is_unpacked(landing: Landing, server: Server) -> None:
    packed = gzip.compress(CONTENT, 1)
    headers = {"Content-Encoding": "gzip"}
    server.script = [
        cut(packed, at=len(packed) // 2, **headers),
        lambda h: h.send(200, packed, ETag='"1"', Content_Encoding="gzip"),
    ]
    assert landed(landing("2024-12", "http", url=server.url, retry=QUICK)) == CONTENT
    assert "Range" not in server.requests[1][1]


def test_more_bytes_than_the_limit_are_refused(landing: Landing, server: Server) -> None:
    def unstated(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for _ in range(20):
            handler.wfile.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
        handler.wfile.write(b"0\r\n\r\n")

    for script in (whole(), unstated):
        server.script = [script]
        result = landing("2024-10", "http", url=server.url, retry=QUICK, max_bytes=10_000)
        assert result.status == "refused"
        assert "the contract allows 10000" in (result.reason or "")
    assert receipts("2024-10") == []


@pytest.mark.parametrize(
    ("auth", "value", "header"),
    [
        ({"kind": "bearer", "credential": "agency"}, "tok-1234", "Bearer tok-1234"),
        (
            {"kind": "basic", "credential": "agency"},
            '{"username": "u", "password": "p-5678"}',
            "Basic dTpwLTU2Nzg=",
        ),
        (
            {"kind": "header", "credential": "agency", "header": "X-Api-Key"},
            '{"token": "key-9"}',
            "key-9",
        ),
    ],
)
def test_a_credential_is_sent_and_never_shown(
    landing: Landing,
    server: Server,
    capfd: pytest.CaptureFixture[str],
    auth: dict[str, str],
    value: str,
    header: str,
) -> None:
    landing.secret("agency", value)
    server.script = [status(401)]
    result = landing("2024-10", "http", url=server.url, auth=auth, retry=QUICK)
    assert server.requests[0][1][auth.get("header", "Authorization")] == header
    assert result.status == "refused"
    assert "refuses the credential 'agency' (401" in (result.reason or "")
    shown = f"{result!r} {recorded('2024-10')} {capfd.readouterr()}"
    for part in ("tok-1234", "p-5678", "key-9", header):
        assert part not in shown


def test_a_token_of_two_lines_never_reaches_a_message(landing: Landing, server: Server) -> None:
    landing.secret("agency", "tok-1\nX-Evil: tok-2")
    auth = {"kind": "bearer", "credential": "agency"}
    with pytest.raises(SettingsError, match="'agency' is no token") as caught:
        landing("2024-10", "http", url=server.url, auth=auth, retry=QUICK)
    assert "tok-" not in str(caught.value)
    assert server.requests == []


def test_an_address_without_encryption_is_refused_unless_allowed(landing: Landing) -> None:
    result = landing("2024-10", "http", url="http://agency.invalid/x.csv", retry=QUICK)
    assert result.status == "refused"
    assert "without encryption" in (result.reason or "")


def test_a_person_declares_a_restatement_in_the_inbox(
    landing: Landing, server: Server, warehouse: Warehouse
) -> None:
    folder = warehouse.inbox / SOURCE / "2025-01"
    folder.mkdir(parents=True)
    note: Path = folder / "the_202501.csv.delivery.json"
    note.write_text(json.dumps({"restatement": {"reason": "the office corrected ten rows"}}))
    server.script = [whole()]
    landed(landing("2025-01", "http", url=server.url, retry=QUICK, data_label="sample"))
    found = recorded("2025-01")
    assert found["details"]["restatement_reason"] == "the office corrected ten rows"
    note.write_text('{"unknown": 1}')
    refused = landing("2025-01", "http", url=server.url, retry=QUICK)
    assert refused.status == "refused"
    assert "the_202501.csv.delivery.json: unknown" in (refused.reason or "")
