{{ config(indexes=[{'columns': ['kpi_id', 'boundary', 'period']}]) }}

-- Grain: one row per KPI, label, series, period and boundary: how far its communes lie apart.
-- Only published values take part: a hidden commune is not given away by a best or worst.
with

communes as (
    select *
    from {{ ref('fct_kpi_value') }}
    where
        unit_level = 'commune'
        and breakdown = 'total'
        and value is not null
        and denominator > 0
),

kpis as (
    select * from {{ ref('programme_kpi') }}
),

-- Best is in the direction of the KPI; equal values go by the code, so that a rerun says the same.
ranked as (
    select
        communes.*,
        row_number() over (
            partition by
                communes.kpi_id, communes.data_label, communes.series, communes.period,
                communes.boundary
            order by
                coalesce(kpis.direction_sign, 1) * communes.value desc, communes.unit_code asc
        ) as best_rank,
        row_number() over (
            partition by
                communes.kpi_id, communes.data_label, communes.series, communes.period,
                communes.boundary
            order by
                coalesce(kpis.direction_sign, 1) * communes.value asc, communes.unit_code asc
        ) as worst_rank
    from communes
    inner join kpis on communes.kpi_id = kpis.kpi_id
),

summed as (
    select
        kpi_id,
        data_label,
        series,
        period,
        boundary,
        count(*) as communes,
        max(unit_code) filter (where best_rank = 1) as best_unit_code,
        max(value) filter (where best_rank = 1) as best_value,
        max(unit_code) filter (where worst_rank = 1) as worst_unit_code,
        max(value) filter (where worst_rank = 1) as worst_value,
        percentile_cont(0.5) within group (order by value) as median_value,
        sum(denominator * value) / sum(denominator) as weighted_mean,
        sum(denominator * value * value) / sum(denominator) as weighted_mean_square
    from ranked
    group by kpi_id, data_label, series, period, boundary
),

final as (
    select
        kpi_id,
        data_label,
        series,
        period,
        boundary,
        communes::integer as communes,
        best_unit_code,
        best_value,
        worst_unit_code,
        worst_value,
        round(median_value::numeric, 10) as median_value,
        abs(best_value - worst_value) as gap,
        round(weighted_mean, 10) as weighted_mean,
        -- Rounding may leave a variance a hair below zero.
        round(
            sqrt(greatest(weighted_mean_square - weighted_mean * weighted_mean, 0)), 10
        ) as weighted_deviation
    from summed
)

select * from final
