"""Everything that a release's report shows, read from the database in one consistent look."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from loaders.report.quality_data import QualityView, Row, Rows, read_quality

PROGRAMME, CURRENT, REFERENCE = "qn_programme", "qn_current", "reference"


class NoReleaseError(LookupError):
    """There is nothing to report on yet."""


@dataclass(frozen=True)
class ReleaseView:
    """A release as rows; the column names are those of the tables that the rows come from.

    Attributes:
        note: the row of `release_note`.
        release: the row of `publication.release`, with `event_hash` and `event_seq` of its audit
            event; None while the candidate is not published.
        previous_release_id: the release that the changes are counted from.
        kpis, targets, periods, scorecard: the marts of these names.
        boundary_values: boundary totals of all periods.
        reference_values: the latest figure of each country, region or other province.
        breakdowns: the parts of the latest boundary totals.
        communes: the latest total of each commune, with what `dim_unit` says of it; `boundary` is
            qn_programme where the commune lies in both boundaries.
        units: the communes of today, whether a figure names them or not.
        verdicts: verdicts on boundary totals.
        changes: number of ledger rows by KPI, label, kind of change and cause.
        revisions: boundary totals that were revised or withdrawn, with the old value.
        verdict_changes: boundary verdicts that differ from the release before.
        previous_totals: the latest boundary totals as the release before had them.
        quality: what the audit trail says of the data up to the release month.
    """

    note: Row
    release: Row | None = None
    previous_release_id: str | None = None
    kpis: Rows = ()
    targets: Rows = ()
    periods: Rows = ()
    scorecard: Rows = ()
    boundary_values: Rows = ()
    reference_values: Rows = ()
    breakdowns: Rows = ()
    communes: Rows = ()
    units: Rows = ()
    verdicts: Rows = ()
    changes: Rows = ()
    revisions: Rows = ()
    verdict_changes: Rows = ()
    previous_totals: Rows = ()
    quality: QualityView = field(default_factory=QualityView)

    @property
    def labels(self) -> tuple[str, ...]:
        """The data labels that occur anywhere, real before sample."""
        found = {
            row["data_label"]
            for rows in (
                self.scorecard,
                self.boundary_values,
                self.reference_values,
                self.quality.timeliness,
            )
            for row in rows
        }
        return tuple(label for label in ("real", "sample") if label in found)

    @property
    def has_sample(self) -> bool:
        return "sample" in self.labels

    @property
    def name(self) -> str:
        """The release, or the candidate while it is not published."""
        return self.release_id or self.note["candidate_id"]

    @property
    def release_id(self) -> str | None:
        return self.release["release_id"] if self.release else None


def read_release(connection: psycopg.Connection, schema: str = "marts") -> ReleaseView:
    """Read the release in `schema`, as a role that may read it, audit, publication and quarantine.

    Raises:
        NoReleaseError: the schema holds no release.
    """
    reader = _Reader(connection, schema)
    reader.hold()
    (note,) = reader.rows("select * from {marts}.release_note")
    releases = reader.rows(_RELEASE, candidate=note["candidate_id"])
    release = releases[0] if releases else None
    seq = release["release_seq"] if release else None
    previous = reader.rows(
        "select release_id from publication.release where release_seq = %(seq)s - 1", seq=seq
    )
    return ReleaseView(
        note=note,
        release=release,
        previous_release_id=previous[0]["release_id"] if previous else None,
        kpis=reader.rows("select * from {marts}.dim_kpi order by sort_order"),
        targets=reader.rows("select * from {marts}.dim_target order by kpi_id, target_year"),
        periods=reader.rows("select * from {marts}.dim_period order by period"),
        scorecard=reader.rows(
            "select * from {marts}.scorecard order by sort_order, data_label, boundary desc"
        ),
        boundary_values=reader.rows(_BOUNDARY_VALUES),
        reference_values=reader.rows(_REFERENCE_VALUES),
        breakdowns=reader.rows(_BREAKDOWNS),
        communes=reader.rows(_COMMUNES),
        units=reader.rows(
            "select * from {marts}.dim_unit where unit_level = 'commune' and valid_to is null"
            " order by unit_id"
        ),
        verdicts=reader.rows("select * from {marts}.fct_kpi_verdict where unit_level = 'boundary'"),
        changes=reader.rows(_CHANGES, seq=seq),
        revisions=reader.rows(_REVISIONS, seq=seq),
        verdict_changes=reader.rows(_VERDICT_CHANGES, seq=seq),
        previous_totals=reader.rows(_PREVIOUS_TOTALS, seq=seq),
        quality=read_quality(connection, note["as_of_period"], note["candidate_id"]),
    )


class _Reader:
    def __init__(self, connection: psycopg.Connection, schema: str) -> None:
        self.connection, self.schema = connection, schema

    def rows(self, query: str, **values: Any) -> list[dict[str, Any]]:
        statement = sql.SQL(query).format(marts=sql.Identifier(self.schema))  # type: ignore[arg-type]
        with self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(statement, values).fetchall()

    def hold(self) -> None:
        """Keep the marts as they are until the transaction ends: no half of two releases."""
        found = self.connection.execute(
            "select tablename from pg_tables where schemaname = %s order by tablename",
            (self.schema,),
        ).fetchall()
        if ("release_note",) not in found:
            raise NoReleaseError(
                f"schema {self.schema} holds no release yet: build and publish a month first"
            )
        names = sql.SQL(", ").join(sql.Identifier(self.schema, name) for (name,) in found)
        self.connection.execute(sql.SQL("lock table {} in access share mode").format(names))


_RELEASE = """
select r.*, e.hash as event_hash, e.seq as event_seq
from publication.release as r
left join audit.event as e
    on e.kind = 'release.published' and e.payload -> 'row' ->> 'release_id' = r.release_id
