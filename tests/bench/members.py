"""One month's card list of the sample, alone: the other extracts would take minutes."""

from __future__ import annotations

from pathlib import Path

from loaders import sample
from loaders.sample import agencies
from loaders.sample.geography import SEEDS_DIR, read_geography
from loaders.sample.province import Month, Province

SOURCE, DATASET = "social_insurance", "health_insurance_members"
MONTH = "2025-07"
#: Scale of the sample that gives the insured people of the province.
PROVINCE = 0.685


def member_list(inbox: Path, scale: float, month: str = MONTH) -> Path:
    """Write the list into the inbox; 1,261,516 rows for ``PROVINCE``."""
    province = Province(read_geography(SEEDS_DIR), scale, 42)
    extract = next(agencies.extracts(province, Month(month)))
    assert extract.dataset == DATASET
    file, _, _ = sample._write(extract, province, Month(month), inbox, "sample", 0.01)
    return file.path
