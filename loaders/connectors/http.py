"""One file behind a web address, resumed where the server allows it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loaders.connectors.base import (
    DataLabel,
    Delivery,
    DeliveryError,
    Maturity,
    Order,
    Sink,
    SourceUnavailable,
)
from loaders.connectors.options import (
    RETRY,
    TIMEOUTS,
    Auth,
    NamePattern,
    Retry,
    Status,
    Timeouts,
    Url,
)
from loaders.connectors.retries import with_retries
from loaders.connectors.web import Web, open_web

if TYPE_CHECKING:
    import httpx

CODINGS = ("gzip", "deflate")


@dataclass
class _Version:
    """What tells the file at the first try from another one under the same address.

    ``validator`` goes into If-Range: a strong ETag, else the time of the last change. Without one
    nothing can be resumed.
    """

    validator: str | None = None
    total: int | None = None


def fetch_http(
    order: Order,
    sink: Sink,
    *,
    url: Url,
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
    """The file behind an address; None when the server has none for the period.

    The bytes are asked for as they are. A server that compresses them all the same has them
    unpacked here, because that coding belongs to the line and not to the file; such a transfer
    starts anew after a cut.

    Args:
        url: address, a template.
        auth: credential, where one is needed.
        missing_status: answers that mean "not yet".
        file_name: name for messages and the receipt, a template; by default the address's end.
        ca_file: certificate authority of an agency that has its own.
        plain_http: allow an address without encryption.
        maturity, data_label: what the contract knows of files of this source.

    Raises:
        DeliveryError: an answer that no later try will better, such as a refused credential.
        SourceUnavailable: trouble on the way, after all tries.
    """
    address = order.fill(url)
    name = order.fill(file_name) if file_name else _name_in(address, order.dataset)
    version = _Version()
    with open_web(
        order, address, auth=auth, timeouts=timeouts, ca_file=ca_file, plain_http=plain_http
    ) as web:
        found = with_retries(
            lambda: _attempt(web, address, sink, version, missing_status), sink, retry
        )
    if not found:
        return None
    return order.delivery(name, maturity, data_label)


def _name_in(address: str, fallback: str) -> str:
    end = re.sub(r"[?#].*", "", address).rpartition("/")[2]
    return end or fallback


def _attempt(
    web: Web, address: str, sink: Sink, version: _Version, missing: tuple[int, ...]
) -> bool:
    headers = {}
    if sink.size and version.validator:
        headers = {"Range": f"bytes={sink.size}-", "If-Range": version.validator}
    with web.get(address, headers) as response:
        if response.status_code == 416:  # the file has become shorter than what came of it
            sink.restart()
            raise SourceUnavailable(f"{web.host} has another file than before")
        if not web.has_content(response, missing):
            return False
        if response.status_code == 206:
            _check_continuation(web, response, sink, version)
        else:
            sink.restart()
            version.total = _length(response)
        coding = response.headers.get("content-encoding", "identity").lower()
        # Positions in a compressed body mean nothing in the file.
        version.validator = _validator(response) if coding == "identity" else None
        if version.total is not None and coding == "identity":
            sink.announce(version.total)
        _copy(web, response, coding, sink)
        if coding == "identity" and version.total not in (None, sink.size):
            raise SourceUnavailable(
                f"{web.host} announced {version.total} bytes and sent {sink.size}"
            )
    return True


def _copy(web: Web, response: httpx.Response, coding: str, sink: Sink) -> None:
    length = _length(response)
    if length is None and response.headers.get("transfer-encoding", "").lower() != "chunked":
        raise DeliveryError(
            f"{web.host} does not say how long the file is (no Content-Length), so that a cut file "
            "would look whole; ask the agency to state it"
        )
    # No size given: what waits to fill a larger chunk would be lost with the line.
    if coding == "identity":
        for chunk in response.iter_raw():
            sink.write(chunk)
    elif coding in CODINGS:
        for chunk in response.iter_bytes():
            sink.write(chunk)
    else:
        raise DeliveryError(
            f"{web.host} sent the file in the coding {coding!r}, which was not asked for; ask the "
            "agency to send it plain"
        )
    if length not in (None, response.num_bytes_downloaded):
        raise SourceUnavailable(
            f"{web.host} announced {length} bytes and sent {response.num_bytes_downloaded}"
        )


def _length(response: httpx.Response) -> int | None:
    value = response.headers.get("content-length", "")
    return int(value) if re.fullmatch(r"[0-9]{1,18}", value) else None


def _validator(response: httpx.Response) -> str | None:
    tag = response.headers.get("etag", "")
    return tag if tag.startswith('"') else response.headers.get("last-modified")


def _check_continuation(web: Web, response: httpx.Response, sink: Sink, version: _Version) -> None:
    """A part must go on where the last one ended, and belong to the same file."""
    match = re.fullmatch(
        r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)", response.headers.get("content-range", "")
    )
    total = match[2] if match else None
    is_same = (
        match is not None
        and int(match[1]) == sink.size
        and (version.total is None or total == str(version.total))
        and _validator(response) in (version.validator, None)
    )
    if not is_same:
        sink.restart()
        version.validator = None
        raise SourceUnavailable(f"{web.host} has another file than before")
    if version.total is None and total is not None and total.isdigit():
        version.total = int(total)
