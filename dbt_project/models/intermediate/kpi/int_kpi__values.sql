{{ config(materialized='table') }}

-- Grain: one row per KPI, label, series, period, boundary, unit, breakdown and value, unprotected.
with

rolled_up as (
    select *
    from {{ ref('int_kpi__rolled_up') }}
    -- Later periods belong to later releases. By their months: "2025-Q2" sorts after "2025-12".
    where {{ last_month('period') }} <= {{ as_of_period() }}
),

kpis as (
    select * from {{ ref('programme_kpi') }}
),

units as (
    select * from {{ ref('geo_unit') }}
),

crosswalk as (
    select *
    from {{ ref('geo_crosswalk') }}
    where relation = 'partial'
),

-- What is printed of a commune that was divided between two, and of those that took a part.
split_units as (
    select
        unit_id,
        string_agg(distinct caveat_vi, ' ') as caveat_vi,
        string_agg(distinct caveat_en, ' ') as caveat_en
    from (
        select
            old_unit_id as unit_id,
            'Xã được chia cho hai xã từ ' || to_char(effective_on, 'DD/MM/YYYY')
            || '; số liệu không được phân bổ.' as caveat_vi,
            'Divided between two communes on ' || effective_on
            || '; counts are not apportioned.' as caveat_en
        from crosswalk

        union all

        select
            new_unit_id as unit_id,
            'Nhận một phần của một xã bị chia ngày ' || to_char(effective_on, 'DD/MM/YYYY')
            || '; không so được với trước ngày đó.' as caveat_vi,
            'Took a part of a commune divided on ' || effective_on
            || '; not comparable with before.' as caveat_en
        from crosswalk
    ) as parts
    group by unit_id
),

maturity as (
    select * from {{ ref('int_kpi__maturity') }}
),

figures as (
    select * from {{ ref('kpi__delivered_series') }}
),

computed as (
    select
        rolled_up.kpi_id,
        rolled_up.data_label,
        rolled_up.series,
        rolled_up.period,
        rolled_up.boundary,
        rolled_up.unit_level,
        rolled_up.unit_code,
        rolled_up.unit_id,
        rolled_up.breakdown,
        rolled_up.breakdown_value,
        rolled_up.numerator,
        rolled_up.denominator,
        case
            when rolled_up.kpi_id in (
                {%- for kpi_id, kpi in computed_kpis().items() if kpi.form == 'count' %}
                '{{ kpi_id }}'{{ '' if loop.last else ',' }}
                {%- endfor %}
            ) then rolled_up.numerator
            else round(rolled_up.numerator * kpis.scale / nullif(rolled_up.denominator, 0), 10)
        end as value,
        rolled_up.contributors,
        rolled_up.denominator_id,
        rolled_up.denominator_vintage,
        coalesce(maturity.maturity, 'provisional') as maturity,
        split_units.caveat_vi,
        split_units.caveat_en,
        true as is_computed
    from rolled_up
    inner join kpis on rolled_up.kpi_id = kpis.kpi_id
    left join maturity
        on
            rolled_up.kpi_id = maturity.kpi_id
            and rolled_up.period = maturity.period
    left join split_units on rolled_up.unit_id = split_units.unit_id
),

-- The unit that carried this code at the end of the period, else the first one that did.
delivered as (
    select distinct on (
        figures.kpi_id,
        figures.data_label,
        figures.series,
        figures.period,
        figures.boundary,
        figures.unit_code,
        figures.breakdown,
        figures.breakdown_value
    )
        figures.kpi_id,
        figures.data_label,
        figures.series,
        figures.period,
        figures.boundary,
        figures.unit_level,
        figures.unit_code,
        case
            when figures.unit_level = 'boundary' then figures.boundary
            else units.unit_id
        end as unit_id,
        figures.breakdown,
        figures.breakdown_value,
        null::numeric as numerator,
        null::numeric as denominator,
        figures.value,
        null::bigint as contributors,
        null::text as denominator_id,
        figures.batch_id as denominator_vintage,
        figures.maturity,
        figures.caveat_vi,
        figures.caveat_en,
        false as is_computed
    from figures
    left join units
        on
            figures.unit_level = units.unit_level
            and figures.unit_code = units.unit_code::text
    order by
        figures.kpi_id asc,
        figures.data_label asc,
        figures.series asc,
        figures.period asc,
        figures.boundary asc,
        figures.unit_code asc,
        figures.breakdown asc,
        figures.breakdown_value asc,
        (
            {{ period_end('figures.period') }}
            between units.valid_from and coalesce(units.valid_to, 'infinity'::date)
        ) desc nulls last,
        units.valid_from asc
),

final as (
    select * from computed

    union all

    select * from delivered
)

select
    final.*,
    {{ cell_id() }} as cell_id
from final
