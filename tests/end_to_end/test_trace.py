"""Every computed figure leads to the rows that make it, and to no others."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from typer.testing import CliRunner

from loaders.cli import app
from loaders.postgres.database import Role, connect
from loaders.register import computed_kpis
from loaders.settings import PROJECT_ROOT, get_settings
from loaders.trace import Query, Trace, TraceError, ranges, trace
from loaders.trace.counted import PARTS, compiled_models, counted_rows
from tests.end_to_end.conftest import MONTHS, Province

KPIS = sorted(computed_kpis(PROJECT_ROOT))


def cells(kpi_id: str) -> list[dict[str, Any]]:
    """Of each series one cell of a commune, of a boundary and of a breakdown, not hidden."""
    with connect(Role.PUBLISHER) as connection:
        rows = connection.execute(
            """
            select distinct on (series, unit_level, breakdown)
                unit_code, period, boundary, series, breakdown, breakdown_value
            from marts.fct_kpi_value
            where kpi_id = %s and not is_suppressed and coalesce(numerator, 0) > 0
            order by series, unit_level, breakdown, period desc, numerator, unit_code
            """,
            (kpi_id,),
        ).fetchall()
    names = ("unit_code", "period", "boundary", "series", "breakdown", "breakdown_value")
    return [dict(zip(names, row, strict=True)) for row in rows]


@pytest.mark.parametrize("kpi_id", KPIS)
def test_the_rows_add_up_to_the_figure(province: Province, kpi_id: str) -> None:
    found = cells(kpi_id)
    assert found
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


def _delete(
    connection: psycopg.Connection, traced: Trace, part: str, *, keep: bool
) -> None:
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
    """With the listed rows alone the numerator is the same; without them nothing is left of it."""
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
            assert not _counted(connection, kpi_id, cell), cell
            connection.rollback()
