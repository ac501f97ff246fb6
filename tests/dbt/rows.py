"""Raw rows made by hand: few enough to count on paper."""

from __future__ import annotations

import uuid
from datetime import date
from typing import Any

from psycopg import sql

from loaders.postgres.database import Role, connect

# Communes of district 522 of province 51, as they were until 2025-06-30.
URBAN, URBAN_TOO, RURAL = "21010", "21013", "21034"


def key(number: int) -> uuid.UUID:
    """A pseudonym that one can recognise."""
    return uuid.UUID(int=number)


def insert(table: str, period: str, rows: list[dict[str, Any]], label: str = "sample") -> None:
    """Put rows into a raw table as one accepted batch, with its receipt and results."""
    source, dataset = table.split("__", 1)
    batch_id = f"{dataset}-{period}"
    with connect(Role.LOADER) as connection:
        # A partition per month, as the intake gate makes them.
        connection.execute(
            sql.SQL("create table if not exists {} partition of {} for values in ({})").format(
                sql.Identifier("raw", f"{table}__{period}"),
                sql.Identifier("raw", table),
                sql.Literal(period),
            )
        )
        for number, row in enumerate(rows, start=1):
            full = row | {
                "_period": period,
                "_batch_id": batch_id,
                "_row_number": number,
                "_sheet": "",
                "_data_label": label,
            }
            connection.execute(
                sql.SQL("insert into {} ({}) values ({})").format(
                    sql.Identifier("raw", table),
                    sql.SQL(", ").join(map(sql.Identifier, full)),
                    sql.SQL(", ").join([sql.Placeholder()] * len(full)),
                ),
                list(full.values()),
            )
        connection.execute(
            "insert into audit.receipt (batch_id, source, dataset, period, file_name, landing_path,"
            " sha256, size_bytes, data_label, maturity, landed_at)"
            " values (%s, %s, %s, %s, 'file', 'path', 'hash', 1, %s, 'final', '2025-07-04')",
            (batch_id, source, dataset, period, label),
        )
        connection.execute(
            "insert into audit.batch_result (batch_id, source, dataset, period, stage, status,"
            " rows_read, rows_loaded, rows_quarantined)"
            " values (%s, %s, %s, %s, 'gate', 'accepted', %s, %s, 0)",
            (batch_id, source, dataset, period, len(rows), len(rows)),
        )


def population(period: str, counts: dict[tuple[str, str, int], int]) -> None:
    """Residents by commune, sex code and year of birth."""
    insert(
        "statistics_office__commune_population",
        period,
        [
            {"unit_code": unit, "sex_code": sex, "birth_year": year, "population": number}
            for (unit, sex, year), number in counts.items()
        ],
    )


def cards(period: str, holders: list[tuple[int, str, str, int]]) -> None:
    """Cards valid for years, by person, commune, sex code and year of birth."""
    insert(
        "social_insurance__health_insurance_members",
        period,
        [
            {
                "person_key": key(person),
                "card_key": key(1000 + number),
                "birth_month": date(year, 5, 1),
                "sex_code": sex,
                "residence_unit_code": unit,
                "valid_from": date(2020, 1, 1),
                "valid_to": date(2030, 12, 31),
            }
            for number, (person, unit, sex, year) in enumerate(holders)
        ],
    )


def houses(period: str, households: list[tuple[int, str, str, date | None]]) -> None:
    """Households approved in 2023, by number, commune, group and date of completion."""
    insert(
        "housing__temporary_houses",
        period,
        [
            {
                "household_key": key(number),
                "unit_code": unit,
                "household_group_code": group,
                "programme_code": "PD",
                "approved_on": date(2023, 1, 1),
                "completed_on": completed_on,
            }
            for number, unit, group, completed_on in households
        ],
    )


def figures(period: str, printed: list[tuple[str, str, str, float]]) -> None:
    """Published figures by indicator, area, period and value; these are real."""
    insert(
        "statistics_office__published_indicators",
        period,
        [
            {
                "indicator": indicator,
                "area_label": area,
                "period_label": label,
                "value": value,
                "standing": "proven",
                "reference_text": "yearbook",
            }
            for indicator, area, label, value in printed
        ],
        label="real",
    )
