-- Grain: one row per commune, month, series, breakdown and value.
-- Poor and near-poor households per resident household, one series for each standard.
with

classes as (
    select
        'poor' as name,
        'HN' as poverty_class

    union all

    select
        'near_poor' as name,
        'HCN' as poverty_class

    union all

    select
        'poor_and_near_poor' as name,
        'HN' as poverty_class

    union all

    select
        'poor_and_near_poor' as name,
        'HCN' as poverty_class
),

names as (
    select distinct name
    from classes
),

-- A commune of which no count is left keeps its row, with nothing to divide by.
households as (
    select
        units.period,
        units.unit_code,
        totals.ethnic_group,
        coalesce(totals.households, 0) as households,
        case when units.period >= '2026' then '2026_2030' else '2021_2025' end as standard
    from {{ ref('int_delivery__units') }} as units
    left join {{ ref('stg_poverty_review__household_totals') }} as totals
        on
            units.period = totals.period
            and units.unit_code = totals.unit_code
    where
        units.dataset = 'poverty_review__household_totals'
        and length(units.unit_code) = 5
        and {{ is_computed_period('units.period') }}
),

-- Denominator: all resident households, by the ethnic group of the head.
denominator as (
    select
        households.period,
        households.unit_code,
        names.name || '_' || households.standard as series,
        households.ethnic_group,
        sum(households.households) as denominator
    from households
    cross join names
    group by households.period, households.unit_code, series, households.ethnic_group
),

-- Exclusions: households that have left the list. A standard lasts five years and names its
-- series: one series never runs over two, and the survey rate of the statistics office is another.
-- Numerator: households listed at month end, with what the year added since its review.
numerator as (
    select
        poor.period,
        poor.unit_code,
        classes.name || '_' || poor.standard as series,
        poor.ethnic_group,
        count(*) as numerator,
        count(*) as contributors
    from {{ ref('stg_poverty_review__poor_households') }} as poor
    inner join classes on poor.poverty_class = classes.poverty_class
    where {{ is_computed_period('poor.period') }}
    group by poor.period, poor.unit_code, series, poor.ethnic_group
),

{{ kpi_final('poverty_rate_multidimensional', breakdowns=['ethnic_group'], series=true) }}
