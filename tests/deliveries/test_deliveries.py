"""Every trouble that a delivery can have, through the real `land` and `load`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from yaml import YAMLError

from loaders.conform import CONTRACT_RULES
from loaders.contracts.model import ContractError
from loaders.readers import READERS
from tests.conftest import Warehouse
from tests.deliveries.build import build
from tests.deliveries.case import ContractNotes, Expect, all_cases, contract_of, parse
from tests.deliveries.run import Outcome, check, run

CASES = all_cases()


@pytest.mark.parametrize("name", CASES)
def test_a_delivery_ends_as_its_case_says(warehouse: Warehouse, name: str) -> None:
    case = CASES[name]
    check(case, run(case, warehouse))


def test_every_case_has_a_name_of_its_own() -> None:
    names = [case.name for case in CASES.values()]
    assert sorted(names) == sorted(set(names))


def test_every_rule_of_the_contracts_and_every_reader_has_its_case() -> None:
    rules = {found.rule for case in CASES.values() for found in case.expect.quarantined}
    assert rules == set(CONTRACT_RULES)
    ends: dict[str, set[str]] = {}
    for case in CASES.values():
        assert isinstance(case.contract, ContractNotes) and case.contract.reader
        end = "refused" if case.expect.refused else "loaded" if case.expect.loaded else "other"
        ends.setdefault(case.contract.reader["name"], set()).add(end)
    assert {reader: {"loaded", "refused"} <= ends.get(reader, set()) for reader in READERS} == {
        reader: True for reader in READERS
    }


def test_the_same_description_gives_the_same_bytes() -> None:
    for case in CASES.values():
        if case.file is not None:
            assert build(case.file) == build(case.file)


@pytest.fixture(scope="module")
def outcome(warehouse: Warehouse) -> Outcome:
    """Loaded rows, findings and an empty row, once for all doctored expectations."""
    return run(DOCTORED, warehouse)


DOCTORED = parse(
    """
cases:
  - name: doctored
    trouble: A sound case, of which the tests below tell one lie each.
    contract:
      reader: {name: csv}
      columns: {unit_code: string! MA_XA, households: integer SO_HO}
    period: 2025-06
    file: {text: "MA_XA,SO_HO\\n21010,1\\n21013,x\\n,\\n"}
    expect:
      loaded: [{unit_code: "21010", households: 1, _row_number: 1}]
      quarantined:
        - {row: 2, column: households, rule: contract.type, value: x,
           reason: not of the column's type}
      set_aside: {empty rows: 1}
"""
)[0]


def test_the_sound_expectation_holds(outcome: Outcome) -> None:
    check(DOCTORED, outcome)


@pytest.mark.parametrize(
    "lie",
    [
        {"loaded": [{"unit_code": "21010", "households": 2, "_row_number": 1}]},
        {"loaded": [{"unit_code": "21010", "_row_number": 1}]},
        {"loaded": [{"unit_code": "21010", "households": 1, "_row_number": 2}]},
        {"loaded": []},
        {"loaded": None, "loaded_rows": 2},
        {"quarantined": []},
        {"quarantined.row": 3},
        {"quarantined.column": "unit_code"},
        {"quarantined.rule": "contract.range"},
        {"quarantined.value": "y"},
        {"quarantined.value": None},
        {"quarantined.reason": "of another type"},
        {"set_aside": {}},
        {"set_aside": {"empty rows": 2}},
        {"maturity": "final"},
        {"loaded": None, "refused": "the file has a header but no rows"},
        {"loaded": None, "refused_at_land": "list.csv is empty"},
        {"loaded": None, "missing": "nothing has arrived"},
        {"loaded": None, "unchanged": True},
    ],
)
def test_a_wrong_expectation_fails(outcome: Outcome, lie: dict[str, Any]) -> None:
    said = DOCTORED.expect.model_dump()
    for key, value in lie.items():
        name, _, inner = key.partition(".")
        if inner:
            said[name][0][inner] = value
        else:
            said[name] = value
    with pytest.raises(AssertionError):
        check(DOCTORED, outcome, Expect.model_validate(said))


def test_a_wrong_refusal_and_a_half_refused_delivery_fail(warehouse: Warehouse) -> None:
    case = CASES["csv-header_only"]
    name = {"name": "refused_again"}
    refused = run(case.model_copy(update=name), warehouse)
    check(case, refused)
    with pytest.raises(AssertionError):
        check(case, refused, Expect(refused="the file has a header but no rows; ask for it again"))
    with pytest.raises(AssertionError):
        check(case, refused, Expect(loaded=[]))
    for left in ({"rows": []}, {"quarantine": [{"row": {}}]}, {"raw_after": [{"unit_code": "x"}]}):
        with pytest.raises(AssertionError):
            check(case, replace(refused, **left))


def test_a_personal_text_that_was_kept_fails(outcome: Outcome) -> None:
    assert outcome.rows is not None
    with pytest.raises(AssertionError, match="a personal text left the delivery"):
        check(DOCTORED.model_copy(update={"personal": ["21010"]}), outcome)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("trouble:", "truble:"),
        ("contract: villages", "contract: {like: villages, redaer: {}}"),
        ("text:", "txt:"),
        ("loaded:", "laoded:"),
        ("{unit_code:", "{unti_code:"),
        ("period: 2025-06", "period: 2025-06\n    period: 2025-07"),
        ("households: {is:", "households: {minimun: 0, is:"),
        ("expect: {loaded: [{unit_code: '21010'}]}", "expect: {}"),
    ],
)
def test_a_slip_in_a_case_is_an_error(
    warehouse: Warehouse, tmp_path: Path, old: str, new: str
) -> None:
    text = """
layouts:
  villages:
    reader: {name: csv}
    columns: {households: {is: integer SO_HO}, unit_code: string! MA_XA}
cases:
  - name: slip
    trouble: A sound case, in which one word is misspelt.
    contract: villages
    period: 2025-06
    file: {text: "MA_XA,SO_HO\\n21010,\\n"}
    expect: {loaded: [{unit_code: '21010'}]}
"""
    assert old in text
    parse(text)
    with pytest.raises((ValidationError, YAMLError, ContractError, AssertionError)):
        case = parse(text.replace(old, new))[0]
        contract_of(case, tmp_path)
        check(case, run(case, warehouse))
