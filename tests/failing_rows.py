"""Lists of cards of which almost every row fails one rule: at reading, or at the gate."""

from __future__ import annotations

import json
from pathlib import Path

from loaders.connectors.base import SIDE_CAR_SUFFIX
from tests.integration.members import HEADER, SOURCE, row

UNIT, UNKNOWN_UNIT = "21010", "21999"
#: The rule whose failing rows are those of the card before, again.
REPEATED = "hi_members.not_repeated"
#: Rule → sex and commune of its failing rows.
CASES = {
    "contract.enum": ("9", UNIT),
    "hi_members.unit_valid_on_date": ("2", UNKNOWN_UNIT),
    REPEATED: ("2", UNIT),
}
#: A list in which no row fails, for comparison.
SOUND = "no rule"
#: One good row before each so many failing ones, so that good and failing rows share blocks.
FAILING_PER_GOOD = 20


def write_cards(inbox: Path, period: str, rule: str, failing: int) -> set[int]:
    """Write a list with so many rows that fail the rule; their row numbers.

    Of `SOUND` those rows are as good as the others.
    """
    year, month = period.split("-")
    path = inbox / SOURCE / period / f"DS_THE_BHYT_{year}{month}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    found: set[int] = set()
    with path.open("w", encoding="utf-8-sig") as stream:
        stream.write(HEADER + "\n")
        number = 0
        while len(found) < failing:
            number += 1
            is_good = number % (FAILING_PER_GOOD + 1) == 1
            sex, unit = CASES.get(rule, ("2", UNIT)) if not is_good else ("2", UNIT)
            if is_good:
                card = number
            else:
                found.add(number)
                card = card if rule == REPEATED else number
            stream.write(row(card, month=f"{month}/{year}", sex=sex, unit=unit) + "\n")
    note = {"data_label": "sample", "control_totals": {"rows": number}}
    path.with_name(path.name + SIDE_CAR_SUFFIX).write_text(json.dumps(note), "utf-8")
    return found
