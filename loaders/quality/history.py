"""Rules that look across time: a delivery's figures against those of earlier accepted periods.

A suite asks for one with ``"kwargs": {"like_before": {"measure": …}}``. The figures of a batch are
kept in the record of its acceptance (`audit.batch_result.details`), so a check reads the batch and
a few numbers, never an earlier month's rows: it costs the same in every month.

The usual value is the median of up to `PERIODS` earlier accepted periods of the same dataset and
label; the band around it is `SPREADS` robust standard deviations wide (1.4826 times the median
absolute deviation; Rousseeuw and Croux 1993), but never narrower than a floor and the noise of
counting. With fewer than `ENOUGH` earlier periods the latest one is taken, with a wide band. Where
the world itself changed (``expectations/breaks.yaml``) the history begins anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

from loaders.periods import end_of
from loaders.settings import PROJECT_ROOT

BREAKS_FILE = PROJECT_ROOT / "expectations" / "breaks.yaml"
PERIODS, ENOUGH, SPREADS = 12, 4, 5
_ROBUST = "1.4826"


class Break(BaseModel):
    """From a month on, figures of some datasets (None: of all) are not those of before."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    since: str = Field(alias="from", pattern=r"^\d{4}-(0[1-9]|1[0-2])$")
    datasets: tuple[str, ...] | None = None
    reason_vi: str = Field(min_length=10)
    reason_en: str = Field(min_length=10)
    origin: str = Field(min_length=5)

    def concerns(self, source: str, dataset: str) -> bool:
        return self.datasets is None or bool({source, f"{source}.{dataset}"} & {*self.datasets})


@cache
def read_breaks(path: Path = BREAKS_FILE) -> tuple[Break, ...]:
    """The known breaks, as written.

    Raises:
        pydantic.ValidationError: an entry without a month, a reason or an origin.
    """
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    return TypeAdapter(tuple[Break, ...]).validate_python(document)


def comparable_since(
    source: str, dataset: str, period: str, breaks: Iterable[Break] | None = None
) -> str:
    """First period, of the same kind as ``period``, that it can be compared with; "" for all."""
    last_month = f"{end_of(period):%Y-%m}"
    months = [
        b.since
        for b in (read_breaks() if breaks is None else breaks)
        if b.since <= last_month and b.concerns(source, dataset)
    ]
    if not months:
        return ""
    year, month = max(months).split("-")
    if "-" not in period:
        return year
    return f"{year}-Q{(int(month) + 2) // 3}" if "Q" in period else f"{year}-{month}"


class History(BaseModel):
    """One figure of a delivery that should be like before.

    ``measure``: ``rows``; ``sum`` of a column; ``null_share`` of a column (0 to 1); ``code_mix``,
    the share of each code of a column (0 to 1). ``where``: SQL condition on the rows counted.
    ``seasonal``: only the same month or quarter of earlier years. ``floor``: half width that the
    band has at least, a share of the usual value for ``rows`` and ``sum``, else percentage points
    divided by 100.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    measure: Literal["rows", "sum", "null_share", "code_mix"]
    column: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9_]*$")
    where: str | None = None
    seasonal: bool = False
    floor: float | None = Field(default=None, gt=0, le=1)

    @model_validator(mode="after")
    def _has_its_column(self) -> History:
        if (self.measure == "rows") != (self.column is None):
            raise ValueError(f"measure {self.measure!r}: every measure but 'rows' has a column")
        if self.measure == "code_mix" and str(self.column).endswith("_key"):
            raise ValueError(f"{self.column!r} holds keys of people, no codes")
        return self

    @property
    def name(self) -> str:
        """What the figure is called where it is kept: another definition is another figure."""
        column = f" {self.column}" if self.column else ""
        return f"{self.measure}{column}" + (f" where {self.where}" if self.where else "")

    @property
    def is_share(self) -> bool:
        return self.measure in ("null_share", "code_mix")

    @property
    def least_width(self) -> float:
        return self.floor or (0.02 if self.is_share else 0.1)

    @property
    def limit(self) -> str:
        """The band in words."""
        season = " of the same season" if self.seasonal else ""
        return (
            f"median of up to {PERIODS} earlier periods{season}, give or take {SPREADS} robust "
            f"standard deviations, at least {self.least_width:.0%}; with fewer than {ENOUGH} "
            f"periods the latest one, {'20 points' if self.is_share else 'half to double'}"
        )

    def columns(self) -> str:
        """Value and number of rows behind it, as aggregates over rows b; of one part only."""
        only = f" FILTER (WHERE {self.where})" if self.where else ""
        column = f'b."{self.column}"'
        value = {
            "rows": f"count(*){only}::numeric",
            "sum": f"coalesce(sum({column}){only}, 0)::numeric",
            "null_share": f"coalesce(avg(({column} IS NULL)::int){only}, 0)",
        }[self.measure]
        return f"{value}, count(*){only}"

    def figures(self) -> str:
        """SELECT of part, value and the number of rows behind it, FROM {batch}."""
        where = f" WHERE {self.where}" if self.where else ""
        if self.measure != "code_mix":
            part = self.column or self.measure
            return f"SELECT '{part}', {self.columns()} FROM {{batch}} AS b"
        return (
            f"SELECT coalesce(b.\"{self.column}\"::text, '∅'), count(*) / sum(count(*)) OVER (),"
            f" sum(count(*)) OVER () FROM {{batch}} AS b{where} GROUP BY 1"
        )

    def query(self, found: str | None = None) -> str:
        """The rule's query: a row for each figure outside its band, the worst first.

        Args:
            found: SQL of the figures that were measured already, in place of `figures`.
        """
        name = self.name.replace("'", "''")
        season = " AND substr(r.period, 5) = substr('$period', 5)" if self.seasonal else ""
        if self.is_share:
            # The square root of p (1 - p) / n; one row of a code that never came is no news.
            noise = "4 * sqrt(greatest(usual * (1 - usual), 1 / size) / size)"
            floor, below, above, digits = str(self.least_width), "0.2", "0.2", 4
        else:
            noise = "4 * sqrt(usual)" if self.measure == "rows" else "4 * abs(usual) / sqrt(size)"
            floor = f"{self.least_width} * abs(usual)"
            below, above, digits = "0.5 * abs(usual)", "abs(usual)", 0
        shown = f'part AS "{self.column}", ' if self.measure == "code_mix" else ""
        return f"""
