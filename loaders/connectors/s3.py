"""Objects in a bucket of any S3-compatible store, resumed by ranges of one version."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from loaders.connectors.base import (
    BESIDE,
    CHUNK_BYTES,
    SIDE_CAR_MAX_BYTES,
    SIDE_CAR_SUFFIX,
    DataLabel,
    Delivery,
    DeliveryError,
    Maturity,
    Order,
    Sink,
    SourceUnavailable,
    only_one,
)
from loaders.connectors.options import RETRY, TIMEOUTS, Pattern, Retry, SecretName, Timeouts, Url
from loaders.connectors.retries import with_retries
from loaders.settings import SettingsError

Bucket = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
#: Object stores want to be asked again; 404 and 403 mean what they say.
TRANSIENT = ("RequestTimeout", "SlowDown", "ServiceUnavailable", "InternalError", "Throttling")


@dataclass
class _Object:
    """The object that a try has found: its version stays the same over all tries, or all is new."""

    key: str
    etag: str
    size: int
    side_car: bytes | None = None


def fetch_s3(
    order: Order,
    sink: Sink,
    *,
    bucket: Bucket,
    pattern: Pattern,
    credential: SecretName,
    endpoint_url: Url | None = None,
    region: str = "us-east-1",
    timeouts: Timeouts = TIMEOUTS,
    retry: Retry = RETRY,
    ca_file: str | None = None,
    maturity: Maturity = "provisional",
    data_label: DataLabel = "real",
) -> Delivery | None:
    """The object of one dataset for a period; None when nothing has arrived.

    Args:
        bucket: name of the bucket.
        pattern: key, a template, with ``*``, ``?`` and ``[…]`` between slashes.
        credential: secret ``{"access_key": "…", "secret_key": "…"}``.
        endpoint_url: address of a store that is not Amazon's.
        region: region that requests are signed for.
        ca_file: certificate authority of a store that has its own.
        maturity, data_label: of objects without a side-car ``<key>.delivery.json``.

    Raises:
        DeliveryError: several keys match, the store refuses the credential or has no such bucket,
            the side-car is wrong.
        SourceUnavailable: trouble on the way, after all tries.
    """
    client = _client(order, credential, endpoint_url, region, timeouts, ca_file)
    key = order.fill(pattern)
    found: list[_Object] = []

    def attempt() -> bool:
        with _plain_errors(bucket, credential):
            if not found:
                chosen = _find(client, bucket, key)
                if chosen is None:
                    return False
                found.append(chosen)
            try:
                _copy(client, bucket, found[0], sink)
            except _Changed:
                sink.restart()
                found.clear()
                raise SourceUnavailable(f"{key} in bucket {bucket} changed on the way") from None
        return True

    try:
        if not with_retries(attempt, sink, retry):
            return None
    finally:
        client.close()
    name = found[0].key.rpartition("/")[2]
    return order.delivery(name, maturity, data_label, sent=found[0].side_car)


class _Changed(Exception):
    """The object is no longer the version that was begun."""


def _client(
    order: Order,
    credential: str,
    endpoint_url: str | None,
    region: str,
    timeouts: Timeouts,
    ca_file: str | None,
) -> Any:
    import boto3
    from botocore.config import Config

    parts = order.credential(credential, "")
    access_key = parts.get("access_key") or parts.get("username")
    secret_key = parts.get("secret_key") or parts.get("password")
    if not access_key or not secret_key:
        raise SettingsError(
            f'the secret {credential!r} must be {{"access_key": "…", "secret_key": "…"}}'
        )
    return boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint_url,
        region_name=region,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
        verify=ca_file if ca_file is not None else True,
        config=Config(
            connect_timeout=timeouts.connect,
            read_timeout=timeouts.read,
            retries={"total_max_attempts": 1},  # the waits are ours
            response_checksum_validation="when_required",  # a range has no checksum of its own
            s3={"addressing_style": "path"} if endpoint_url else None,
        ),
    )


@contextmanager
def _plain_errors(bucket: str, credential: str) -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", "?"))
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)
        if status >= 500 or status == 429 or code.startswith(TRANSIENT):
            raise SourceUnavailable(f"the store of bucket {bucket} answers {code}") from error
        if status in (401, 403):
            raise DeliveryError(
                f"the store refuses the credential {credential!r} for bucket {bucket} ({code}); "
                "correct the secret, or ask the agency for access"
            ) from error
        raise DeliveryError(
            f"the store answers {code} for bucket {bucket}; correct bucket and pattern in the "
            "contract, or ask the agency what changed"
        ) from error
    except (HTTPClientError, BotoCoreError, OSError) as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise DeliveryError(
                f"the certificate of the store of bucket {bucket} is not trusted; ask the agency "
                "for its certificate authority and name it in the option ca_file"
            ) from error
        raise SourceUnavailable(
            f"the store of bucket {bucket} cannot be reached, or broke off ({type(error).__name__})"
        ) from error


def _find(client: Any, bucket: str, pattern: str) -> _Object | None:
    depth = pattern.count("/")
    prefix = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
    keys: dict[str, int] = {}
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", ()):
            key = item["Key"]
            # fnmatch lets a star run over slashes; a folder deeper is another folder.
            if key.count("/") == depth and fnmatch.fnmatchcase(key, pattern):
                keys[key] = item["Size"]
    files = [key for key in keys if not key.endswith((*BESIDE, "/"))]
    chosen = only_one(files, f"bucket {bucket}", pattern)
    if chosen is None:
        return None
    head = client.head_object(Bucket=bucket, Key=chosen)
    return _Object(chosen, head["ETag"], head["ContentLength"], _side_car(client, bucket, chosen))


def _side_car(client: Any, bucket: str, key: str) -> bytes | None:
    from botocore.exceptions import ClientError

    try:
        body = client.get_object(Bucket=bucket, Key=key + SIDE_CAR_SUFFIX)["Body"]
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in ("NoSuchKey", "404"):
            return None
        raise
    with body:
        return body.read(SIDE_CAR_MAX_BYTES + 1)


def _copy(client: Any, bucket: str, found: _Object, sink: Sink) -> None:
    from botocore.exceptions import ClientError

    sink.announce(found.size)
    if sink.size == found.size:  # also the empty object, of which no range can be asked
        return
    try:
        answer = client.get_object(
            Bucket=bucket, Key=found.key, IfMatch=found.etag, Range=f"bytes={sink.size}-"
        )
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if status in (404, 412, 416):
            raise _Changed from error
        raise
    with answer["Body"] as body:
        if answer["ETag"] != found.etag:
            raise _Changed
        if not str(answer.get("ContentRange", "")).startswith(f"bytes {sink.size}-"):
            sink.restart()  # a store that knows no ranges sends the whole
        while chunk := body.read(CHUNK_BYTES):
            sink.write(chunk)
    if sink.size != found.size:
        raise SourceUnavailable(
            f"{found.key} has {found.size} bytes and {sink.size} came from bucket {bucket}"
        )
