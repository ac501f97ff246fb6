{{ config(materialized='table') }}

-- Grain: one row per KPI, series, unit, breakdown and period of a figure that an agency delivered.
with

series as (
    select
        *,
        -- "2016-2020" covers the figures printed without a standard from 2015 on: a standard is
        -- first measured at the end of the year before.
        substring(standard_version::text from '^[0-9]{4}')::integer - 1 as standard_first_year,
        substring(standard_version::text from '[0-9]{4}$')::integer as standard_last_year
    from {{ ref('delivered_series') }}
),

figures as (
    select * from {{ ref('int_statistics__delivered_figures') }}
),

-- A figure that names its standard belongs to that standard alone.
matched as (
    select
        series.kpi_id,
        figures.data_label,
        series.series,
        figures.period,
        series.boundary_id as boundary,
        series.unit_level,
        series.unit_code::text as unit_code,
        series.breakdown,
        series.breakdown_value,
        figures.value,
        figures.batch_id,
        figures.is_preliminary,
        figures.standing,
        figures.has_other_values,
        series.caveat_vi,
        series.caveat_en
    from series
    inner join figures
        on
            series.source_dataset = figures.dataset
            and {{ folded('series.source_indicator') }} = figures.indicator
            and {{ folded('series.source_area') }} = figures.area_label
            and series.period_kind = {{ period_kind('figures.period') }}
    where
        series.standard_first_year is null
        or case
            when figures.standard_version is not null
                then series.standard_version::text = figures.standard_version
            else
                left(figures.period, 4)::integer > series.standard_first_year
                and left(figures.period, 4)::integer <= series.standard_last_year
        end
),

final as (
    select
        kpi_id,
        data_label,
        series,
        period,
        boundary,
        unit_level,
        unit_code,
        breakdown,
        breakdown_value,
        value,
        batch_id,
        case when is_preliminary then 'provisional' else 'final' end as maturity,
        nullif(concat_ws(
            ' ',
            nullif(caveat_vi, ''),
            case when standing = 'secondary' then 'Dẫn lại từ nguồn khác.' end,
            case when has_other_values then 'Có nguồn in số khác.' end
        ), '') as caveat_vi,
        nullif(concat_ws(
            ' ',
            nullif(caveat_en, ''),
            case when standing = 'secondary' then 'Quoted from elsewhere.' end,
            case when has_other_values then 'Another source prints another figure.' end
        ), '') as caveat_en
    from matched
)

select * from final
