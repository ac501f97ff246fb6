-- Grain: one row per year, old province and disease: cases confirmed and their rate.
with

communes as (
    select * from {{ ref('int_geography__commune_by_period') }}
),

cases as (
    select
        left(monthly.period, 4) as period,
        communes.old_province_code,
        monthly.disease_code,
        count(distinct monthly.period) as months_delivered,
        sum(monthly.new_cases) as new_cases,
        -- Imported malaria says nothing about elimination; other diseases have no such count.
        sum(monthly.indigenous_cases) as indigenous_cases,
        sum(monthly.deaths) as deaths
    from {{ ref('stg_health__disease_cases') }} as monthly
    inner join communes
        on
            monthly.period = communes.period
            and monthly.unit_code = communes.unit_code
    group by left(monthly.period, 4), communes.old_province_code, monthly.disease_code
),

population as (
    select
        {{ year_of_december('residents.period') }} as period,
        communes.old_province_code,
        sum(residents.population) as population
    from {{ ref('int_population__commune_month') }} as residents
    inner join communes
        on
            residents.period = communes.period
            and residents.unit_code = communes.unit_code
    where {{ year_of_december('residents.period') }} is not null
    group by residents.period, communes.old_province_code
),

final as (
    select
        cases.period,
        cases.old_province_code,
        cases.disease_code,
        cases.months_delivered,
        cases.new_cases,
        cases.indigenous_cases,
        cases.deaths,
        population.population,
        -- Eleven months are no year: the rate is then unknown, not low.
        case
            when cases.months_delivered = 12
                then round(cases.new_cases * 100000 / nullif(population.population, 0), 2)
        end as new_cases_per_100k
    from cases
    left join population
        on
            cases.period = population.period
            and cases.old_province_code = population.old_province_code
)

select * from final
