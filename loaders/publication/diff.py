"""What differs between any two releases, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from loaders.publication.compare import (
    VALUES,
    VERDICTS,
    Ledger,
    value_differences,
    verdict_differences,
)
from loaders.publication.content import Columns
from loaders.publication.history import HistoryError, Release, rows_at
from loaders.publication.reasons import batch_changes, reasons_between

#: What a line of the difference says, in this order; `_a` and `_b` are the releases as asked for.
COLUMNS = (
    *("what", "kpi_id", "data_label", "series", "period", "boundary", "unit_level", "unit_code"),
    *("breakdown", "breakdown_value", "change", "causes", "value_a", "value_b", "numerator_a"),
    *("numerator_b", "denominator_a", "denominator_b", "contributors_a", "contributors_b"),
    *("maturity_a", "maturity_b", "verdict_a", "verdict_b", "straight_line_verdict_a"),
    *("straight_line_verdict_b", "target_value_a", "target_value_b", "evidence"),
)
_SIDES = {name.removesuffix("_a") for name in COLUMNS if name.endswith("_a")}


@dataclass(frozen=True)
class Difference:
    """Two releases to compare; causes are those of the way from the earlier to the later one."""

    a: Release
    b: Release

    @property
    def ordered(self) -> tuple[Release, Release]:
        """The earlier and the later release."""
        return (self.a, self.b) if self.a.release_seq <= self.b.release_seq else (self.b, self.a)

    def query(self) -> sql.Composable:
        """One row per figure and verdict that differs, in :data:`COLUMNS`.

        Raises:
            HistoryError: one of the releases is older than its history.
        """
        earlier, later = self.ordered
        reasons = reasons_between(earlier.manifest, later.manifest)
        columns = self._columns(VALUES)
        values = value_differences(
            columns, self._rows(earlier, VALUES), self._rows(later, VALUES), reasons
        )
        totals = sql.SQL("select * from figure_differences where breakdown = 'total'")
        verdicts = verdict_differences(
            self._columns(VERDICTS),
            self._rows(earlier, VERDICTS),
            self._rows(later, VERDICTS),
            reasons,
            totals,
        )
        was, now = ("a", "b") if earlier is self.a else ("b", "a")
        return _QUERY.format(
            values=values,
            verdicts=verdicts,
            columns=sql.SQL(", ").join(map(sql.Identifier, COLUMNS)),
            **{f"{name}_was": sql.Identifier(f"{name}_{was}") for name in _SIDES},
            **{f"{name}_now": sql.Identifier(f"{name}_{now}") for name in _SIDES},
        )

    def _columns(self, ledger: Ledger) -> Columns:
        """Those that both releases have."""
        earlier, later = (self._recorded(release, ledger) for release in self.ordered)
        return {name: type_ for name, type_ in later.items() if name in earlier}

    @staticmethod
    def _recorded(release: Release, ledger: Ledger) -> Columns:
        recorded = release.manifest["tables"][ledger.mart].get("columns")
        if recorded is None:
            raise HistoryError(
                f"release {release.release_id} was published before the columns of "
                f"marts.{ledger.mart} were kept; compare later ones"
            )
        return dict(recorded)

    def _rows(self, release: Release, ledger: Ledger) -> sql.Composable:
        return rows_at(release.release_seq, ledger.mart, self._columns(ledger))


# A figure that is only printed otherwise (1.0, 1.00) or has another caveat is no other figure; a
# verdict with another score is no other verdict.
_QUERY = sql.SQL(
    """
    with figure_differences as materialized ({values}),

    value_lines as (
        select
            'figure' as what, kpi_id, data_label, series, period, boundary, unit_level, unit_code,
            breakdown, breakdown_value, change, array_to_string(causes, ',') as causes,
            before_value as {value_was}, value as {value_now},
            before_numerator as {numerator_was}, numerator as {numerator_now},
            before_denominator as {denominator_was}, denominator as {denominator_now},
            before_contributors as {contributors_was}, contributors as {contributors_now},
            before_maturity as {maturity_was}, maturity as {maturity_now},
            null::text as {verdict_was}, null::text as {verdict_now},
            null::text as {straight_line_verdict_was}, null::text as {straight_line_verdict_now},
            null::numeric as {target_value_was}, null::numeric as {target_value_now},
            evidence
        from figure_differences
        where
            is_figure_changed
            or is_hidden_or_shown
            or is_unit_changed
            or is_denominator_changed
            or is_maturity_changed
    ),

    verdict_lines as (
        select
            'verdict' as what, kpi_id, data_label, series,
            coalesce(period, before_period) as period, boundary, unit_level, unit_code,
            'total' as breakdown, 'total' as breakdown_value,
            change, array_to_string(causes, ',') as causes,
            before_current_value as {value_was}, current_value as {value_now},
            null::numeric as {numerator_was}, null::numeric as {numerator_now},
            null::numeric as {denominator_was}, null::numeric as {denominator_now},
            null::bigint as {contributors_was}, null::bigint as {contributors_now},
            null::text as {maturity_was}, null::text as {maturity_now},
            before_verdict as {verdict_was}, verdict as {verdict_now},
            before_straight_line_verdict as {straight_line_verdict_was},
            straight_line_verdict as {straight_line_verdict_now},
            before_target_value as {target_value_was}, target_value as {target_value_now},
            evidence
        from ({verdicts}) as differences
        where
            (
                change, verdict, straight_line_verdict, is_achieved, is_achieved_but_worsening,
                is_deadline_passed, target_id, target_value, operator
            ) is distinct from (
                'revised', before_verdict, before_straight_line_verdict, before_is_achieved,
                before_is_achieved_but_worsening, before_is_deadline_passed, before_target_id,
                before_target_value, before_operator
            )
    )

    select {columns} from value_lines
    union all
    select {columns} from verdict_lines
    """
)


def difference_csv(cursor: psycopg.Cursor, difference: Difference) -> Iterator[bytes]:
    """The difference as CSV with header, sorted by figure; streamed."""
    statement = sql.SQL(
        "copy (select * from ({}) as d order by what, kpi_id, data_label, series, period, boundary,"
        " unit_level, unit_code, breakdown, breakdown_value) to stdout (format csv, header)"
    ).format(difference.query())
    with cursor.copy(statement) as copy:
        for block in copy:
            yield bytes(block)


def difference_summary(
    connection: psycopg.Connection, difference: Difference
) -> list[dict[str, Any]]:
    """How many figures and verdicts differ, by `what`, `kpi_id`, `change` and `causes`."""
    statement = sql.SQL(
        """
        select what, kpi_id, change, causes, count(*) as lines
        from ({}) as d
        group by what, kpi_id, change, causes
        order by what, kpi_id, change, causes
        """
    ).format(difference.query())
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(statement).fetchall()


def changed_inputs(connection: psycopg.Connection, difference: Difference) -> list[str]:
    """One line for each batch, rule and piece of code that differs between the two releases."""
    earlier, later = difference.ordered
    lines = []
    batches = {
        (f"{batch['source']}__{batch['dataset']}", batch["period"], side): batch
        for side, release in enumerate(difference.ordered)
        for batch in release.manifest["batches"]
    }
    for change in batch_changes(earlier.manifest["batches"], later.manifest["batches"]):
        lines.append(change.evidence)
        if "rule_change" in change.causes:
            runs = [batches[change.dataset, change.period, side].get("gate_run") for side in (0, 1)]
            rules = changed_rules(connection, *runs) or [
                "no rule has another version, severity or limit: a query or the contract changed"
            ]
            lines.extend(f"  {line}" for line in rules)
    old, new = (
        release.manifest.get("lineage", {}).get("parts", {}) for release in (earlier, later)
    )
    if not old:
        return [*lines, f"the code of release {earlier.release_id} was not noted"]
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            was, now = (str(parts.get(name, "none"))[:12] for parts in (old, new))
            lines.append(f"{name}: sha256 {was} → {now}")
    return lines


def changed_rules(
    connection: psycopg.Connection, earlier_run: str | None, later_run: str | None
) -> list[str]:
    """The rules that two runs of the intake gate do not share, with versions and limits."""
    rows = connection.execute(
        """
        with earlier as (select * from audit.rule_result where gate_run = %s::uuid),
        later as (select * from audit.rule_result where gate_run = %s::uuid)
        select
            rule_id, earlier.rule_version, earlier.severity, earlier.expected,
            later.rule_version, later.severity, later.expected
        from earlier full join later using (rule_id)
        where
            (earlier.rule_version, earlier.severity, earlier.expected)
            is distinct from (later.rule_version, later.severity, later.expected)
        order by rule_id
        """,
        (earlier_run, later_run),
    ).fetchall()

    def state(version: int | None, severity: str | None, expected: str | None) -> str:
        if version is None:
            return "none"
        limit = "what its query says" if expected in (None, "", "{}") else expected
        return f"version {version}, {severity}, expects {limit}"

    return [f"rule {rule_id}: {state(*rest[:3])} → {state(*rest[3:])}" for rule_id, *rest in rows]
