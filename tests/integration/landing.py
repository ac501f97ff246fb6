"""Landing through any connector: what the tests of connectors share."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import pytest

from loaders.connectors import CONNECTORS
from loaders.contracts.model import Named, check_options, get_dataset
from loaders.postgres.database import Role, connect
from loaders.readers.base import Limits
from loaders.settings import get_settings
from loaders.stages import land as stage
from loaders.stages.records import LandResult

SOURCE, DATASET = "social_insurance", "health_insurance_members"
#: Waits that a test can wait for.
QUICK = {"attempts": 3, "wait_initial": 0.05, "wait_max": 0.1}
#: Long enough to be cut in the middle, not compressible, and nowhere like itself.
CONTENT = b"".join(hashlib.sha256(str(i).encode()).digest() for i in range(150_000))


class Landing:
    """`land` of one dataset, with another connector than its contract names."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch

    def __call__(
        self, period: str, connector: str, *, max_bytes: int = 10**9, **options: Any
    ) -> LandResult:
        named = check_options(
            Named(name=connector, options=options), CONNECTORS, "test.yaml", "connector"
        )
        base = get_dataset(SOURCE, DATASET)
        changed = {
            "connector": named,
            "limits": Limits(max_bytes=max_bytes),
            "allow_unchanged": True,  # the same bytes serve many tests
        }
        dataset = dataclasses.replace(base, extension=base.extension.model_copy(update=changed))
        self._patch.setattr(stage, "get_dataset", lambda *_: dataset)
        result = stage.land(SOURCE, DATASET, period)
        assert partial_files() == []
        if result.status != "landed":
            folder = get_settings().landing / SOURCE / DATASET / period
            known = receipts(period)
            assert {path.name for path in folder.glob("*")} == set(known)
        return result

    def secret(self, name: str, value: str) -> None:
        self._patch.setenv(f"NQ42_SECRET_{name.upper()}", value)


def partial_files() -> list[Path]:
    return list(get_settings().landing.glob(f"{stage.PARTIAL_PREFIX}*"))


def receipts(period: str) -> list[str]:
    """Hashes of the files of the dataset that have a receipt for a period."""
    with connect(Role.AUDITOR) as connection:
        rows = connection.execute(
            "select sha256 from audit.receipt where source = %s and dataset = %s and period = %s",
            (SOURCE, DATASET, period),
        ).fetchall()
    return [sha256 for (sha256,) in rows]


def landed(result: LandResult) -> bytes:
    """The bytes in the landing store; they are what their hash and size say."""
    assert result.status == "landed", result.reason
    assert result.sha256 is not None
    path = get_settings().landing / SOURCE / DATASET / result.period / result.sha256
    content = path.read_bytes()
    assert hashlib.sha256(content).hexdigest() == result.sha256
    assert len(content) == result.size_bytes
    assert oct(path.stat().st_mode & 0o777) == "0o600"
    return content


def recorded(period: str) -> dict[str, Any]:
    """The last batch result of a period, as text and details."""
    with connect(Role.AUDITOR) as connection:
        row = connection.execute(
            "select to_jsonb(r) from audit.batch_result as r"
            " where source = %s and dataset = %s and period = %s order by id desc limit 1",
            (SOURCE, DATASET, period),
        ).fetchone()
    assert row is not None
    return row[0]
