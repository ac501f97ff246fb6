"""Connectors fetch the bytes of a delivery; a contract names one and gives its options.

Their libraries are imported where a connector runs: every task reads every contract, and so this
package, but most need none of them.
"""

from loaders.connectors.api import fetch_api
from loaders.connectors.base import (
    CORRECTIONS_SUFFIX,
    Delivery,
    DeliveryError,
    DeliveryNote,
    Order,
    Sink,
    SourceUnavailable,
)
from loaders.connectors.http import fetch_http
from loaders.connectors.local import fetch_local
from loaders.connectors.s3 import fetch_s3
from loaders.connectors.sftp import fetch_sftp
from loaders.connectors.sql import fetch_sql

CONNECTORS = {
    "api": fetch_api,
    "http": fetch_http,
    "local": fetch_local,
    "s3": fetch_s3,
    "sftp": fetch_sftp,
    "sql": fetch_sql,
}

__all__ = [
    "CONNECTORS",
    "CORRECTIONS_SUFFIX",
    "Delivery",
    "DeliveryError",
    "DeliveryNote",
    "Order",
    "Sink",
    "SourceUnavailable",
]
