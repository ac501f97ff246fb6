"""Another population changes the rates that stand on it, nothing else, and is recorded as that."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal

import pytest

from loaders.postgres.database import Role, connect
from loaders.sample import generate
from loaders.settings import Settings, get_settings
from loaders.stages.intake import import_source
from loaders.stages.setup import prepare_warehouse
from tests.conftest import Warehouse
from tests.end_to_end.conftest import SCALE, SEED, release

MONTH = "2025-07"
PER_10K = {"doctors_per_10k", "hospital_beds_per_10k", "nurses_per_10k", "pharmacists_per_10k"}
SOURCES = ("statistics_office", "health", "social_insurance", "education", "housing")


@pytest.fixture(scope="module")
def province(warehouse: Warehouse) -> Iterator[Warehouse]:
    generate([MONTH], SCALE, SEED, warehouse.inbox, None)
    prepare_warehouse()
    for source in SOURCES:
        import_source(source, MONTH)
    release(MONTH, is_disturbed=True)
    yield warehouse


def changes() -> list[tuple[str, str, str]]:
    """KPI, change and cause of each figure that the latest release changed."""
    with connect(Role.AUDITOR) as connection:
        return connection.execute(
            "select kpi_id, change, cause from publication.kpi_value where release_seq ="
            " (select max(release_seq) from publication.release)"
        ).fetchall()


def on_population() -> set[str]:
    """KPIs whose denominator is the office's population."""
    with connect(Role.BI) as connection:
        rows = connection.execute(
            "select distinct kpi_id from marts.fct_kpi_value"
            " where denominator_id = 'commune_population'"
        ).fetchall()
    return {kpi_id for (kpi_id,) in rows}


def rate(kpi_id: str) -> tuple[Decimal, Decimal, str, str]:
    with connect(Role.BI) as connection:
        row = connection.execute(
            "select numerator, denominator, denominator_id, denominator_vintage"
            " from marts.fct_kpi_value where kpi_id = %s and unit_code = 'qn_current'"
            " and breakdown = 'total'",
            (kpi_id,),
        ).fetchone()
    assert row is not None
    return row


def test_a_revised_population_changes_the_rates_on_it(province: Warehouse) -> None:
    doctors, before, *_ = rate("doctors_per_10k")
    houses = rate("temporary_houses_remaining")
    folder = province.inbox / "statistics_office" / MONTH
    (path,) = folder.glob("DanSoXa_*.csv")
    with path.open(encoding="utf-8-sig", newline="") as stream:
        header, *rows = list(csv.reader(stream))
    # Every tenth group gained a person.
    for row in rows[::10]:
        row[-1] = str(int(row[-1]) + 1)
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([header, *rows])
    note = path.with_name(path.name + ".delivery.json")
    content = json.loads(note.read_text(encoding="utf-8"))
    content["restatement"] = {"reason": "the office revised its estimate"}
    note.write_text(json.dumps(content), encoding="utf-8")

    results = {result.status for result in import_source("statistics_office", MONTH)}
    assert "accepted" in results
    release(MONTH, is_disturbed=True)
    assert rate("doctors_per_10k")[:2] == (doctors, before + len(rows[::10]))
    assert rate("temporary_houses_remaining") == houses
    found = changes()
    assert {kpi_id for kpi_id, *_ in found} == on_population() > PER_10K
    # A cell that protects another one may come or go with the new figures.
    assert Counter(cause for *_, cause in found).most_common(1)[0][0] == "denominator_vintage"
    assert {cause for *_, cause in found} <= {"denominator_vintage", "disclosure_protection"}


def test_the_registered_population_changes_the_rates_per_10_000(
    province: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    doctors, office, *_ = rate("doctors_per_10k")
    insured = rate("health_insurance_coverage")
    monkeypatch.setenv("NQ42_POPULATION_BASIS", "register")
    get_settings.cache_clear()
    try:
        assert get_settings().population_basis == "register"
        release(MONTH, is_disturbed=True)
        numerator, register, denominator_id, vintage = rate("doctors_per_10k")
        assert (denominator_id, vintage) == ("register_population", "register 2025")
        assert numerator == doctors
        # The sample has one person in a hundred; the register is the real province.
        assert register == 2_175_008
        assert office < register / 50
        assert rate("health_insurance_coverage") == insured
        found = changes()
        assert {kpi_id for kpi_id, *_ in found} == PER_10K
        assert {cause for *_, cause in found} == {"denominator_vintage"}
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()
    # And back again, figure for figure.
    release(MONTH, is_disturbed=True)
    assert rate("doctors_per_10k")[:3] == (doctors, office, "commune_population")


def test_another_basis_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NQ42_POPULATION_BASIS", "guess")
    with pytest.raises(ValueError, match="population_basis"):
        Settings()
