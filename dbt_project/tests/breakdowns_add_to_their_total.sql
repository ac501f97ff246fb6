-- Before protection, the values of each breakdown of a unit add to the unit's total.
with

grouped as (
    select
        kpi_id,
        data_label,
        series,
        period,
        boundary,
        unit_code,
        breakdown,
        sum(numerator) as numerator,
        sum(denominator) as denominator
    from {{ ref('int_kpi__rolled_up') }}
    group by kpi_id, data_label, series, period, boundary, unit_code, breakdown
)

select parts.*
from grouped as parts
inner join grouped as total
    on
        parts.kpi_id = total.kpi_id
        and parts.data_label = total.data_label
        and parts.series = total.series
        and parts.period = total.period
        and parts.boundary = total.boundary
        and parts.unit_code = total.unit_code
        and total.breakdown = 'total'
where
    parts.numerator is distinct from total.numerator
    or (
        parts.denominator is distinct from total.denominator
        -- The zones of a province have no denominator where only the province has one.
        and parts.kpi_id not in ({{ kpis_with_denominator_of_province() }})
    )
