-- Grain: one row per commune, sex, year of birth and month; the denominator of person-based KPIs.
with

population as (
    select * from {{ ref('stg_statistics_office__commune_population') }}
),

final as (
    select
        period,
        unit_code,
        sex,
        birth_year,
        left(period, 4)::integer - birth_year as age,
        {{ school_year_start('period') }} - birth_year as school_age,
        sum(population)::bigint as population,
        max(batch_id) as batch_id,
        max(data_label) as data_label
    from population
    group by period, unit_code, sex, birth_year
)

select * from final
