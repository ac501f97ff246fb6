-- Grain: one row per commune, month, breakdown and value. Insured persons per resident.
with

delivered_communes as (
    select *
    from {{ ref('int_delivery__communes') }}
    where {{ is_computed_period() }}
),

-- Communes for which both the card list and the population were delivered.
scope as (
    select
        members.period,
        members.unit_code,
        greatest(members.data_label, population.data_label) as data_label,
        population.batch_id as denominator_vintage
    from delivered_communes as members
    inner join delivered_communes as population
        on
            members.period = population.period
            and members.unit_code = population.unit_code
            and population.dataset = 'statistics_office__commune_population'
    where members.dataset = 'social_insurance__health_insurance_members'
),

-- Denominator: every resident at month end.
denominator as (
    select
        period,
        unit_code,
        sex,
        {{ age_group('age') }} as age_group,
        sum(population) as persons
    from {{ ref('int_population__commune_month') }}
    where {{ is_computed_period() }}
    group by period, unit_code, sex, {{ age_group('age') }}
),

-- Exclusions are made before: cards not valid at month end, residents of other provinces, and
-- further cards of a person. Army and police cards are not in the list at all.
-- Numerator: persons, not cards.
numerator as (
    select
        period,
        unit_code,
        sex,
        {{ age_group('age') }} as age_group,
        count(*) as persons
    from {{ ref('int_insurance__insured_persons') }}
    where {{ is_computed_period() }}
    group by period, unit_code, sex, {{ age_group('age') }}
),

groups (sex, age_group) as (
    values
    ('female', '0-5'), ('male', '0-5'),
    ('female', '6-15'), ('male', '6-15'),
    ('female', '16-24'), ('male', '16-24'),
    ('female', '25-59'), ('male', '25-59'),
    ('female', '60+'), ('male', '60+')
),

combined as (
    -- A group without anybody keeps its row.
    select
        scope.period,
        scope.unit_code,
        groups.sex,
        groups.age_group,
        0 as numerator,
        0 as denominator
    from scope
    cross join groups

    union all

    select
        period,
        unit_code,
        sex,
        age_group,
        0 as numerator,
        persons as denominator
    from denominator

    union all

    select
        period,
        unit_code,
        sex,
        age_group,
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
    {{ kpi_rows('health_insurance_coverage', 'cells', 'commune_population', ['sex', 'age_group']) }}
)

select * from final
