-- Before protection, the communes of a boundary add to it, in every breakdown that communes have.
with

cells as (
    select * from {{ ref('int_kpi__rolled_up') }}
),

communes as (
    select
        kpi_id,
        data_label,
        series,
        period,
        boundary,
        breakdown,
        breakdown_value,
        sum(numerator) as numerator,
        sum(denominator) as denominator,
        sum(contributors) as contributors
    from cells
    where unit_level = 'commune'
    group by kpi_id, data_label, series, period, boundary, breakdown, breakdown_value
)

select wholes.*
from cells as wholes
left join communes
    on
        wholes.kpi_id = communes.kpi_id
        and wholes.data_label = communes.data_label
        and wholes.series = communes.series
        and wholes.period = communes.period
        and wholes.boundary = communes.boundary
        and wholes.breakdown = communes.breakdown
        and wholes.breakdown_value = communes.breakdown_value
where
    wholes.unit_level = 'boundary'
    -- Communes have no such breakdown: it is a property of theirs.
    and wholes.breakdown not in ('urban_rural', 'zone')
    -- Some figures are delivered for a district or an old province as one, without communes.
    and exists (
        select 1
        from communes as parts
        where
            parts.kpi_id = wholes.kpi_id
            and parts.data_label = wholes.data_label
            and parts.series = wholes.series
            and parts.period = wholes.period
            and parts.boundary = wholes.boundary
    )
    and (
        wholes.numerator is distinct from communes.numerator
        or (
            wholes.denominator is distinct from communes.denominator
            and wholes.kpi_id not in ({{ kpis_with_denominator_of_province() }})
        )
        or wholes.contributors is distinct from communes.contributors
    )
