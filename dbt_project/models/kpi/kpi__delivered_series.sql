{{ config(materialized='table') }}

-- Grain: one row per KPI, label, series, period, boundary, unit, breakdown and value.
-- Figures that an agency itself delivers; the seed delivered_series says which ones.
with

series as (
    select * from {{ ref('delivered_series') }}
),

figures as (
    select * from {{ ref('int_statistics__delivered_figures') }}
),

kpis as (
    select * from {{ ref('programme_kpi') }}
),

-- The pattern keeps standards apart: 2015 alone has two poverty rates.
matched as (
    select
        series.*,
        figures.period,
        figures.period_label,
        figures.value as printed_value,
        figures.is_preliminary,
        figures.standing,
        figures.row_number,
        figures.batch_id,
        figures.data_label
    from series
    inner join figures
        on
            series.source_dataset = figures.dataset
            and {{ folded('series.source_indicator') }} = figures.indicator
            and {{ folded('series.source_area') }} = figures.area_label
            and figures.period_label ~ series.source_period_pattern
            and series.period_kind = {{ period_kind('figures.period') }}
    where
        coalesce(series.source_unit_label, '') = ''
        or {{ folded('series.source_unit_label') }} = figures.unit_label
),

-- A few rates are printed as their two parts.
denominators as (
    select distinct on (dataset, indicator, area_label, period_label)
        dataset,
        indicator,
        area_label,
        period_label,
        value
    from figures
    order by
        dataset asc,
        indicator asc,
        area_label asc,
        period_label asc,
        (standing = 'proven') desc,
        row_number asc
),

valued as (
    select
        matched.*,
        case
            when coalesce(matched.source_denominator_indicator, '') = ''
                then matched.printed_value
            else
                round(matched.printed_value * kpis.scale / nullif(denominators.value, 0), 10)
        end as value
    from matched
    inner join kpis on matched.kpi_id = kpis.kpi_id
    left join denominators
        on
            matched.source_dataset = denominators.dataset
            and {{ folded('matched.source_denominator_indicator') }} = denominators.indicator
            and {{ folded('matched.source_area') }} = denominators.area_label
            and matched.period_label = denominators.period_label
),

-- Two publications may print two figures: the final one, the proven one, the first in the list.
ranked as (
    select
        *,
        row_number() over (
            partition by {{ delivered_grain() }}
            order by is_preliminary asc, (standing = 'proven') desc, row_number asc, series_id asc
        ) as preference,
        min(value) over (
            partition by {{ delivered_grain() }}
        ) < max(value) over (
            partition by {{ delivered_grain() }}
        ) as has_other_values
    from valued
    -- Without its denominator the rate is not printed at all.
    where value is not null
),

final as (
    select
        kpi_id,
        data_label,
        series,
        period,
        boundary_id as boundary,
        unit_level,
        unit_code::text as unit_code,
        breakdown,
        breakdown_value,
        value,
        batch_id,
        case when is_preliminary then 'provisional' else 'final' end as maturity,
        nullif(concat_ws(
            ' ',
            caveat_vi,
            case when standing = 'secondary' then 'Dẫn lại từ nguồn khác.' end,
            case when has_other_values then 'Có nguồn in số khác.' end
        ), '') as caveat_vi,
        nullif(concat_ws(
            ' ',
            caveat_en,
            case when standing = 'secondary' then 'Quoted from elsewhere.' end,
            case when has_other_values then 'Another source prints another figure.' end
        ), '') as caveat_en
    from ranked
    where preference = 1
)

select * from final
