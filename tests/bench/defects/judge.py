"""Sends an injected file through land, load and gate, and holds quarantine against the record."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest

from loaders.postgres.database import Role, connect
from loaders.quality.runner import RuleOutcome, run_suite
from loaders.stages.gate import gate_intake, intake
from loaders.stages.land import land
from loaders.stages.load import load
from tests.bench.defects.inject import Injected
from tests.bench.defects.model import DefectKind

#: (row number, rule) of everything that was found in a batch.
Findings = set[tuple[int, str]]


class Gate:
    """Land, load and gate of one file; also remembers which rows a rule that only warns found."""

    #: Batch → what was found, of all gates of this process: a clean file is judged by many.
    _earlier: ClassVar[dict[str, Findings]] = {}

    def __init__(self) -> None:
        self.warned: Findings = set()

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Warnings leave rows in raw and no list of them: it is read while the gate judges."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(intake, "run_suite", self._run)
            yield

    def _run(self, *args: Any) -> list[RuleOutcome]:
        outcomes = run_suite(*args)
        with connect(Role.LOADER) as connection:
            for outcome in outcomes:
                rule = outcome.rule
                if outcome.failing_rows_sql and rule.severity != "critical":
                    query = f"SELECT f._row_number FROM ({outcome.failing_rows_sql}) AS f"
                    rows = connection.execute(query.encode()).fetchall()
                    self.warned |= {(number, rule.meta.id) for (number,) in rows}
        return outcomes

    def judge(self, source: str, dataset: str, period: str) -> Findings:
        """Every row of the delivery that lies in the inbox which some rule found.

        The same bytes again, when their rows are in raw, were judged before.

        Raises:
            AssertionError: the delivery was not judged.
        """
        landed = land(source, dataset, period)
        assert landed.batch_id is not None, f"{dataset} {period}: {landed.reason}"
        loaded = load(landed.batch_id)
        if loaded.status == "unchanged":
            return self._earlier[landed.batch_id]
        assert loaded.status == "loaded", f"{dataset} {period}: {loaded.reason}"
        self.warned = set()
        judged = gate_intake(landed.batch_id)
        assert judged.status in ("accepted", "held")
        assert "did not run" not in (judged.reason or ""), judged.reason
        with connect(Role.AUDITOR) as connection:
            rows = connection.execute(
                'select row_number, rule_id from quarantine."row" where batch_id = %s',
                (landed.batch_id,),
            ).fetchall()
        found = {(number, rule) for number, rule in rows} | self.warned
        self._earlier[landed.batch_id] = found
        return found


@dataclass
class Tally:
    """Rows: injected, found by a rule that must find them, and sound ones found by such a rule."""

    injected: int = 0
    caught: int = 0
    false: int = 0
    missed: list[str] = field(default_factory=list)

    @property
    def recall(self) -> float:
        return self.caught / self.injected if self.injected else 1.0

    @property
    def precision(self) -> float:
        found = self.caught + self.false
        return self.caught / found if found else 1.0


@dataclass
class Score:
    """Tallies by kind, and sound rows that any rule found, as "dataset rule row"."""

    kinds: dict[tuple[str, str], Tally] = field(default_factory=lambda: defaultdict(Tally))
    false_alarms: list[str] = field(default_factory=list)

    def add(
        self,
        dataset: str,
        done: Injected,
        kinds: Iterable[DefectKind],
        found: Findings,
        usual: set[str],
    ) -> None:
        """Hold what was found in one file against what was put into it.

        Args:
            usual: rules that warn of sound rows of this dataset without any defect.
        """
        spoilt = {planted.row_number for planted in done.planted}
        rules_by_row: Mapping[int, set[str]] = defaultdict(set)
        for number, rule in found:
            rules_by_row[number].add(rule)
        false = {(row, rule) for row, rule in found if row not in spoilt and rule not in usual}
        for kind in kinds:
            tally = self.kinds[dataset, kind.name]
            for planted in done.planted:
                if planted.kind is not kind:
                    continue
                rules = rules_by_row.get(planted.row_number, set())
                tally.injected += 1
                if rules & {*kind.rules}:
                    tally.caught += 1
                else:
                    tally.missed.append(f"row {planted.row_number}, found: {sorted(rules)}")
            tally.false += len({row for row, rule in false if rule in kind.rules})
        self.false_alarms += [f"{dataset} {rule} row {row}" for row, rule in sorted(false)]

    def total(self) -> Tally:
        """All kinds together; a sound row counts once for each rule that found it."""
        tallies = self.kinds.values()
        return Tally(
            sum(t.injected for t in tallies),
            sum(t.caught for t in tallies),
            len(self.false_alarms),
        )


def table(scores: Mapping[float, Score]) -> str:
    """Recall and precision by kind and share of rows, as lines of text."""
    shares = sorted(scores)
    kinds = sorted({key for score in scores.values() for key in score.kinds})
    head = "  ".join(f"{share:>7.1%}: rows recall precis." for share in shares)
    lines = [f"{'dataset':28} {'kind of defect':34} {head}"]
    for dataset, kind in kinds:
        cells = [_cells(scores[share].kinds.get((dataset, kind), Tally())) for share in shares]
        lines.append(f"{dataset:28} {kind:34} " + "  ".join(cells))
    totals = [_cells(scores[share].total()) for share in shares]
    lines.append(f"{'all':28} {f'{len(kinds)} kinds':34} " + "  ".join(totals))
    return "\n".join(lines)


def _cells(tally: Tally) -> str:
    return f"{tally.injected:>13} {tally.recall:>6.1%} {tally.precision:>7.1%}"


def misses(scores: Mapping[float, Score]) -> Sequence[str]:
    """Each kind of which a row was missed, with one row."""
    return [
        f"{share:.1%} {dataset} {kind}: {len(tally.missed)} of {tally.injected}: {tally.missed[0]}"
        for share, score in scores.items()
        for (dataset, kind), tally in score.kinds.items()
        if tally.missed
    ]
