"""Recall and precision of the gates over kinds of defect and shares of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.bench.defects.judge import Gate, Score
from tests.bench.defects.model import DefectKind
from tests.bench.defects.province import CleanMonth

#: Kinds in one file: at the largest share a quarter of its rows is damaged, the rest is sound.
KINDS_IN_A_FILE = 5


def measure(
    clean: CleanMonth,
    inbox: Path,
    plan: Mapping[str, Sequence[DefectKind]],
    shares: Sequence[float],
) -> tuple[dict[float, Score], list[str]]:
    """Send the clean month, then each dataset of the plan with its defects, and clean again.

    Returns:
        Share → score, and what was quarantined of the clean month (nothing, if all is well).
    """
    scores = {share: Score() for share in shares}
    refused: list[str] = []
    gate = Gate()
    with gate.watched():
        usual = {}
        for extract in clean.ordered():
            clean.write(extract.dataset, [], 0, inbox)
            found = clean.judge(gate, extract.dataset)
            # What warns of the sample's hard cases says nothing about the defects.
            usual[extract.dataset] = {rule for _, rule in gate.warned}
            refused += [f"{extract.dataset} {rule} row {n}" for n, rule in found - gate.warned]
        for dataset, kinds in plan.items():
            for share in shares:
                for start in range(0, len(kinds), KINDS_IN_A_FILE):
                    chosen = kinds[start : start + KINDS_IN_A_FILE]
                    done = clean.write(dataset, chosen, share, inbox)
                    found = clean.judge(gate, dataset)
                    scores[share].add(dataset, done, chosen, found, usual[dataset])
            clean.write(dataset, [], 0, inbox)
            clean.judge(gate, dataset)
    return scores, refused
