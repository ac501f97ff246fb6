"""The api connector against a real server: each way of paging, and each way that it goes wrong."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.integration.landing import QUICK, Landing, landed, receipts

RECORDS = [
    {"idbanghi": f"HGD-{i // 2}", "sukien": event, "phienban": i, "ten": "Trà Bồng"}
    for i, event in enumerate(
        ["CREATE", "UPDATE", "CREATE", "CANCEL", "CREATE", "UPDATE", "CREATE"]
    )
]
LINES = "".join(
    json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n" for record in RECORDS
).encode()
Answer = tuple[int, Any]


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                query = {k: v[-1] for k, v in parse_qs(urlsplit(self.path).query).items()}
                server.queries.append(query)
                code, document = server.answer(query)
                body = document if isinstance(document, bytes) else json.dumps(document).encode()
                self.send_response(code)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.answer: Callable[[dict[str, str]], Answer] = lambda _: (500, {})
        self.queries: list[dict[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/records?unit=51"


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def options(server: Server) -> dict[str, Any]:
    return {
        "url": server.url,
        "params": {"from": "{period_start}", "to": "{period_end}"},
        "records": "data.items",
        "retry": QUICK,
    }


PAGE = {"style": "page", "param": "page", "size_param": "size", "size": 3}
OFFSET = {"style": "offset", "param": "offset", "size_param": "limit", "size": 3}


def items(records: list[Any], **more: Any) -> Answer:
    return 200, {"data": {"items": records}, "total": len(RECORDS), **more}


def by_page(query: dict[str, str]) -> Answer:
    start = (int(query["page"]) - 1) * 3
    return items(RECORDS[start : start + 3])


def by_offset(query: dict[str, str]) -> Answer:
    start = int(query["offset"])
    return items(RECORDS[start : start + 2])  # the server caps what was wished for


def by_cursor(query: dict[str, str]) -> Answer:
    start = int(query.get("after", "0"))
    following = start + 3 if start + 3 < len(RECORDS) else None
    return items(RECORDS[start : start + 3], next=following)


@pytest.mark.parametrize(
    ("period", "answer", "pagination", "requests"),
    [
        ("2024-01", by_page, PAGE, 4),
        ("2024-02", by_offset, OFFSET, 5),
        ("2024-03", by_cursor, {"style": "cursor", "param": "after", "path": "next"}, 3),
        ("2024-04", lambda _: items(RECORDS), {"style": "none"}, 1),
    ],
)
def test_all_events_of_all_pages_are_landed_as_they_came(
    landing: Landing,
    server: Server,
    options: dict[str, Any],
    period: str,
    answer: Callable[[dict[str, str]], Answer],
    pagination: dict[str, Any],
    requests: int,
) -> None:
    server.answer = answer
    result = landing(period, "api", **options, pagination=pagination)
    assert landed(result) == LINES
    assert result.file_name == f"health_insurance_members_{period}.jsonl"
    assert len(server.queries) == requests
    for query in server.queries:
        assert (query["unit"], query["from"]) == ("51", f"{period}-01")


def test_a_next_address_is_followed_and_the_total_ends_the_pages(
    landing: Landing, server: Server, options: dict[str, Any]
) -> None:
    def by_address(query: dict[str, str]) -> Answer:
        start = int(query.get("start", "0"))
        following = f"/records?unit=51&from=x&start={start + 4}" if start == 0 else ""
        return items(RECORDS[start : start + 4], links={"next": following})

    server.answer = by_address
    pagination = {"style": "next", "path": "links.next"}
    result = landing("2024-05", "api", **options, pagination=pagination, total="total")
    assert landed(result) == LINES
    server.queries.clear()
    server.answer = by_page
    assert (
        landing("2024-05", "api", **options, pagination=PAGE, total="total").status == "unchanged"
    )
    assert len(server.queries) == 3


def test_a_page_that_fails_is_asked_for_again(
    landing: Landing, server: Server, options: dict[str, Any]
) -> None:
    def shaky(query: dict[str, str]) -> Answer:
        asked = [q["page"] for q in server.queries].count(query["page"])
        return (503, {}) if asked == 1 else by_page(query)

    server.answer = shaky
    assert landed(landing("2024-06", "api", **options, pagination=PAGE)) == LINES
    assert [q["page"] for q in server.queries] == ["1", "1", "2", "2", "3", "3", "4", "4"]


def test_numbers_keep_their_digits(
    landing: Landing, server: Server, options: dict[str, Any]
) -> None:
    line = b'{"a":1.10,"b":12345678901234567890.123456789,"c":-0,"d":1E400,"e":null,"f":"\\u0000x"}'
    server.answer = lambda _: (200, b'\xef\xbb\xbf{"data": {"items": [ ' + line + b" ]}}")
    assert landed(landing("2024-07", "api", **options)) == line + b"\n"


@pytest.mark.parametrize("answer", [(404, {}), (204, b""), (200, {"data": {"items": []}})])
def test_no_records_are_missing(
    landing: Landing, server: Server, options: dict[str, Any], answer: Answer
) -> None:
    server.answer = lambda _: answer
    result = landing("2024-08", "api", **options)
    assert (result.status, result.is_unreachable) == ("missing", False)


PAGES = {"pagination": PAGE}
CURSOR = {"pagination": {"style": "cursor", "param": "after", "path": "next"}}
NEXT = {"pagination": {"style": "next", "path": "next"}}


@pytest.mark.parametrize(
    ("answer", "more", "reason"),
    [
        (lambda _: items(RECORDS[:3]), PAGES, "sends the records of a page a second time"),
        (lambda q: items([{"n": len(q)}], next="same"), CURSOR, "the same next page a second"),
        (lambda _: items([], next="https://other.invalid/x"), NEXT, "no address of the same host"),
        (lambda _: items([], next="//[x"), NEXT, "no address of the same host"),
        (lambda _: items([], next={"a": 1}), NEXT, "at 'next' is no text"),
        (lambda _: items(RECORDS[:5]), {"total": "total"}, "states 7 records, but 5 came"),
        (lambda _: items(RECORDS), {"total": "data.total"}, "no total at 'data.total'"),
        (lambda _: (200, {"status": "error"}), {}, "its keys: ['status']"),
        (lambda _: items(["a"]), {}, "no list of records at 'data.items'"),
        (lambda _: (200, b"<html>"), {}, "no JSON at character 0"),
        (lambda _: (200, b'{"a": NaN}'), {}, "no JSON"),
        (lambda _: (200, b'{"a": 1, "a": 2}'), {}, "no JSON"),
        (lambda _: (200, b"[" * 100_000), {}, "no JSON"),
        (lambda _: (200, b"\xff\xfe"), {}, "no JSON"),
        (
            lambda _: (200, b'{"data":{"items":[{"a":"\\ud800"}]}}'),
            {},
            "cannot be written as UTF-8",
        ),
        (lambda q: items(RECORDS) if q["page"] == "1" else (404, {}), PAGES, "answers 404"),
        (
            lambda q: items([{"n": q["page"]}]),
            {"pagination": PAGE | {"max_pages": 5}},
            "has not ended after 5 pages",
        ),
    ],
)
def test_an_answer_that_is_no_page_of_records_is_refused(
    landing: Landing,
    server: Server,
    options: dict[str, Any],
    answer: Callable[[dict[str, str]], Answer],
    more: dict[str, Any],
    reason: str,
) -> None:
    server.answer = answer
    result = landing("2024-08", "api", **options, **more)
    assert result.status == "refused", result.reason
    assert reason in (result.reason or "")
    assert receipts("2024-08") == []


def test_more_bytes_than_the_limit_are_refused(
    landing: Landing, server: Server, options: dict[str, Any]
) -> None:
    server.answer = lambda q: items([{"n": q["page"], "x": "y" * 1000}])
    result = landing("2024-08", "api", **options, pagination=PAGE, max_bytes=5000)
    assert result.status == "refused"
    assert "the contract allows 5000" in (result.reason or "")
