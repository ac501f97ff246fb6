"""Keyed pseudonyms: no identifier reaches the database.

HMAC-SHA-256 (RFC 2104) over ``domain NUL value``, truncated to 128 bits so that PostgreSQL can
keep it as ``uuid``. Domains keep a citizen number and an equal-looking insurance number apart;
the same person has the same key in every source.
"""

from __future__ import annotations

import polars as pl
import polars_hash  # noqa: F401  (registers the namespace `chash`)

KEY_MIN_BYTES = 32
PSEUDONYM_DIGITS = 32


def pseudonym(value: pl.Expr, key: bytes, domain: str) -> pl.Expr:
    """32 hexadecimal digits for each identifier of ``domain``, null for null.

    Computed column by column in native code: a call for each value cost more than reading, checking
    and sending the whole row. Held against the standard library by a test.

    Raises:
        ValueError: the key is too short to keep anything secret.
    """
    if len(key) < KEY_MIN_BYTES:
        raise ValueError(
            f"the pseudonym key must have at least {KEY_MIN_BYTES} bytes (NQ42_PSEUDONYM_KEY)"
        )
    message = pl.concat_str(pl.lit(domain + "\0"), value)
    return message.chash.hmac_sha256(key=key.decode()).str.slice(0, PSEUDONYM_DIGITS)
