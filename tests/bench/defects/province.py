"""The sample province without a defect, in memory and in the warehouse."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from loaders.contracts.model import get_contract
from loaders.sample import DOMAINS, Province
from loaders.sample.extract import Extract
from loaders.sample.geography import SEEDS_DIR, read_geography
from loaders.sample.province import Month
from tests.bench.defects.inject import Injected, inject
from tests.bench.defects.judge import Findings, Gate
from tests.bench.defects.model import DefectKind


@dataclass(frozen=True)
class CleanMonth:
    """All extracts of one month before they are written."""

    province: Province
    month: Month
    extracts: dict[str, Extract]

    @classmethod
    def of(cls, period: str, scale: float, seed: int) -> CleanMonth:
        province, month = Province(read_geography(SEEDS_DIR), scale, seed), Month(period)
        extracts = [e for domain in DOMAINS for e in domain.extracts(province, month)]
        return cls(province, month, {extract.dataset: extract for extract in extracts})

    def ordered(self) -> list[Extract]:
        """In the order of the contracts, so that what others refer to comes first."""
        order = {
            dataset.name: (source, position)
            for source in {extract.source for extract in self.extracts.values()}
            for position, dataset in enumerate(get_contract(source).datasets)
        }
        return sorted(self.extracts.values(), key=lambda extract: order[extract.dataset])

    def write(
        self, dataset: str, kinds: Iterable[DefectKind], share: float, inbox: Path
    ) -> Injected:
        """The file of a dataset in the inbox, with these defects."""
        return inject(self.extracts[dataset], self.province, self.month, list(kinds), share, inbox)

    def judge(self, gate: Gate, dataset: str) -> Findings:
        """What land, load and gate find in the file that lies in the inbox."""
        extract = self.extracts[dataset]
        return gate.judge(extract.source, dataset, extract.period)
