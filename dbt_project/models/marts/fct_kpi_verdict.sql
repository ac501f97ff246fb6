{{ config(indexes=[{'columns': ['kpi_id', 'boundary', 'unit_level']}]) }}

-- Grain: one row per KPI, label, series, boundary and unit; breakdown total, latest observation.
with

observations as (
    select
        *,
        {{ year_decimal('period') }} as year_decimal
    from {{ ref('fct_kpi_value') }}
    where breakdown = 'total'
),

-- A series is one unit_id: a re-used code is another unit, a poverty standard another series.
base as (
    select distinct on (kpi_id, data_label, series, boundary, unit_id) *
    from observations
    -- Only what is published can be compared.
    where value is not null
    order by
        kpi_id asc,
        data_label asc,
        series asc,
        boundary asc,
        unit_id asc,
        year_decimal asc,
        period asc
),

latest as (
    select distinct on (kpi_id, data_label, series, boundary, unit_id) *
    from observations
    order by
        kpi_id asc,
        data_label asc,
        series asc,
        boundary asc,
        unit_id asc,
        year_decimal desc,
        period asc
),

kpis as (
    select * from {{ ref('programme_kpi') }}
),

targets as (
    select * from {{ ref('int_kpi__applicable_targets') }}
),

compared as (
    select
        latest.kpi_id,
        latest.data_label,
        latest.series,
        latest.boundary,
        latest.unit_level,
        latest.unit_code,
        latest.unit_id,
        base.period as base_period,
        base.value as base_value,
        base.year_decimal as base_year,
        latest.period,
        latest.value as current_value,
        latest.year_decimal as current_year,
        targets.target_id,
        -- A deadline is the end of its year.
        targets.target_year + 1 as target_year,
        targets.target_value,
        targets.target_low,
        targets.target_high,
        targets.operator,
        targets.is_own_target,
        kpis.direction_sign,
        kpis.natural_limit,
        kpis.decimals
    from latest
    inner join kpis on latest.kpi_id = kpis.kpi_id
    left join base
        on
            latest.kpi_id = base.kpi_id
            and latest.data_label = base.data_label
            and latest.series = base.series
            and latest.boundary = base.boundary
            and latest.unit_id = base.unit_id
    left join targets
        on
            latest.kpi_id = targets.kpi_id
            and latest.boundary = targets.boundary
),

directed as (
    select
        kpi_id,
        data_label,
        series,
        boundary,
        unit_level,
        unit_code,
        unit_id,
        base_period,
        base_value,
        base_year,
        period,
        current_value,
        current_year,
        target_id,
        target_year,
        {{ band_target('value') }} as target_value,
        operator,
        is_own_target,
        {{ band_target('direction') }} as direction_sign,
        natural_limit,
        {{ is_target_achieved() }} as is_operator_met
    from compared
),

judged as (
    {{ progress_verdict(
        'directed',
        is_achieved='is_operator_met',
        as_of_year=year_decimal(as_of_period()),
        has_pace="coalesce(operator, '') <> 'status'"
    ) }}
),

final as (
    select
        kpi_id,
        data_label,
        series,
        boundary,
        unit_level,
        unit_code,
        unit_id,
        base_period,
        base_value,
        round(base_year::numeric, 10) as base_year,
        period,
        current_value,
        round(current_year::numeric, 10) as current_year,
        target_id,
        target_year::numeric as target_year,
        target_value::numeric as target_value,
        operator,
        direction_sign::integer as direction_sign,
        natural_limit::numeric as natural_limit,
        'growth_rate_v1' as method_id,
        '2026-11' as method_vintage,
        round(ratio::numeric, 10) as ratio,
        round(score::numeric, 10) as score,
        verdict,
        reason_vi || case
            when target_id is not null and not is_own_target
                then ' Chỉ tiêu được đặt cho địa bàn tỉnh Quảng Ngãi trước hợp nhất.'
            else ''
        end as reason_vi,
        reason_en || case
            when target_id is not null and not is_own_target
                then ' The target was set for the province before the merger.'
            else ''
        end as reason_en,
        round(straight_line_expected::numeric, 10) as straight_line_expected,
        straight_line_verdict,
        round(projected_target_year_value::numeric, 10) as projected_target_year_value,
        round(projected_achievement_year::numeric, 10) as projected_achievement_year,
        is_achieved,
        is_achieved_but_worsening,
        is_deadline_passed
    from judged
)

select * from final
