-- Grain: one row per commune, month, breakdown and value.
-- Pupils aged 15-17 per resident of that age.
with

delivered_communes as (
    select *
    from {{ ref('int_delivery__communes') }}
    where {{ is_computed_period() }}
),

-- Communes for which both pupils and population were delivered.
scope as (
    select
        pupils.period,
        pupils.unit_code,
        greatest(pupils.data_label, population.data_label) as data_label,
        population.batch_id as denominator_vintage
    from delivered_communes as pupils
    inner join delivered_communes as population
        on
            pupils.period = population.period
            and pupils.unit_code = population.unit_code
            and population.dataset = 'statistics_office__commune_population'
    where pupils.dataset = 'education__pupils'
),

-- Denominator: residents aged 15-17 by the first year of the school year.
denominator as (
    select
        period,
        unit_code,
        sex,
        sum(population) as persons
    from {{ ref('int_population__commune_month') }}
    where
        school_age between 15 and 17
        and {{ is_computed_period() }}
    group by period, unit_code, sex
),

-- Exclusions: pupils older or younger than 15-17, which is what makes the rate a net one.
-- Numerator: persons at this level, in their commune of residence.
numerator as (
    select
        period,
        unit_code,
        sex,
        count(*) as persons
    from {{ ref('int_education__enrolled_pupils') }}
    where
        level_group = 'upper_secondary'
        and school_age between 15 and 17
        and {{ is_computed_period() }}
    group by period, unit_code, sex
),

sexes (sex) as (
    values ('female'), ('male')
),

combined as (
    -- A commune without anybody of that age keeps its row.
    select
        scope.period,
        scope.unit_code,
        sexes.sex,
        0 as numerator,
        0 as denominator
    from scope
    cross join sexes

    union all

    select
        period,
        unit_code,
        sex,
        0 as numerator,
        persons as denominator
    from denominator

    union all

    select
        period,
        unit_code,
        sex,
        persons as numerator,
        0 as denominator
    from numerator
),

cells as (
    select
        combined.*,
        combined.numerator as contributors,
        scope.data_label,
        scope.denominator_vintage
    from combined
    inner join scope
        on
            combined.period = scope.period
            and combined.unit_code = scope.unit_code
),

final as (
    {{ kpi_rows('net_enrolment_upper_secondary', 'cells', 'commune_population', ['sex']) }}
)

select * from final
