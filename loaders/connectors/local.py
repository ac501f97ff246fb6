"""Deliveries that lie in a folder: ``<inbox>/<source>/<period>/<file>``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

SIDE_CAR_SUFFIX = ".delivery.json"


class DeliveryError(ValueError):
    """A delivery that cannot be taken; the message names the file and what to do."""


class Restatement(BaseModel):
    """A declaration that this file replaces the one loaded before, and why."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    reason: str = Field(min_length=10)


class DeliveryNote(BaseModel):
    """The side-car ``<file>.delivery.json``: what the sender says of the file.

    Without a side-car a delivery is real and provisional.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    data_label: Literal["real", "sample"] = "real"
    maturity: Literal["provisional", "final"] = "provisional"
    note: str = ""
    control_totals: dict[str, Any] = Field(default_factory=dict)
    restatement: Restatement | None = None


class Delivery(BaseModel):
    """A file as it lies there, with its note."""

    model_config = ConfigDict(frozen=True)
    path: Path
    note: DeliveryNote


def read_note(path: Path) -> DeliveryNote:
    side_car = path.with_name(path.name + SIDE_CAR_SUFFIX)
    if not side_car.exists():
        return DeliveryNote()
    try:
        return DeliveryNote.model_validate_json(side_car.read_text(encoding="utf-8"))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "(json)"
        raise DeliveryError(
            f"{side_car.name}: {key}: {first['msg']}; correct the side-car and land again"
        ) from error


def fetch_local(inbox: Path, source: str, period: str, *, pattern: str) -> Delivery | None:
    """The delivery of one dataset for ``period``, or None when nothing has arrived.

    Args:
        pattern: file name; ``{yyyymm}`` and ``{period}`` stand for the month.

    Raises:
        DeliveryError: the side-car cannot be read.
    """
    name = pattern.format(yyyymm=period.replace("-", ""), period=period)
    path = inbox / source / period / name
    if not path.is_file():
        return None
    return Delivery(path=path, note=read_note(path))
