"""The invented province: extracts of every agency for any month, with known defects and truth."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from loaders.contracts.model import Contract, Dataset, get_contract
from loaders.log import get_logger
from loaders.sample import agencies
from loaders.sample.defects import Defect, damage
from loaders.sample.files import to_text, write_file, write_side_car
from loaders.sample.geography import SEEDS_DIR, SampleError, read_geography
from loaders.sample.health import Health
from loaders.sample.province import Month, Province
from loaders.sample.truth import Known, truth_rows, write_truth

REAL_DIR = Path(__file__).parent / "real"
#: The source whose published tables are real; only its commune population is invented.
STATISTICS = "statistics_office"
SAMPLE_NOTE = "Dữ liệu mẫu, người và số liệu không có thật / Sample data, nobody in it is real"
REAL_NOTE = "Số liệu đã công bố / Published figures"

__all__ = ["GeneratedFile", "SampleError", "generate"]


@dataclass(frozen=True)
class GeneratedFile:
    """One file that was written.

    ``rows`` counts the data rows of an invented extract, damaged ones included; it is None for a
    published table, which is copied as it is.
    """

    source: str
    dataset: str
    period: str
    path: Path
    rows: int | None
    defects: int
    data_label: str


def generate(
    months: list[str],
    scale: float,
    seed: int,
    inbox: Path,
    truth_dir: Path | None,
    data_label: str = "sample",
    defect_share: float = 0.01,
    *,
    seeds: Path = SEEDS_DIR,
) -> list[GeneratedFile]:
    """Write the extracts of all sources for ``months`` into the inbox.

    Equal arguments give equal bytes, and a month is the same whichever months are asked for.

    Args:
        months: "2024-06" and so on, from 2024-01 to 2027-12.
        scale: 1 is the real size, 1.86 million people.
        inbox: files go to ``<inbox>/<source>/<period>/<file>`` with their delivery note.
        truth_dir: where ``truth.csv`` and ``defects.csv`` go; None computes no truth.
        defect_share: part of the rows of each person or facility file to damage.
        seeds: folder of ``geo_unit.csv`` and ``geo_crosswalk.csv``.

    Raises:
        SampleError: a month outside the years, a scale out of range, or a seed that is missing.
    """
    if not 0 <= defect_share <= 0.05:
        raise SampleError(f"defect share {defect_share}: give a number from 0 to 0.05")
    calendar = [Month(period) for period in sorted(set(months))]
    province = Province(read_geography(seeds), scale, seed)
    health = Health(province)
    written: list[GeneratedFile] = []
    truth: list[dict] = []
    defects: list[tuple[GeneratedFile, Defect]] = []
    for month in calendar:
        known: dict[str, Known] = {}
        for source, name, records in _records(province, health, month):
            contract = get_contract(source)
            dataset = contract.dataset(name)
            file, lost, found = _write(
                contract, dataset, province, month, records, inbox, data_label, defect_share
            )
            written.append(file)
            defects += [(file, defect) for defect in found]
            if truth_dir is not None:
                known[name] = Known(_for_truth(records), lost)
        if truth_dir is not None:
            truth += truth_rows(province.geography, month, known)
        written += _copy_real(month, inbox)
    if truth_dir is not None:
        truth_dir.mkdir(parents=True, exist_ok=True)
        write_truth(truth_dir / "truth.csv", truth)
        _write_defects(truth_dir / "defects.csv", defects)
    return written


def _records(
    province: Province, health: Health, month: Month
) -> Iterator[tuple[str, str, pl.DataFrame]]:
    """Source, dataset and undamaged records of each invented extract."""
    cards = agencies.health_insurance_members(province, month, health.station_codes)
    yield "social_insurance", "health_insurance_members", cards
    del cards
    # Only newly licensed places without staff are damaged: see Health.
    facilities = health.facilities_of(month).with_columns(_may_break=~pl.col("_has_staff"))
    yield "health", "facilities", facilities
    yield "health", "staff", health.staff_of(month)
    pupils = agencies.pupils(province, month)
    yield "education", "pupils", pupils.with_columns(_has_grade=pl.col("grade").is_not_null())
    yield "housing", "temporary_houses", agencies.temporary_houses(province, month)
    yield STATISTICS, "commune_population", agencies.commune_population(province, month)


def _write(
    contract: Contract,
    dataset: Dataset,
    province: Province,
    month: Month,
    records: pl.DataFrame,
    inbox: Path,
    data_label: str,
    share: float,
) -> tuple[GeneratedFile, np.ndarray, list[Defect]]:
    outdated = province.geography.outdated[month.era]
    text = to_text(dataset, month.period, records)
    text, lost, found = damage(dataset, month, text, records, outdated, share, province.seed)
    path = inbox / dataset.source / month.period / _file_name(dataset, month)
    write_file(contract, dataset, month, text, path)
    write_side_car(path, data_label, SAMPLE_NOTE, text.height)
    file = GeneratedFile(
        source=dataset.source,
        dataset=dataset.name,
        period=month.period,
        path=path,
        rows=text.height,
        defects=len(found),
        data_label=data_label,
    )
    return file, lost, found


def _file_name(dataset: Dataset, month: Month) -> str:
    pattern: str = dataset.extension.connector.options["pattern"]
    return pattern.format(yyyymm=month.period.replace("-", ""), period=month.period)


def _for_truth(records: pl.DataFrame) -> pl.DataFrame:
    """Records without what identifies people: the truth needs none of it, and memory is dear."""
    heavy = {
        "person_key", "full_name", "social_insurance_key", "card_key", "record_key", "pupil_key",
        "address", "licence_key", "registered_facility_code", "ethnic_group_code", "birth_month",
    }  # fmt: skip
    return records.select(name for name in records.columns if name not in heavy)


def _copy_real(month: Month, inbox: Path) -> list[GeneratedFile]:
    """The published tables of the statistics office, as shipped with the project."""
    copied = []
    for dataset in get_contract(STATISTICS).datasets:
        if dataset.name == "commune_population":
            continue
        name = _file_name(dataset, month)
        source = REAL_DIR / STATISTICS / name
        if not source.is_file():
            get_logger().error(
                "published table is not shipped, the month goes without it",
                source=STATISTICS,
                dataset=dataset.name,
                period=month.period,
                missing=str(source),
            )
            continue
        target = inbox / STATISTICS / month.period / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        write_side_car(target, "real", REAL_NOTE, None)
        copied.append(
            GeneratedFile(STATISTICS, dataset.name, month.period, target, None, 0, "real")
        )
    return copied


def _write_defects(path: Path, defects: list[tuple[GeneratedFile, Defect]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["source", "dataset", "period", "file", "row_number", "kind", "rule"])
        for file, defect in defects:
            place = [file.source, file.dataset, file.period, file.path.name]
            writer.writerow([*place, defect.row_number, defect.kind, defect.rule])
