"""Every computed figure leads to the rows that make it, and to no others."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from loaders.contracts.model import get_dataset
from loaders.postgres.database import Role, connect
from loaders.readers import READERS
from loaders.readers.unpack import unpacked
from loaders.register import computed_kpis
from loaders.settings import PROJECT_ROOT, get_settings
from loaders.trace import Query, Trace, TraceError, ranges, trace
from loaders.trace.counted import compiled_models, counted_rows
from tests.end_to_end.conftest import MONTHS, Province

KPIS = sorted(computed_kpis(PROJECT_ROOT))
#: Nobody is ill or abroad in so small a province, or too few are to be shown.
WITHOUT_FIGURE = {
    "aids_ended",
    "overseas_contract_workers",
    "tuberculosis_ended",
    "vnah_mothers_supported",
}


def cells(kpi_id: str) -> list[dict[str, Any]]:
    """Of each series one cell of a commune, of a boundary and of a breakdown, not hidden."""
    with connect(Role.PUBLISHER) as connection:
        rows = connection.execute(
            """
            select distinct on (series, unit_level, breakdown)
                unit_code, period, boundary, series, breakdown, breakdown_value
            from marts.fct_kpi_value
            where kpi_id = %s and not is_suppressed and numerator > 0
            order by series, unit_level, breakdown, period desc, numerator, unit_code
            """,
            (kpi_id,),
        ).fetchall()
    names = ("unit_code", "period", "boundary", "series", "breakdown", "breakdown_value")
    return [dict(zip(names, row, strict=True)) for row in rows]


@pytest.mark.parametrize("kpi_id", KPIS)
def test_the_rows_add_up_to_the_figure(province: Province, kpi_id: str) -> None:
    found = cells(kpi_id)
    assert (not found) == (kpi_id in WITHOUT_FIGURE)
    for cell in found:
        traced = trace(Query(kpi_id, **cell))
        assert traced.parts
        assert [part for part in traced.parts if not part.is_whole] == [], cell
        assert any("numerator" in file.rows for file in traced.files), cell
        assert all(file.is_of_release and not file.is_purged for file in traced.files)


def _counted(connection: psycopg.Connection, kpi_id: str, cell: dict[str, Any]) -> Any:
    """The numerator of a commune's total, from raw as this transaction sees it."""
    models = compiled_models(MONTHS[-1], list(MONTHS))
    query = counted_rows(
        models,
        f"kpi__{kpi_id}",
        period=cell["period"],
        units=[cell["unit_code"]],
        series=cell["series"],
        breakdown=None,
    )
    total = connection.execute(
        f"select sum(amount) from ({query.sql}) as x where part = 'numerator'".encode()
    ).fetchone()
    return total and total[0]


def _delete(connection: psycopg.Connection, traced: Trace, part: str, *, keep: bool) -> None:
    """Of the files behind the part, only its rows are kept, or only they go."""
    for file in traced.files:
        if part in file.rows:
            connection.execute(
                sql.SQL("delete from {} where (_row_number = any(%s)) <> %s").format(
                    sql.Identifier(
                        "raw",
                        f"{file.source}__{file.dataset}__{file.period.replace('-', '_')}",
                    )
                ),
                (file.rows[part], keep),
            )


@pytest.mark.parametrize("kpi_id", KPIS)
def test_these_rows_and_no_others(province: Province, kpi_id: str) -> None:
    """With the listed rows alone the numerator is the same, without them it is not.

    Not always nothing: a person's other contract takes the place of the one that was counted.
    """
    for cell in cells(kpi_id):
        if cell["breakdown"] != "total" or len(cell["unit_code"]) != 5:
            continue
        traced = trace(Query(kpi_id, **cell))
        with connect(Role.ADMIN) as connection:
            assert _counted(connection, kpi_id, cell) == traced.parts[0].published
            _delete(connection, traced, "numerator", keep=True)
            assert _counted(connection, kpi_id, cell) == traced.parts[0].published, cell
            connection.rollback()
            _delete(connection, traced, "numerator", keep=False)
            assert (_counted(connection, kpi_id, cell) or 0) < traced.parts[0].published, cell
            connection.rollback()


# --- the rows are those of the files --------------------------------------------------------------


def _file(traced: Trace, dataset: str) -> tuple[Path, list[int]]:
    file = next(file for file in traced.files if file.dataset == dataset)
    return get_settings().landing / file.landing_path, file.rows["numerator"]


def _cell(kpi_id: str) -> dict[str, Any]:
    return next(c for c in cells(kpi_id) if c["breakdown"] == "total" and len(c["unit_code"]) == 5)


def test_rows_of_a_csv_file_are_people_of_that_commune(province: Province) -> None:
    cell = _cell("health_insurance_coverage")
    traced = trace(Query("health_insurance_coverage", **cell))
    path, numbers = _file(traced, "health_insurance_members")
    with path.open(encoding="utf-8-sig", newline="") as stream:
        lines = list(csv.DictReader(stream, delimiter=";"))
    people = [lines[number - 1] for number in numbers]
    assert len(people) == traced.parts[0].published
    units = Counter(value for person in people for value in person.values())
    assert units[cell["unit_code"]] == len(people)


def test_rows_of_a_workbook_are_staff_of_that_commune(province: Province) -> None:
    from openpyxl import load_workbook

    cell = _cell("nurses_per_10k")
    traced = trace(Query("nurses_per_10k", **cell))
    path, numbers = _file(traced, "staff")
    with path.open("rb") as stream:
        book = load_workbook(stream, read_only=True)
        lines = [*book.worksheets[0].iter_rows(values_only=True)]
        book.close()
    first = get_dataset("health", "staff").extension.reader.options["data_row"]
    found = [lines[first + number - 2] for number in numbers]
    assert len(found) == traced.parts[0].published
    assert all("DD" in line for line in found)


