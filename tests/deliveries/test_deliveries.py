"""Every trouble that a delivery can have, through the real `land` and `load`."""

from __future__ import annotations

import pytest

from loaders.conform import CONTRACT_RULES
from loaders.readers import READERS
from tests.conftest import Warehouse
from tests.deliveries.build import build
from tests.deliveries.case import ContractNotes, all_cases
from tests.deliveries.run import check, run

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
