"""The invented province: extracts of every agency for any month, with known defects and truth."""

from __future__ import annotations

import csv
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from loaders.contracts.model import Dataset, get_contract
from loaders.log import get_logger
from loaders.sample import (
    agencies,
    defects,
    environment,
    home_affairs,
    insurance,
    poverty,
    public_health,
    schools,
)
from loaders.sample.defects import Defect, damage
from loaders.sample.extract import Extract
from loaders.sample.files import file_order, to_text, write_file, write_side_car
from loaders.sample.geography import SEEDS_DIR, SampleError, read_geography
from loaders.sample.province import Month, Province
from loaders.sample.truths import core
from loaders.sample.truths import environment as environment_truth
from loaders.sample.truths import home_affairs as home_affairs_truth
from loaders.sample.truths import insurance as insurance_truth
from loaders.sample.truths import poverty as poverty_truth
from loaders.sample.truths import public_health as public_health_truth
from loaders.sample.truths import schools as schools_truth
from loaders.sample.truths.base import Known, truth_rows, write_truth

REAL_DIR = Path(__file__).parent / "real"
#: The tables that the statistics office really published.
STATISTICS = "statistics_office"
PUBLISHED = ("population_area", "population_by_sex_residence", "published_indicators")
#: Who writes the extracts, who knows the answers, and what is damaged in each dataset.
DOMAINS = (agencies, environment, home_affairs, insurance, poverty, public_health, schools)
TRUTHS = (
    core,
    environment_truth,
    home_affairs_truth,
    insurance_truth,
    poverty_truth,
    public_health_truth,
    schools_truth,
)
KINDS = defects.KINDS | {
    dataset: kinds for domain in DOMAINS[1:] for dataset, kinds in domain.KINDS.items()
}
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
    written: list[GeneratedFile] = []
    truth: list[dict] = []
    damages: list[tuple[GeneratedFile, Defect]] = []
    for month in calendar:
        known: dict[str, Known] = {}
        for domain in DOMAINS:
            for extract in domain.extracts(province, month):
                file, lost, found = write_extract(
                    extract, province, month, inbox, data_label, defect_share
                )
                written.append(file)
                damages += [(file, defect) for defect in found]
                if truth_dir is not None:
                    known[extract.dataset] = Known(for_truth(extract.frame), lost)
        if truth_dir is not None:
            for answers in TRUTHS:
                cells = answers.cells(province, month, known)
                truth += truth_rows(province.geography, month, cells)
        written += _copy_real(month, inbox)
    if truth_dir is not None:
        truth_dir.mkdir(parents=True, exist_ok=True)
        write_truth(truth_dir / "truth.csv", truth)
        _write_defects(truth_dir / "defects.csv", damages)
    return written


def write_extract(
    extract: Extract,
    province: Province,
    month: Month,
    inbox: Path,
    data_label: str,
    share: float,
) -> tuple[GeneratedFile, np.ndarray, list[Defect]]:
    """Damage one extract and write it with its side-car: the file, rows lost, the defects."""
    contract = get_contract(extract.source)
    dataset = contract.dataset(extract.dataset)
    outdated = province.geography.outdated[month.era]
    text = to_text(dataset, extract.period, extract.frame)
    text, lost, found = damage(
        dataset, month, text, extract.frame, outdated, share, province.seed,
        KINDS.get(extract.dataset, []),
    )  # fmt: skip
    order = file_order(dataset, extract.period, text)
    if order is not None:
        text = text[order]
        numbers = {position: number for number, position in enumerate(order, start=1)}
        found = [replace(d, row_number=numbers[d.row_number - 1]) for d in found]
        found.sort(key=lambda defect: defect.row_number)
    path = inbox / dataset.source / extract.period / _file_name(dataset, extract.period)
    write_file(contract, dataset, extract.period, text, path)
    write_side_car(path, data_label, SAMPLE_NOTE, text.height)
    file = GeneratedFile(
        source=dataset.source,
        dataset=dataset.name,
        period=extract.period,
        path=path,
        rows=text.height,
        defects=len(found),
        data_label=data_label,
    )
    return file, lost, found


def _file_name(dataset: Dataset, period: str) -> str:
    pattern: str = dataset.extension.connector.options["pattern"]
    return pattern.format(yyyymm=period.replace("-", ""), period=period)


def for_truth(records: pl.DataFrame) -> pl.DataFrame:
    """Records without what identifies people: the truth needs none of it, and memory is dear."""
    heavy = {
        "person_key", "full_name", "social_insurance_key", "card_key", "record_key", "pupil_key",
        "address", "licence_key", "registered_facility_code", "ethnic_group_code", "birth_month",
        "claim_key",
    }  # fmt: skip
    return records.select(name for name in records.columns if name not in heavy)


def _copy_real(month: Month, inbox: Path) -> list[GeneratedFile]:
    """The published tables of the statistics office, as shipped with the project."""
    copied = []
    for name in PUBLISHED:
        dataset = get_contract(STATISTICS).dataset(name)
        name = _file_name(dataset, month.period)
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


def _write_defects(path: Path, damages: list[tuple[GeneratedFile, Defect]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["source", "dataset", "period", "file", "row_number", "kind", "rule"])
        for file, defect in damages:
            place = [file.source, file.dataset, file.period, file.path.name]
            writer.writerow([*place, defect.row_number, defect.kind, defect.rule])
