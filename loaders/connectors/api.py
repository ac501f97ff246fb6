"""Records that an API hands out page by page, landed as JSON Lines exactly as they came.

The national schema for sharing gives each record an id, an event and a version; all of them are
landed, and the reader decides which version holds.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from loaders.connectors import jsonlines
from loaders.connectors.base import (
    DataLabel,
    Delivery,
    DeliveryError,
    Maturity,
    Order,
    Sink,
)
from loaders.connectors.options import (
    ONE_PAGE,
    RETRY,
    TIMEOUTS,
    Auth,
    JsonPath,
    NamePattern,
    Pagination,
    Retry,
    Status,
    Template,
    Timeouts,
    Url,
)
from loaders.connectors.retries import with_retries
from loaders.connectors.web import Web, open_web

#: A page is held in memory; larger ones are asked for in smaller pieces (pagination.size).
PAGE_MAX_BYTES = 64 * 1024 * 1024
KEYS_SHOWN = 10


@dataclass
class _Progress:
    """What came so far; ``seen`` holds what must never come a second time."""

    records: int = 0
    total: int | None = None
    seen: set[bytes] = field(default_factory=set)

    def is_complete(self) -> bool:
        return self.total is not None and self.records >= self.total


def fetch_api(
    order: Order,
    sink: Sink,
    *,
    url: Url,
    records: JsonPath,
    params: Mapping[str, Template] = {},
    pagination: Pagination = ONE_PAGE,
    total: JsonPath | None = None,
    auth: Auth | None = None,
    missing_status: tuple[Status, ...] = (404, 204),
    file_name: NamePattern | None = None,
    timeouts: Timeouts = TIMEOUTS,
    retry: Retry = RETRY,
    ca_file: str | None = None,
    plain_http: bool = False,
    maturity: Maturity = "provisional",
    data_label: DataLabel = "real",
) -> Delivery | None:
    """All records of a period, one per line; None when the API has none.

    Numbers keep their digits, objects the order of their keys; only white space between them goes.

    Args:
        url: address, a template.
        records: where the list of records stands in an answer.
        params: what goes into the query of the address, values are templates.
        pagination: how further pages are asked for.
        total: where an answer states the number of all records; it is held against what came.
        auth: credential, where one is needed.
        missing_status: answers to the first page that mean "not yet".
        file_name: name for messages and the receipt, a template.
        ca_file: certificate authority of an agency that has its own.
        plain_http: allow an address without encryption.
        maturity, data_label: what the contract knows of records of this source.

    Raises:
        DeliveryError: an answer that is no page of records, pages that repeat, a total that the
            records do not make up, a refused credential.
        SourceUnavailable: trouble on the way, after all tries.
    """
    address = order.fill(url)
    name = order.fill(file_name or f"{order.dataset}_{{period}}.jsonl")
    query = {key: order.fill(value) for key, value in params.items()}
    progress = _Progress()
    with open_web(
        order, address, auth=auth, timeouts=timeouts, ca_file=ca_file, plain_http=plain_http
    ) as web:
        target: str | None = _first(address, query, pagination)
        pages = 0
        while target is not None:
            if pages == pagination.max_pages:
                raise DeliveryError(
                    f"{web.host} has not ended after {pages} pages; check the pagination in the "
                    "contract, or raise pagination.max_pages"
                )
            missing = missing_status if pages == 0 else ()
            body = with_retries(partial(_body, web, target, missing, sink), sink, retry)
            if body is None:
                break
            pages += 1
            document = _parse(web, body)
            found = _records(web, document, records)
            lines = _lines(web, found, progress)
            if pagination.style in ("page", "offset") and found:
                _only_once(web, progress, lines, "the records of a page")
            sink.write(lines)
            if total is not None:
                progress.total = _stated_total(web, document, total)
            target = _next(web, target, pagination, document, bool(found), progress)
    if progress.total not in (None, progress.records):
        raise DeliveryError(
            f"{web.host} states {progress.total} records, but {progress.records} came over "
            f"{pages} pages; land again, and ask the agency if the numbers stay apart"
        )
    if not progress.records:
        return None
    return order.delivery(name, maturity, data_label)


def _body(web: Web, target: str, missing: tuple[int, ...], sink: Sink) -> bytes | None:
    content = bytearray()
    with web.get(target) as response:
        if not web.has_content(response, missing):
            return None
        for chunk in response.iter_bytes():
            sink.check_time()
            content += chunk
            if len(content) > PAGE_MAX_BYTES:
                raise DeliveryError(
                    f"a page of {web.host} has more than {PAGE_MAX_BYTES} bytes; ask for smaller "
                    "ones (pagination.size)"
                )
    return bytes(content)


def _parse(web: Web, body: bytes) -> Any:
    try:
        return jsonlines.parse(body)
    except ValueError as error:
        # The library's words may repeat the text around the fault, which may be personal.
        where = f" at character {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        raise DeliveryError(
            f"{web.host} answers with something that is no JSON{where}; ask the agency what changed"
        ) from None


def _lookup(document: Any, path: str) -> Any:
    """What stands at a path; None where nothing does."""
    for key in path.split(".") if path else ():
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _records(web: Web, document: Any, path: str) -> list[dict[str, Any]]:
    found = document
    if path:
        parent, _, last = path.rpartition(".")
        holder = _lookup(document, parent)
        found = holder.get(last, ...) if isinstance(holder, dict) else ...
    if found is None:
        found = []  # an empty page, in the words of some servers
    if not isinstance(found, list) or not all(isinstance(record, dict) for record in found):
        keys = list(document)[:KEYS_SHOWN] if isinstance(document, dict) else []
        raise DeliveryError(
            f"no list of records at {path or 'the top'!r} in the answer of {web.host} (its keys: "
            f"{keys}); correct records in the contract, or ask the agency what changed"
        )
    return found


def _lines(web: Web, found: list[dict[str, Any]], progress: _Progress) -> bytes:
    lines = []
    for record in found:
        progress.records += 1
        try:
            lines.append(jsonlines.line(record))
        except ValueError as error:
            raise DeliveryError(
                f"record {progress.records} of {web.host} cannot be written as UTF-8 text; ask the "
                "agency for a corrected one"
            ) from error
    return b"".join(lines)


def _stated_total(web: Web, document: Any, path: str) -> int:
    value = _lookup(document, path)
    digits = value.digits if isinstance(value, jsonlines.Number) else value
    if not isinstance(digits, str) or not re.fullmatch(r"[0-9]{1,12}", digits):
        raise DeliveryError(
            f"no total at {path!r} in the answer of {web.host}; correct total in the contract, or "
            "ask the agency what changed"
        )
    return int(digits)


def _only_once(web: Web, progress: _Progress, what: bytes, name: str) -> None:
    digest = hashlib.sha256(what).digest()
    if digest in progress.seen:
        raise DeliveryError(
            f"{web.host} sends {name} a second time, after {progress.records} records; check the "
            "pagination in the contract (a server that repeats its last page needs total)"
        )
    progress.seen.add(digest)


def _first(address: str, query: Mapping[str, str], pagination: Pagination) -> str:
    start = {"page": str(pagination.first), "offset": "0"}.get(pagination.style)
    if start is not None and pagination.param is not None:
        query = {**query, pagination.param: start}
    if pagination.size_param is not None:
        query = {**query, pagination.size_param: str(pagination.size)}
    return _with_query(address, query)


def _next(
    web: Web,
    current: str,
    pagination: Pagination,
    document: Any,
    has_records: bool,
    progress: _Progress,
) -> str | None:
    """Address of the page after ``current``; None after the last one."""
    style, param = pagination.style, pagination.param or ""
    if style == "none":
        return None
    if style in ("page", "offset"):
        if not has_records or progress.is_complete():
            return None
        if style == "offset":
            return _with_query(current, {param: str(progress.records)})
        page = dict(parse_qsl(urlsplit(current).query))[param]
        return _with_query(current, {param: str(int(page) + 1)})
    token = _lookup(document, pagination.path or "")
    token = token.digits if isinstance(token, jsonlines.Number) else token
    if token is None or token == "":
        return None
    if not isinstance(token, str):
        raise DeliveryError(
            f"what {web.host} has at {pagination.path!r} is no text; correct pagination.path in "
            "the contract"
        )
    _only_once(web, progress, token.encode("utf-8", "surrogatepass"), "the same next page")
    try:
        if style == "cursor":
            return _with_query(current, {param: token})
        target = urljoin(current, token)
        is_same_host = urlsplit(target)[:2] == urlsplit(current)[:2]
    except ValueError:  # half a surrogate pair, or brackets in a host
        is_same_host = False
    if not is_same_host:
        raise DeliveryError(
            f"{web.host} names a next page that is no address of the same host; ask the agency "
            "which is right"
        )
    return target


def _with_query(address: str, query: Mapping[str, str]) -> str:
    """The address with these parameters, in place of those of the same names."""
    parts = urlsplit(address)
    given = parse_qsl(parts.query, keep_blank_values=True)
    kept = [(name, value) for name, value in given if name not in query]
    return urlunsplit(parts._replace(query=urlencode([*kept, *query.items()])))
