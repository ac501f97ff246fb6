"""From a month of extracts to a published release: figures, reruns, bad sources, killed stages."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from loaders.audit import verify
from loaders.contracts.model import load_contracts
from loaders.postgres.database import Role, connect
from loaders.register import computed_kpis
from loaders.report import write_release_report
from loaders.sample import generate
from loaders.settings import PROJECT_ROOT, get_settings
from loaders.stages.build import DBT_PROJECT, FINISHED, build
from loaders.stages.land import land
from tests.end_to_end.conftest import (
    MONTHS,
    SCALE,
    SEED,
    Province,
    content,
    import_month,
    release,
)
from tests.end_to_end.identifiers import dump_of, identifiers, leaks
from tests.report_figures import differences, figures_of_marts
from tests.report_pages import parse

CELL = "kpi_id, series, period, boundary, unit_level, unit_code, breakdown, breakdown_value"


def test_each_month_gave_a_release(province: Province) -> None:
    assert [r.status for r in province.releases] == ["published"] * 3
    assert [r.period for r in province.releases] == list(MONTHS)


def test_every_computed_kpi_equals_the_truth_in_every_cell(province: Province) -> None:
    """Units, months, breakdowns and both boundaries, before small counts are protected."""
    with connect(Role.ADMIN) as connection:
        rows = connection.execute(
            f"select {CELL}, numerator, denominator from intermediate.int_kpi__rolled_up"
        ).fetchall()
    computed = {tuple(row[:8]): (row[8], row[9]) for row in rows}
    truth = province.truth()
    assert {key[0] for key in truth} == computed_kpis(PROJECT_ROOT)
    assert {key[3] for key in truth} == {"qn_programme", "qn_current"}
    wrong = {
        key: (computed.get(key), row["numerator"], row["denominator"])
        for key, row in truth.items()
        if computed.get(key) != (Decimal(row["numerator"]), number(row["denominator"]))
    }
    assert wrong == {}
    # The province does not list cells without people (0 of 0); nothing else may be extra.
    extra = {key: cell for key, cell in computed.items() if key not in truth and any(cell)}
    assert extra == {}


def number(text: str) -> Decimal | None:
    return Decimal(text) if text else None


def test_published_values_equal_the_truth_to_the_last_digit(province: Province) -> None:
    with connect(Role.BI) as connection:
        rows = connection.execute(
            f"select {CELL}, value, is_suppressed from marts.fct_kpi_value"
            " where data_label = 'sample'"
        ).fetchall()
    published = {tuple(row[:8]): (row[8], row[9]) for row in rows}
    truth = province.truth()
    wrong, hidden = {}, 0
    for key, row in truth.items():
        value, is_suppressed = published[key]
        expected = number(row["value"])
        hidden += is_suppressed
        if not is_suppressed and value != expected:
            wrong[key] = (value, expected)
    assert wrong == {}
    assert 0 < hidden < len(truth)


def test_quarantine_is_exactly_the_documented_defects(province: Province) -> None:
    with connect(Role.AUDITOR) as connection:
        rows = connection.execute(
            "select q.source, q.dataset, q.period, q.row_number, q.rule_id"
            ' from quarantine."row" q join audit.receipt r using (batch_id)'
            " where r.data_label = 'sample'"
        ).fetchall()
    found = {(source, dataset, period, number) for source, dataset, period, number, _ in rows}
    rules = {(*row[:4], row[4]) for row in rows}
    expected = {
        (d["source"], d["dataset"], d["period"], int(d["row_number"])): d["rule"]
        for d in province.defects()
    }
    assert found == set(expected)
    assert {key for key, rule in expected.items() if (*key, rule) not in rules} == set()


def test_figures_that_were_printed_with_words_are_quarantined_not_guessed(
    province: Province,
) -> None:
    with connect(Role.AUDITOR) as connection:
        rows = connection.execute(
            'select distinct offending_value from quarantine."row"'
            " where dataset = 'published_indicators'"
        ).fetchall()
    assert "39553 (page also prints 39533)" in {value for (value,) in rows}


def test_real_and_sample_figures_never_share_a_series(province: Province) -> None:
    with connect(Role.BI) as connection:
        rows = connection.execute(
            "select kpi_id, data_label, count(*) from marts.fct_kpi_value group by 1, 2"
        ).fetchall()
        note = connection.execute("select release_label_vi from marts.release_note").fetchone()
    labels = Counter(label for _, label, _ in rows)
    assert labels["real"] >= 6
    assert labels["sample"] == len(computed_kpis(PROJECT_ROOT))
    assert note is not None
    assert note[0].startswith("Dữ liệu mẫu")


def test_the_register_is_complete_and_invents_nothing(province: Province) -> None:
    with connect(Role.BI) as connection:
        states = dict(
            connection.execute("select state, count(*) from marts.dim_kpi group by 1").fetchall()
        )
        without = connection.execute(
            "select count(distinct kpi_id) from marts.scorecard where value is null"
        ).fetchone()
    assert sum(states.values()) == 61
    assert states["computed"] == len(computed_kpis(PROJECT_ROOT)) >= 38
    assert states["qualitative"] == 2
    assert without is not None
    assert without[0] >= states["no_source"] + states["qualitative"]


def test_the_audit_trail_is_whole(province: Province) -> None:
    with connect(Role.AUDITOR) as connection:
        assert verify(connection, landing=get_settings().landing) == []


def test_each_build_recorded_the_seconds_of_every_model(province: Province) -> None:
    with connect(Role.AUDITOR) as connection:
        recorded = connection.execute(
            "select payload -> 'model_seconds' from audit.event where kind = %s", (FINISHED,)
        ).fetchall()
    assert len(recorded) >= len(MONTHS)
    models = {path.stem for path in (DBT_PROJECT / "models").rglob("*.sql")}
    for (seconds,) in recorded:
        assert set(seconds) == models
        assert all(value > 0 for value in seconds.values())


@pytest.fixture(scope="module")
def people(province: Province) -> tuple[set[str], set[str]]:
    found = identifiers(province.warehouse.inbox, MONTHS)
    assert len(found[0]) > 10_000
    assert len(found[1]) > 1_000
    return found


def test_the_search_finds_what_it_looks_for(people: tuple[set[str], set[str]]) -> None:
    numbers, names = people
    text = f"row 7: {next(iter(numbers))} of {next(iter(names))}."
    assert len(leaks(text, numbers, names)) == 2


def test_a_full_dump_of_the_database_holds_no_identifier(
    province: Province, people: tuple[set[str], set[str]]
) -> None:
    dump = dump_of(province.warehouse.url)
    assert "marts" in dump
    assert len(dump) > 1_000_000
    assert leaks(dump, *people) == set()


def test_reports_and_logs_hold_no_identifier(
    province: Province, people: tuple[set[str], set[str]]
) -> None:
    home = province.warehouse.home
    files = [
        path
        for folder in (home / "reports", home / "logs", home / "dbt")
        for path in folder.rglob("*")
        if path.is_file()
    ]
    assert any(path.suffix == ".html" for path in files)
    for path in files:
        assert leaks(path.read_text("utf-8", errors="replace"), *people) == set(), path.name


def test_the_report_prints_the_figures_of_the_marts(province: Province) -> None:
    page = parse(Path(write_release_report()).read_text(encoding="utf-8"))
    with connect(Role.BI) as connection:
        marts = figures_of_marts(connection)
    count, wrong = differences(page, marts)
    assert wrong == []
    assert count > 1_500


def test_a_rerun_changes_nothing(province: Province) -> None:
    before = {schema: content(schema) for schema in ("raw", "quarantine", "marts", "publication")}
    for month in MONTHS:
        assert {r.status for r in import_month(month)} == {"unchanged"}
    again = release(MONTHS[-1])
    assert again.status == "unchanged"
    after = {schema: content(schema) for schema in before}
    assert {schema: after[schema] == before[schema] for schema in before} == dict.fromkeys(
        before, True
    )


def test_an_old_month_run_again_does_not_take_readers_back(province: Province) -> None:
    assert build(MONTHS[0]).status == "unchanged"


PARTITION = re.compile(r"__\d{4}(_\d\d|_Q[1-4])?$")


def test_bad_sources_do_not_stop_the_good_ones(province: Province) -> None:
    """A month in which four sources send garbage still publishes what the fifth delivered."""
    inbox = province.warehouse.inbox
    month = "2026-01"
    generate([month], SCALE, SEED, inbox, None)
    (inbox / "education" / month / "thongtinhocsinh_202601.csv").write_bytes(b"")
    staff = inbox / "health" / month / "NhanLucYTe_202601.xlsx"
    staff.write_bytes(staff.read_bytes()[: staff.stat().st_size // 2])
    cards = inbox / "social_insurance" / month / "DS_THE_BHYT_202601.csv"
    text = cards.read_text("utf-8-sig").replace("MA_XA", "MA_PHUONG", 1)
    cards.write_text("\ufeff" + text, "utf-8")
    houses = inbox / "housing" / month / "NhaTam_202601.xlsx"
    shutil.copyfile(inbox / "housing" / "2025-06" / "NhaTam_202506.xlsx", houses)
    before = content("raw")
    results = {(r.status, getattr(r, "reason", None)) for r in import_month(month)}
    reasons = " | ".join(str(reason) for status, reason in results if status == "refused")
    for expected in (
        "thongtinhocsinh_202601.csv is empty",
        "damaged or cut off on the way",
        "missing ['MA_XA'], unknown ['MA_PHUONG']",
        "byte for byte the file of 2025-06",
    ):
        assert expected in reasons
    after = content("raw")
    monthly = [d for c in load_contracts() for d in c.datasets if d.period_in("2025-06")]
    partitions = [table for table in before if PARTITION.search(table)]
    assert len(partitions) >= len(monthly) * len(MONTHS)
    assert [table for table in partitions if after[table] != before[table]] == []
    published = release(month, is_disturbed=True)
    assert (published.status, published.period) == ("published", month)
    with connect(Role.BI) as connection:
        newest = dict(
            connection.execute(
                "select kpi_id, max(period) from marts.fct_kpi_value"
                " where data_label = 'sample' group by 1"
            ).fetchall()
        )
        quality = dict(
            connection.execute(
                "select dataset, status from marts.fct_data_quality where period = %s", (month,)
            ).fetchall()
        )
    assert newest["hospital_beds_per_10k"] == month
    assert newest["health_insurance_coverage"] == MONTHS[-1]
    assert quality["pupils"] == "refused"
    assert quality["facilities"] == "accepted"


def test_a_source_that_sends_nothing_is_missing_in_the_quality_mart(province: Province) -> None:
    result = land("education", "pupils", "2025-09")
    assert result.status == "missing"