where r.candidate_id = %(candidate)s
"""

_BOUNDARY_VALUES = """
select v.*, p.year_decimal
from {marts}.fct_kpi_value as v
inner join {marts}.dim_period as p using (period)
where v.unit_level = 'boundary' and v.breakdown = 'total'
order by v.kpi_id, v.data_label, v.series, v.boundary desc, p.year_decimal
"""

_REFERENCE_VALUES = """
select distinct on (v.kpi_id, v.data_label, v.series, v.unit_id)
    v.*, p.year_decimal, u.name_vi as unit_name_vi, u.name_en as unit_name_en
from {marts}.fct_kpi_value as v
inner join {marts}.dim_period as p using (period)
left join {marts}.dim_unit as u using (unit_id)
where v.boundary = 'reference' and v.breakdown = 'total' and v.value is not null
order by v.kpi_id, v.data_label, v.series, v.unit_id, p.year_decimal desc
"""

# A breakdown belongs to the total beside which it is printed: the latest one.
_BREAKDOWNS = """
with latest as (
    select distinct on (v.kpi_id, v.data_label, v.series, v.boundary)
        v.kpi_id, v.data_label, v.series, v.boundary, v.period
    from {marts}.fct_kpi_value as v
    inner join {marts}.dim_period as p using (period)
    where v.unit_level = 'boundary' and v.breakdown = 'total'
    order by v.kpi_id, v.data_label, v.series, v.boundary, p.year_decimal desc
)
select v.*
from {marts}.fct_kpi_value as v
inner join latest using (kpi_id, data_label, series, boundary, period)
where v.unit_level = 'boundary' and v.breakdown <> 'total'
order by v.kpi_id, v.data_label, v.series, v.breakdown, v.breakdown_value, v.boundary desc
"""

_COMMUNES = """
with latest as (
    select kpi_id, data_label, series, max(period) as period
    from {marts}.fct_kpi_value
    where unit_level = 'commune'
    group by kpi_id, data_label, series
)
select distinct on (v.kpi_id, v.data_label, v.series, v.unit_id)
    v.*, u.name_vi, u.name_en, u.full_name_vi, u.old_province_code, u.zone, u.is_urban,
    u.latitude, u.longitude, u.sort_key,
    case when parent.unit_level = 'district' then parent.full_name_vi end as district_vi
from {marts}.fct_kpi_value as v
inner join latest using (kpi_id, data_label, series, period)
inner join {marts}.dim_unit as u using (unit_id)
left join {marts}.dim_unit as parent on u.parent_unit_id = parent.unit_id
where v.unit_level = 'commune' and v.breakdown = 'total'
order by v.kpi_id, v.data_label, v.series, v.unit_id, v.boundary desc
"""

_CHANGES = """
select kpi_id, data_label, change, cause, count(*) as rows
from publication.kpi_value
where release_seq = %(seq)s
group by kpi_id, data_label, change, cause
order by kpi_id, data_label, change, cause
"""

_REVISIONS = """
select now.*, before.value as value_before
from publication.kpi_value as now
left join lateral (
    select value
    from publication.kpi_value as old
    where
        (old.kpi_id, old.data_label, old.series, old.period, old.boundary, old.unit_code)
        = (now.kpi_id, now.data_label, now.series, now.period, now.boundary, now.unit_code)
        and (old.breakdown, old.breakdown_value) = (now.breakdown, now.breakdown_value)
        and old.release_seq < now.release_seq
    order by old.release_seq desc
    limit 1
) as before on true
where
    now.release_seq = %(seq)s and now.change <> 'new'
    and now.unit_level = 'boundary' and now.breakdown = 'total'
order by now.kpi_id, now.data_label, now.boundary desc, now.period
"""

# What a reader of the release before saw as a KPI's figure.
_PREVIOUS_TOTALS = """
with states as (
    select distinct on (kpi_id, data_label, series, boundary, period) *
    from publication.kpi_value
    where
        release_seq < %(seq)s
        and unit_level = 'boundary' and breakdown = 'total'
    order by kpi_id, data_label, series, boundary, period, release_seq desc
)
select distinct on (s.kpi_id, s.data_label, s.series, s.boundary) s.*
from states as s
left join {marts}.dim_period as p using (period)
where s.change <> 'withdrawn'
order by s.kpi_id, s.data_label, s.series, s.boundary, p.year_decimal desc nulls last
"""

_VERDICT_CHANGES = """
select now.*, before.verdict as verdict_before
from publication.kpi_verdict as now
inner join lateral (
    select verdict, change
    from publication.kpi_verdict as old
    where
        (old.kpi_id, old.data_label, old.series, old.boundary, old.unit_code)
        = (now.kpi_id, now.data_label, now.series, now.boundary, now.unit_code)
        and old.release_seq < now.release_seq
    order by old.release_seq desc
    limit 1
) as before on before.change <> 'withdrawn' and before.verdict is distinct from now.verdict
where now.release_seq = %(seq)s and now.unit_level = 'boundary'
order by now.kpi_id, now.data_label, now.boundary desc
"""
