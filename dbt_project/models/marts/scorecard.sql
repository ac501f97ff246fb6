-- Grain: one row per KPI, label and boundary with figures; one empty row per KPI without any.
with

kpis as (
    select * from {{ ref('dim_kpi') }}
),

facts as (
    select *
    from {{ ref('fct_kpi_value') }}
    where unit_level = 'boundary' and breakdown = 'total'
),

periods as (
    select * from {{ ref('dim_period') }}
),

targets as (
    select * from {{ ref('int_kpi__applicable_targets') }}
),

-- In the order in which the series are listed; the first is the one shown.
series_order as (
    select
        kpi_id,
        series,
        min(series_id) as series_id
    from {{ ref('delivered_series') }}
    group by kpi_id, series
),

boundary_values as (
    select
        facts.*,
        periods.year_decimal,
        max(periods.year_decimal) over (
            partition by facts.kpi_id, facts.data_label, facts.boundary
        ) as latest_year_decimal
    from facts
    inner join periods on facts.period = periods.period
),

-- A series that has ended, such as an old poverty standard, no longer speaks for its KPI.
current_values as (
    select *
    from boundary_values
    where year_decimal = latest_year_decimal
),

verdicts as (
    select * from {{ ref('fct_kpi_verdict') }}
),

-- Several current series: the mean of their scores.
combined_verdicts as (
    select
        verdicts.kpi_id,
        verdicts.data_label,
        verdicts.boundary,
        {{ series_verdict('verdicts.score', 'verdicts.verdict') }} as verdict,
        round(avg(verdicts.score), 10) as score
    from verdicts
    inner join current_values
        on
            verdicts.kpi_id = current_values.kpi_id
            and verdicts.data_label = current_values.data_label
            and verdicts.series = current_values.series
            and verdicts.boundary = current_values.boundary
            and verdicts.unit_code = current_values.unit_code
    group by verdicts.kpi_id, verdicts.data_label, verdicts.boundary
),

shown_values as (
    select distinct on (
        current_values.kpi_id, current_values.data_label, current_values.boundary
    ) current_values.*
    from current_values
    left join series_order
        on
            current_values.kpi_id = series_order.kpi_id
            and current_values.series = series_order.series
    order by
        current_values.kpi_id asc,
        current_values.data_label asc,
        current_values.boundary asc,
        series_order.series_id asc nulls last,
        current_values.series asc
),

-- An empty row still shows the target that was set.
programme_targets as (
    select *
    from targets
    where boundary = 'qn_programme'
),

final as (
    select
        kpis.sort_order,
        kpis.kpi_id,
        kpis.kpi_group,
        kpis.name_vi,
        kpis.name_en,
        kpis.unit_vi,
        kpis.unit_en,
        kpis.state,
        kpis.definition_standing,
        shown_values.data_label,
        shown_values.series,
        shown_values.boundary,
        shown_values.period,
        shown_values.value,
        kpis.decimals,
        coalesce(targets.operator, programme_targets.operator)::text as operator,
        coalesce(targets.text_vi, programme_targets.text_vi)::text as target_text_vi,
        coalesce(targets.target_value, programme_targets.target_value)::numeric as target_value,
        coalesce(targets.target_year, programme_targets.target_year)::integer as target_year,
        coalesce(combined_verdicts.verdict, 'not_available') as verdict,
        coalesce(verdicts.straight_line_verdict, 'not_available') as straight_line_verdict,
        combined_verdicts.score,
        verdicts.projected_target_year_value,
        kpis.source_owner_vi as source_vi,
        coalesce(
            shown_values.caveat_vi,
            case
                when shown_values.kpi_id is not null then null
                when kpis.state = 'no_source' then 'Chưa có nguồn số liệu.'
                when kpis.state = 'qualitative' then 'Đánh giá bằng lời, không có số liệu.'
                else 'Chưa có số liệu cho địa bàn này.'
            end
        ) as caveat_vi,
        coalesce(
            shown_values.caveat_en,
            case
                when shown_values.kpi_id is not null then null
                when kpis.state = 'no_source' then 'No source.'
                when kpis.state = 'qualitative' then 'Assessed in words, without figures.'
                else 'No figure for this boundary yet.'
            end
        ) as caveat_en
    from kpis
    left join shown_values on kpis.kpi_id = shown_values.kpi_id
    left join targets
        on
            shown_values.kpi_id = targets.kpi_id
            and shown_values.boundary = targets.boundary
    left join programme_targets on kpis.kpi_id = programme_targets.kpi_id
    left join combined_verdicts
        on
            shown_values.kpi_id = combined_verdicts.kpi_id
            and shown_values.data_label = combined_verdicts.data_label
            and shown_values.boundary = combined_verdicts.boundary
    left join verdicts
        on
            shown_values.kpi_id = verdicts.kpi_id
            and shown_values.data_label = verdicts.data_label
            and shown_values.series = verdicts.series
            and shown_values.boundary = verdicts.boundary
            and shown_values.unit_code = verdicts.unit_code
)

select * from final
