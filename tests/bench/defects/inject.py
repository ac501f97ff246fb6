"""Puts defects into an extract, writes the file as its agency sends it, and keeps a record."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from loaders.connectors.base import SIDE_CAR_SUFFIX
from loaders.contracts.model import get_contract
from loaders.sample import to_text
from loaders.sample.defects import Context
from loaders.sample.extract import Extract
from loaders.sample.files import file_order, write_file
from loaders.sample.province import Month, Province, stream
from tests.bench.defects.model import DefectKind


@dataclass(frozen=True)
class Planted:
    """One defective row of a file; ``row_number`` counts data rows from 1."""

    row_number: int
    kind: DefectKind


@dataclass(frozen=True)
class Injected:
    """A written file: its rows, the defects in it, and which records they cost."""

    path: Path
    rows: int
    planted: list[Planted]
    lost: np.ndarray

    def without_loss(self) -> Injected:
        """The same file, as if no record had been lost by its defects."""
        return replace(self, lost=np.zeros_like(self.lost))


def inject(
    extract: Extract,
    province: Province,
    month: Month,
    kinds: Sequence[DefectKind],
    share: float,
    inbox: Path,
) -> Injected:
    """Give ``share`` of the rows, at least one, each of the kinds, and write the file.

    No row gets two. Where too few rows can take a kind, it gets those that can.
    """
    dataset = get_contract(extract.source).dataset(extract.dataset)
    text = to_text(dataset, extract.period, extract.frame)
    rng = stream(
        province.seed, f"bench/{extract.dataset}/{share}/{'/'.join(k.name for k in kinds)}"
    )
    outdated = province.geography.outdated[month.era]
    rows = text.to_dicts()
    free = np.ones(len(rows), dtype=bool)
    lost = np.zeros(len(rows), dtype=bool)
    copies: list[dict[str, str | None]] = []
    found: list[Planted] = []
    torn: dict[int, DefectKind] = {}
    for kind in kinds:
        may = free
        if kind.may is not None:
            may = free & extract.frame.select(kind.may.fill_null(False)).to_series().to_numpy()
        pool = np.flatnonzero(may)
        wanted = max(1, round(share * len(rows)))
        victims = np.sort(rng.choice(pool, min(wanted, len(pool)), replace=False))
        free[victims] = False
        for position, index in enumerate(victims.tolist()):
            row = dict(rows[index])
            kind.change(row, Context(dataset, month, outdated, position))
            if kind.again:
                copies.append(row)
                found.append(Planted(len(rows) + len(copies), kind))
                continue
            assert kind.line or row != rows[index], f"{kind.name} changes nothing in {rows[index]}"
            rows[index], lost[index] = row, True
            found.append(Planted(index + 1, kind))
            if kind.line:
                torn[index + 1] = kind
    damaged = pl.DataFrame(rows + copies, schema=text.schema)
    order = file_order(dataset, extract.period, damaged)
    if order is not None:
        damaged = damaged[order]
        numbers = {position: number for number, position in enumerate(order, start=1)}
        found = [Planted(numbers[p.row_number - 1], p.kind) for p in found]
    pattern = dataset.extension.connector.options["pattern"]
    name = pattern.format(yyyymm=extract.period.replace("-", ""), period=extract.period)
    path = inbox / extract.source / extract.period / name
    write_file(get_contract(extract.source), dataset, extract.period, damaged, path)
    if torn:
        lines = path.read_bytes().split(b"\n")
        for number, kind in torn.items():
            assert kind.line is not None
            lines[number] = kind.line(lines[number].decode()).encode()
        path.write_bytes(b"\n".join(lines))
    _write_note(path, damaged.height)
    return Injected(path, damaged.height, found, lost)


def _write_note(path: Path, rows: int) -> None:
    """Each file of a month after the first one is a restatement of it."""
    note = {
        "data_label": "sample",
        "maturity": "final",
        "control_totals": {"rows": rows},
        "restatement": {"reason": "measurement of the gates"},
    }
    path.with_name(path.name + SIDE_CAR_SUFFIX).write_text(json.dumps(note), encoding="utf-8")
