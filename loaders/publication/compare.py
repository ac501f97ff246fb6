"""SQL: the rows that differ between two states of a mart, with the causes that hold for each."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from psycopg import sql

from loaders.publication.content import Columns
from loaders.publication.reasons import CAUSES, Reasons


@dataclass(frozen=True)
class Ledger:
    """A mart whose differences are kept release by release."""

    mart: str
    table: str
    key: tuple[str, ...]


VALUES = Ledger(
    "fct_kpi_value",
    "kpi_value",
    (
        *("kpi_id", "data_label", "series", "period", "boundary", "unit_code"),
        *("breakdown", "breakdown_value"),
    ),
)
VERDICTS = Ledger(
    "fct_kpi_verdict",
    "kpi_verdict",
    ("kpi_id", "data_label", "series", "boundary", "unit_code", "unit_id"),
)
LEDGERS = (VALUES, VERDICTS)
# A withdrawn row names what is gone and carries no figure.
NAMED = "unit_level"


def listing(template: str, columns: Iterable[str], types: Columns | None = None) -> sql.Composed:
    """The template for every column: `{c}` is its name, `{t}` its type, `{b}` the name of what it
    was before."""
    return sql.SQL(", ").join(
        sql.SQL(template).format(  # type: ignore[arg-type]
            c=sql.Identifier(name),
            t=sql.SQL(types[name] if types else ""),  # type: ignore[arg-type]
            b=sql.Identifier(f"before_{name}"),
        )
        for name in columns
    )


def value_differences(
    columns: Iterable[str], old: sql.Composable, new: sql.Composable, reasons: list[Reasons]
) -> sql.Composable:
    """A query: cells that differ, each column after and before, `change`, `causes`, `evidence`.

    Args:
        columns: of the mart, in both states.
        old: a query for the earlier rows.
        new: a query for the later rows.
    """
    return _VALUE_CAUSES.format(
        reasons=_relation(reasons), changed=_changed(VALUES, list(columns), old, new)
    )


def verdict_differences(
    columns: Iterable[str],
    old: sql.Composable,
    new: sql.Composable,
    reasons: list[Reasons],
    value_changes: sql.Composable,
) -> sql.Composable:
    """The same for verdicts; `value_changes` is a query for the changed cells with their causes."""
    return _VERDICT_CAUSES.format(
        reasons=_relation(reasons),
        changed=_changed(VERDICTS, list(columns), old, new),
        value_changes=value_changes,
        order=sql.Literal(list(CAUSES)),
    )


def _changed(
    ledger: Ledger, columns: list[str], old: sql.Composable, new: sql.Composable
) -> sql.Composable:
    values = [name for name in columns if name not in ledger.key]
    return sql.SQL(
        """
        select
            {after},
            {before},
            case
                when p.kpi_id is null then 'new'
                when o.kpi_id is null then 'withdrawn'
                else 'revised'
            end as change
        from ({new}) as o
        full join ({old}) as p on ({offered_key}) = ({published_key})
        where
            p.kpi_id is null
            or o.kpi_id is null
            -- by their bytes: what was 1.0 and is now 1.00 is printed otherwise
            or record_image_ne(row({offered_values}), row({published_values}))
        """
    ).format(
        after=sql.SQL(", ").join(
            listing("coalesce(o.{c}, p.{c}) as {c}", [name])
            if name in ledger.key or name == NAMED
            else listing("o.{c}", [name])
            for name in columns
        ),
        before=listing("p.{c} as {b}", values),
        old=old,
        new=new,
        offered_key=listing("o.{c}", ledger.key),
        published_key=listing("p.{c}", ledger.key),
        offered_values=listing("o.{c}", values),
        published_values=listing("p.{c}", values),
    )


def _relation(reasons: list[Reasons]) -> sql.Composable:
    rows = json.dumps([one.to_dict() for one in reasons], ensure_ascii=False)
    return sql.SQL(
        "select * from jsonb_to_recordset({}::jsonb) as r (kpi_id text, kind text, month text,"
        " has_own_denominator boolean, causes text[], evidence text)"
    ).format(sql.Literal(rows))


_VALUE_CAUSES = sql.SQL(
    """
    with reasons as materialized ({reasons}),

    changed as ({changed}),

    flagged as (
        select
            changed.*,
            case
                when coalesce(denominator_id, before_denominator_id) is null then 'delivered'
                else 'computed'
            end as kind,
            case
                when length(period) = 4 then period || '-12'
                when length(period) = 9 then right(period, 4) || '-08'
                when period like '%-Q_' then left(period, 5)
                    || lpad((right(period, 1)::integer * 3)::text, 2, '0')
                else period
            end as month,
            change = 'revised' and (unit_id, unit_level)
                is distinct from (before_unit_id, before_unit_level) as is_unit_changed,
            change = 'revised'
                and is_suppressed is distinct from before_is_suppressed as is_hidden_or_shown,
            change <> 'revised' or (numerator, denominator, value, contributors)
                is distinct from
                (before_numerator, before_denominator, before_value, before_contributors)
                as is_figure_changed,
            change = 'revised' and maturity is distinct from before_maturity
                as is_maturity_changed,
            change = 'revised' and (caveat_vi, caveat_en)
                is distinct from (before_caveat_vi, before_caveat_en) as is_caveat_changed
        from changed
    ),

    reasoned as (
        select
            flagged.*,
            coalesce(own.causes, general.causes, first.causes, '{{}}') as input_causes,
            coalesce(own.evidence, general.evidence, '') as input_evidence,
            change = 'revised' and (
                denominator_id is distinct from before_denominator_id
                or (
                    denominator_vintage is distinct from before_denominator_vintage
                    and coalesce(own.has_own_denominator, general.has_own_denominator, true)
                )
            ) as is_denominator_changed
        from flagged
        left join reasons as own
            on
                flagged.kpi_id = own.kpi_id
                and flagged.kind = own.kind
                and flagged.month = own.month
        left join reasons as general
            on
                flagged.kpi_id = general.kpi_id
                and flagged.kind = general.kind
                and general.month = '*'
        left join reasons as first on first.kpi_id = '*'
    )

    select
        reasoned.*,
        array_remove(array[
            case when is_unit_changed then 'boundary' end,
            case when is_hidden_or_shown then 'disclosure_protection' end,
            case when is_denominator_changed then 'denominator_vintage' end,
            case when is_maturity_changed and not is_figure_changed then 'maturity' end,
            case when is_caveat_changed and not is_figure_changed then 'caveat' end
        ], null)
        || input_causes
        || array_remove(array[
            case when is_maturity_changed and is_figure_changed then 'maturity' end,
            case when is_caveat_changed and is_figure_changed then 'caveat' end,
            case
                when
                    cardinality(input_causes) = 0
                    and not (is_unit_changed or is_denominator_changed)
                    and (
                        is_figure_changed or is_hidden_or_shown
                        or not (is_maturity_changed or is_caveat_changed)
                    )
                    then 'unexplained'
            end,
            case when change = 'withdrawn' then 'not_computed' end
        ], null) as causes,
        concat_ws(
            '; ',
            case when is_denominator_changed then concat_ws(
                ' ', 'denominator', before_denominator_id, before_denominator_vintage,
                '→', denominator_id, denominator_vintage
            ) end,
            nullif(input_evidence, '')
        ) as evidence
    from reasoned
    """
)

_VERDICT_CAUSES = sql.SQL(
    """
    with reasons as materialized ({reasons}),

    changed as materialized ({changed}),

    value_changes as ({value_changes}),

    -- The cells that the verdict compares, now or before.
    from_values as (
        select
            changed.kpi_id,
            changed.data_label,
            changed.series,
            changed.boundary,
            changed.unit_code,
            changed.unit_id,
            array_agg(distinct cause) as causes,
            string_agg(distinct nullif(value_changes.evidence, ''), '; ') as evidence
        from changed
        inner join value_changes
            on
                changed.kpi_id = value_changes.kpi_id
                and changed.data_label = value_changes.data_label
                and changed.series = value_changes.series
                and changed.boundary = value_changes.boundary
                and changed.unit_code = value_changes.unit_code
                -- a withdrawn cell has lost its unit
                and changed.unit_id = coalesce(value_changes.unit_id, changed.unit_id)
                and value_changes.period in (
                    changed.period, changed.before_period,
                    changed.base_period, changed.before_base_period
                )
        cross join unnest(value_changes.causes) as cause
        group by
            changed.kpi_id, changed.data_label, changed.series, changed.boundary,
            changed.unit_code, changed.unit_id
    ),

    reasoned as (
        select
            changed.*,
            coalesce(from_values.causes, '{{}}') as value_causes,
            coalesce(reasons.causes, '{{}}') as code_causes,
            from_values.evidence as value_evidence,
            nullif(reasons.evidence, '') as code_evidence,
            change = 'revised' and period is distinct from before_period as is_new_period,
            change = 'revised' and (
                (target_id, target_year, operator)
                is distinct from (before_target_id, before_target_year, before_operator)
                or (
                    'target' = any(reasons.causes)
                    and (target_value, is_achieved, straight_line_expected)
                    is distinct from
                    (before_target_value, before_is_achieved, before_straight_line_expected)
                )
            ) as is_target_changed,
            change = 'revised' and (method_id, method_vintage)
                is distinct from (before_method_id, before_method_vintage) as is_method_changed,
            change = 'revised' and is_deadline_passed is distinct from before_is_deadline_passed
                as is_deadline_changed
        from changed
        left join from_values
            using (kpi_id, data_label, series, boundary, unit_code, unit_id)
        left join reasons
            on changed.kpi_id = reasons.kpi_id and reasons.kind = 'verdict'
    ),

    named as (
        select
            reasoned.*,
            array_remove(array[
                case when is_new_period then 'new_period' end,
                case when is_target_changed then 'target' end,
                case when is_method_changed then 'method' end,
                case when is_deadline_changed then 'deadline_passed' end,
                case when change = 'withdrawn' then 'not_computed' end
            ], null) || value_causes || array_remove(code_causes, 'target') as every_cause
        from reasoned
    )

    select
        named.*,
        case
            when every_cause <@ array['not_computed', 'new_period']
                then every_cause || array['unexplained']
            else array(
                select cause
                from unnest(every_cause) as cause
                group by cause
                order by array_position({order}::text[], cause)
            )
        end as causes,
        concat_ws(
            '; ',
            case when is_new_period then concat('period ', before_period, ' → ', period) end,
            case when is_target_changed then concat(
                'target ', before_operator, ' ', before_target_value, ' (', before_target_id,
                ') → ', operator, ' ', target_value, ' (', target_id, ')'
            ) end,
            case when is_method_changed then concat(
                'method ', before_method_id, ' ', before_method_vintage, ' → ', method_id, ' ',
                method_vintage
            ) end,
            case when is_deadline_changed then 'the deadline passed' end,
            value_evidence,
            code_evidence
        ) as evidence
    from named
    """
)
