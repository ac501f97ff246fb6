"""What each stage hands on: small frozen records, safe to store as JSON."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal


class Record:
    """Base of the stage records."""

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON types: tuples become lists, paths become text."""
        return {
            field.name: _json_value(getattr(self, field.name))
            for field in dataclasses.fields(self)  # type: ignore[arg-type]
        }


def _json_value(value: object) -> object:
    if isinstance(value, (tuple, list)):
        return [_json_value(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    return value


@dataclass(frozen=True)
class LandResult(Record):
    """`land`: a file was stored unchanged, was there already, is missing, or was refused.

    ``is_unreachable``: missing because its source could not be asked, or not to the end.
    """

    batch_id: str | None
    source: str
    dataset: str
    period: str
    status: Literal["landed", "unchanged", "missing", "refused"]
    reason: str | None = None
    file_name: str | None = None
    sha256: str | None = None
    size_bytes: int | None = None
    data_label: Literal["real", "sample"] | None = None
    is_unreachable: bool = False


@dataclass(frozen=True)
class Awaited(Record):
    """A dataset's period of which nothing has come and which is still waited for."""

    source: str
    dataset: str
    period: str


@dataclass(frozen=True)
class Outcome(Record):
    """How the intake of one dataset ended, whichever of its stages was the last."""

    period: str
    status: Literal["accepted", "unchanged", "missing", "refused", "held"]
    reason: str | None = None
    is_unreachable: bool = False


@dataclass(frozen=True)
class LoadResult(Record):
    """`load`: rows read = rows staged + rows quarantined, or the whole batch was refused.

    `rows_set_aside` counts by reason what the layout says is no record: subtotals, older versions.
    """

    batch_id: str
    status: Literal["loaded", "refused", "unchanged"]
    reason: str | None = None
    rows_read: int = 0
    rows_staged: int = 0
    rows_quarantined: int = 0
    rows_set_aside: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True)
class GateResult(Record):
    """`gate`: of a batch (intake) or of a candidate (release); `subject_id` is its id.

    ``waiting``: a candidate of which only warnings failed, until a person answers for them.
    """

    subject_id: str
    status: Literal["accepted", "waiting", "held", "unchanged"]
    reason: str | None = None
    rows_loaded: int = 0
    rows_quarantined: int = 0
    rules_run: int = 0
    rules_failed: int = 0


@dataclass(frozen=True)
class BuildResult(Record):
    """`build`: candidate marts for `period`; `periods` are the months that were recomputed."""

    candidate_id: str
    period: str
    status: Literal["built", "unchanged"]
    periods: tuple[str, ...] = ()
    fingerprint: str | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class PublishResult(Record):
    """`publish`: the release, and how many ledger rows differ from the release before it."""

    release_id: str
    period: str
    status: Literal["published", "unchanged"]
    rows_new: int = 0
    rows_revised: int = 0
    rows_withdrawn: int = 0
    report_path: str | None = None