def test_rows_of_packed_envelopes_are_visits(province: Province) -> None:
    """A row is a visit: the same person can be named by opening the archive at that number."""
    cell = _cell("out_of_pocket_health_share")
    traced = trace(Query("out_of_pocket_health_share", **cell))
    path, numbers = _file(traced, "claims")
    contract = get_dataset("social_insurance", "claims")
    reader = contract.extension.reader
    with unpacked(path, reader.unpack, contract.extension.limits, path.parent) as content:
        table = READERS[reader.name](content, contract.extension.limits, **reader.options)
        frames = [batch.frame for batch in table.batches]
    rows = [row for frame in frames for row in frame.iter_rows(named=True)]
    visits = [rows[number - 1] for number in numbers]
    paid = sum(Decimal(visit["T_BNCCT"] or 0) + Decimal(visit["T_BNTT"] or 0) for visit in visits)
    assert paid == traced.parts[0].published


def nq42(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "loaders.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


# --- what is asked and answered -------------------------------------------------------------------


def test_a_hidden_cell_lists_no_rows_unless_asked(province: Province) -> None:
    with connect(Role.PUBLISHER) as connection:
        row = connection.execute(
            "select kpi_id, unit_code, period, boundary, series, breakdown, breakdown_value"
            " from marts.fct_kpi_value where is_suppressed and unit_level = 'commune'"
            " and denominator > 0 order by kpi_id, unit_code, period limit 1"
        ).fetchone()
    assert row
    query = Query(*row)
    hidden = trace(query)
    assert (hidden.is_withheld, hidden.parts, hidden.files) == (True, [], [])
    shown = trace(query, show_protected=True)
    assert shown.is_whole and shown.files
    assert [part.name for part in shown.parts if part.is_hidden] == ["numerator"]


def test_a_delivered_figure_is_one_row_of_the_offices_file(province: Province) -> None:
    """Of a rate that is printed as its two parts, two."""
    with connect(Role.PUBLISHER) as connection:
        rows = connection.execute(
            "select distinct on (kpi_id, breakdown) kpi_id, unit_code, period, boundary, series,"
            " breakdown, breakdown_value from marts.fct_kpi_value"
            " where numerator is null and value is not null and not is_suppressed"
            " order by kpi_id, breakdown, period desc"
        ).fetchall()
    assert len(rows) > 10
    for row in rows:
        traced = trace(Query(*row))
        assert [part.name for part in traced.parts] == ["final"]
        assert traced.is_whole, row
        (file,) = traced.files
        assert (file.source, len(file.rows["final"]) in (1, 2)) == ("statistics_office", True)


def test_replaced_data_are_named(province: Province) -> None:
    """Rows that went since the release: the parts do not add up, and the trace says so."""
    cell = _cell("doctors_per_10k")
    table = sql.Identifier("raw", f"health__staff__{cell['period'].replace('-', '_')}")
    with connect(Role.ADMIN) as connection:
        connection.execute(sql.SQL("create table kept_staff as table {}").format(table))
        connection.execute(sql.SQL("delete from {}").format(table))
    try:
        assert not trace(Query("doctors_per_10k", **cell)).is_whole
        arguments = ["audit", "trace", "doctors_per_10k", cell["unit_code"], cell["period"]]
        assert nq42(*arguments).returncode == 2
    finally:
        with connect(Role.ADMIN) as connection:
            connection.execute(sql.SQL("insert into {} select * from kept_staff").format(table))
            connection.execute("drop table kept_staff")
    assert trace(Query("doctors_per_10k", **cell)).is_whole


def test_the_command_lists_rows_and_writes_them(province: Province, tmp_path: Path) -> None:
    cell = _cell("health_insurance_coverage")
    out = tmp_path / "rows.csv"
    arguments = ["audit", "trace", "health_insurance_coverage", cell["unit_code"], cell["period"]]
    ran = nq42(*arguments, "--rows", str(out))
    assert ran.returncode == 0, ran.stderr
    assert "DS_THE_BHYT" in ran.stdout
    traced = trace(Query("health_insurance_coverage", **cell))
    with out.open(encoding="utf-8") as stream:
        written = Counter((row["part"], row["dataset"]) for row in csv.DictReader(stream))
    listed = {
        (part, file.dataset): len(numbers)
        for file in traced.files
        for part, numbers in file.rows.items()
    }
    assert written == listed
    document = json.loads(nq42(*arguments, "--json").stdout)
    assert document["is_whole"] and document["figure"]["unit_code"] == cell["unit_code"]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (Query("no_such", "21025", "2025-12"), "no figure with kpi_id 'no_such'"),
        (Query("doctors_per_10k", "99999", "2025-12"), "no figure with unit_code '99999'"),
        (Query("doctors_per_10k", "qn_programme", "2030-01"), "there is 2025-12"),
        (Query("cashless_payment_merit", "qn_programme", "2025-12"), "name one with --series"),
        (
            Query("doctors_per_10k", "qn_programme", "2025-12", release_id="x"),
            "release x is not there",
        ),
    ],
)
def test_a_figure_that_is_not_there_is_named(
    province: Province, query: Query, message: str
) -> None:
    with pytest.raises(TraceError, match=message):
        trace(query)


def test_ranges() -> None:
    assert list(ranges([1, 2, 3, 7, 9, 10])) == [(1, 3), (7, 7), (9, 10)]
    assert list(ranges([])) == []
