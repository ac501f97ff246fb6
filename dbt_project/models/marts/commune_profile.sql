{{ config(indexes=[
    {'columns': ['unit_id', 'kpi_id']},
    {'columns': ['boundary', 'data_label', 'kpi_id']},
]) }}

-- Grain: one row per commune of the release month, boundary, KPI, label and series: latest figure.
-- Tall, not a column per KPI: a new KPI is then a new row, and no saved dashboard, query or
-- spreadsheet loses its columns; a pivot table gives back a column per KPI where one is wanted.
with

communes as (
    select *
    from {{ ref('dim_unit') }}
    where
        unit_level = 'commune'
        and valid_from <= {{ month_end(as_of_period()) }}
        and coalesce(valid_to, 'infinity'::date) >= {{ month_end(as_of_period()) }}
),

boundary_communes as (
    select
        *,
        'qn_programme' as boundary
    from communes
    where is_in_qn_programme

    union all

    select
        *,
        'qn_current' as boundary
    from communes
    where is_in_qn_current
),

kpis as (
    select * from {{ ref('dim_kpi') }}
),

targets as (
    select * from {{ ref('dim_target') }}
),

periods as (
    select * from {{ ref('dim_period') }}
),

verdicts as (
    select *
    from {{ ref('fct_kpi_verdict') }}
    where unit_level = 'commune'
),

totals as (
    select *
    from {{ ref('fct_kpi_value') }}
    where breakdown = 'total'
),

latest as (
    select
        verdicts.*,
        totals.value,
        totals.denominator,
        totals.is_suppressed,
        totals.maturity,
        totals.caveat_vi,
        totals.caveat_en
    from verdicts
    inner join boundary_communes
        on
            verdicts.unit_id = boundary_communes.unit_id
            and verdicts.boundary = boundary_communes.boundary
    inner join totals
        on
            verdicts.kpi_id = totals.kpi_id
            and verdicts.data_label = totals.data_label
            and verdicts.series = totals.series
            and verdicts.period = totals.period
            and verdicts.boundary = totals.boundary
            and verdicts.unit_code = totals.unit_code
),

-- Ranks look at published figures of one period: those that are compared in fct_kpi_gap.
ranked as (
    select
        latest.kpi_id,
        latest.data_label,
        latest.series,
        latest.boundary,
        latest.unit_id,
        rank() over (
            partition by
                latest.kpi_id, latest.data_label, latest.series, latest.boundary, latest.period
            order by coalesce(kpis.direction_sign, 1) * latest.value desc
        ) as rank_among_communes,
        count(*) over (
            partition by
                latest.kpi_id, latest.data_label, latest.series, latest.boundary, latest.period
        ) as communes_ranked
    from latest
    inner join kpis on latest.kpi_id = kpis.kpi_id
    where
        latest.value is not null
        and latest.denominator is distinct from 0
),

-- A commune without a figure keeps its row: what is missing is seen.
series_of_kpis as (
    select distinct
        kpi_id,
        data_label,
        series,
        boundary
    from latest
),

final as (
    select
        boundary_communes.unit_id,
        boundary_communes.unit_code,
        boundary_communes.full_name_vi as unit_name_vi,
        boundary_communes.name_en as unit_name_en,
        boundary_communes.sort_number as unit_sort_number,
        boundary_communes.unit_type_vi,
        boundary_communes.unit_type_en,
        boundary_communes.old_province_code,
        boundary_communes.zone,
        boundary_communes.is_urban,
        boundary_communes.area_km2,
        boundary_communes.latitude,
        boundary_communes.longitude,
        -- Sample people do not stand beside real figures.
        case
            when
                boundary_communes.population_data_label in ('real', series_of_kpis.data_label)
                then boundary_communes.population
        end as population,
        case
            when
                boundary_communes.population_data_label in ('real', series_of_kpis.data_label)
                then boundary_communes.population_period
        end as population_period,
        boundary_communes.boundary,
        kpis.kpi_id,
        kpis.sort_order as kpi_sort_order,
        kpis.kpi_group,
        kpis.name_vi as kpi_name_vi,
        kpis.name_en as kpi_name_en,
        kpis.unit_vi as measure_vi,
        kpis.unit_en as measure_en,
        kpis.decimals,
        kpis.direction_sign,
        series_of_kpis.data_label,
        series_of_kpis.series,
        latest.period,
        periods.label_vi as period_label_vi,
        periods.label_en as period_label_en,
        latest.value,
        coalesce(latest.is_suppressed, false) as is_suppressed,
        latest.maturity,
        province.value as province_value,
        latest.value - province.value as gap_to_province,
        latest.operator,
        targets.target_year,
        latest.target_value,
        targets.text_vi as target_text_vi,
        latest.value - latest.target_value as gap_to_target,
        latest.is_achieved,
        ranked.rank_among_communes::integer as rank_among_communes,
        ranked.communes_ranked::integer as communes_ranked,
        round(
            100.0 * (ranked.communes_ranked - ranked.rank_among_communes + 1)
            / ranked.communes_ranked,
            2
        ) as rank_share_pct,
        coalesce(latest.verdict, 'not_available') as verdict,
        coalesce(latest.straight_line_verdict, 'not_available') as straight_line_verdict,
        latest.reason_vi,
        latest.reason_en,
        case
            when latest.kpi_id is null then 'Chưa có số liệu của xã này.'
            else latest.caveat_vi
        end as caveat_vi,
        case
            when latest.kpi_id is null then 'No figure of this commune yet.'
            else latest.caveat_en
        end as caveat_en
    from boundary_communes
    inner join series_of_kpis on boundary_communes.boundary = series_of_kpis.boundary
    inner join kpis on series_of_kpis.kpi_id = kpis.kpi_id
    left join latest
        on
            boundary_communes.unit_id = latest.unit_id
            and series_of_kpis.boundary = latest.boundary
            and series_of_kpis.kpi_id = latest.kpi_id
            and series_of_kpis.data_label = latest.data_label
            and series_of_kpis.series = latest.series
    left join periods on latest.period = periods.period
    left join targets on latest.target_id = targets.target_id
    left join ranked
        on
            latest.unit_id = ranked.unit_id
            and latest.boundary = ranked.boundary
            and latest.kpi_id = ranked.kpi_id
            and latest.data_label = ranked.data_label
            and latest.series = ranked.series
    left join totals as province
        on
            latest.kpi_id = province.kpi_id
            and latest.data_label = province.data_label
            and latest.series = province.series
            and latest.period = province.period
            and latest.boundary = province.boundary
            and latest.boundary = province.unit_code
)

select * from final