WITH found (part, value, rows) AS ({found or self.figures()}),
earlier AS (
    SELECT e.period, e.parts FROM (
        SELECT DISTINCT ON (r.period)
            r.period, r.details -> 'figures' -> '{name}' AS parts
        FROM audit.batch_result AS r JOIN audit.receipt AS c ON r.batch_id = c.batch_id
        WHERE r.source = '$source' AND r.dataset = '$dataset' AND r.period < '$period'{season}
            AND r.period >= '$since'
            AND r.stage = 'gate' AND r.status = 'accepted' AND c.data_label = '$data_label'
            AND r.details -> 'figures' -> '{name}' IS NOT NULL
        ORDER BY r.period, r.id DESC
    ) AS e ORDER BY e.period DESC LIMIT {PERIODS}
),
history AS (
    SELECT p.part, e.period, coalesce((e.parts ->> p.part)::numeric, 0) AS value
    FROM earlier AS e CROSS JOIN (
        SELECT part FROM found UNION SELECT jsonb_object_keys(parts) FROM earlier
    ) AS p
),
centre AS (
    SELECT
        part, count(*) AS periods, (array_agg(value ORDER BY period DESC))[1] AS latest,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY value)::numeric AS median
    FROM history GROUP BY part
),
spread AS (
    SELECT
        c.part, c.periods, CASE WHEN c.periods >= {ENOUGH} THEN c.median ELSE c.latest END AS usual,
        percentile_cont(0.5) WITHIN GROUP (ORDER BY abs(h.value - c.median))::numeric AS deviation
    FROM centre AS c JOIN history AS h ON c.part = h.part
    GROUP BY c.part, c.periods, c.median, c.latest
),
judged AS (
    SELECT part, periods, usual, coalesce(value, 0) AS found, noise,
        greatest(noise, CASE WHEN periods >= {ENOUGH} THEN {_ROBUST} * {SPREADS} * deviation END,
            CASE WHEN periods >= {ENOUGH} THEN {floor} ELSE {below} END) AS below,
        greatest(noise, CASE WHEN periods >= {ENOUGH} THEN {_ROBUST} * {SPREADS} * deviation END,
            CASE WHEN periods >= {ENOUGH} THEN {floor} ELSE {above} END) AS above
    FROM (
        SELECT s.*, f.value, {noise} AS noise
        FROM (
            SELECT spread.*, greatest(t.rows, 1)::numeric AS size
            FROM spread CROSS JOIN (SELECT coalesce(max(rows), 0) AS rows FROM found) AS t
        ) AS s LEFT JOIN found AS f ON s.part = f.part
    ) AS n
)
SELECT {shown}round(found, {digits}) AS found, round(usual, {digits}) AS usual,
    round(usual - below, {digits}) AS lower, round(usual + above, {digits}) AS upper, periods
FROM judged WHERE found NOT BETWEEN usual - below AND usual + above
ORDER BY abs(found - usual) / greatest(below, above) DESC, part
"""


Figures = list[tuple[str, Decimal, int]]


def measure(
    run: Callable[[str], Sequence[Sequence[Any]]], table: str, wanted: Sequence[History]
) -> dict[str, Figures]:
    """Name of a figure → its parts, each with its value and the number of rows behind it.

    What has one part is measured in one scan of the table.

    Args:
        run: runs a query and returns its rows.
        table: as it stands in SQL.
    """
    found: dict[str, Figures] = {}
    single = [history for history in wanted if history.measure != "code_mix"]
    if single:
        columns = ", ".join(history.columns() for history in single)
        (row,) = run(f"SELECT {columns} FROM {table} AS b")
        for history, value, rows in zip(single, row[::2], row[1::2], strict=True):
            found[history.name] = [(history.column or history.measure, value, rows)]
    for history in wanted:
        if history.measure == "code_mix":
            rows = run(history.figures().replace("{batch}", table))
            found[history.name] = [(part, value, size) for part, value, size in rows]
    return found


def as_sql(figures: Figures) -> str:
    """Figures as a SELECT of part, value and rows, which may have no row.

    A part of a rule's query: it names {batch} in a comment, because Great Expectations prints a
    warning for a query that does not.
    """
    rows = ", ".join(
        f"('{_literal(part)}', {value}::numeric, {size}::numeric)" for part, value, size in figures
    )
    empty = "SELECT NULL::text, NULL::numeric, NULL::numeric WHERE false"
    return f"{f'VALUES {rows}' if rows else empty} /* of {{batch}} */"


def _literal(text: str) -> str:
    """For a rule's query, where braces and dollar signs are places to fill in."""
    for sign, escaped in (("'", "''"), ("{", "{{"), ("}", "}}"), ("$", "$$")):
        text = text.replace(sign, escaped)
    return text


def as_record(figures: Figures) -> dict[str, int | float]:
    """What is kept of a figure for later periods: part → value."""
    return {
        part: int(value) if value == int(value) else round(float(value), 6)
        for part, value, _ in figures
    }
