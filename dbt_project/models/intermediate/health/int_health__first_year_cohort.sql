{{ config(
    materialized='incremental',
    incremental_strategy='replace_periods',
    on_schema_change='fail',
) }}

-- Grain: one row per month and child whose first birthday lies in it, with what it has received.
with

-- The register of the system, not of births: moved out (CD) and died (TV) are not managed.
managed_entries as (
    select *
    from {{ ref('stg_health__immunisation_children') }}
    where
        status_code = 'QL'
        and birth_month = (to_date(period, 'YYYY-MM') - interval '12 months')::date
        and {{ is_computed_period() }}
),

-- Another telephone number makes another entry of the same child; the newest one holds.
children as (
    select distinct on (period, person_key) *
    from managed_entries
    order by
        period asc,
        person_key asc,
        registered_on desc,
        unit_code asc
),

-- Paid vaccines protect like those of the programme: six-in-one holds polio too.
protections (vaccine_code, protection) as (
    values
    ('BCG', 'tuberculosis'),
    ('VGBSS', 'hepatitis_b_at_birth'),
    ('DPT5', 'five_diseases'),
    ('6IN1', 'five_diseases'),
    ('OPV', 'polio'),
    ('6IN1', 'polio'),
    ('IPV', 'injected_polio'),
    ('6IN1', 'injected_polio'),
    ('SOI', 'measles'),
    ('SQR', 'measles')
),

-- Two offices may record one dose, so days count, not records; where it was given is no matter.
doses as (
    select
        children.period,
        children.person_key,
        protections.protection,
        count(distinct given.given_on) as doses
    from children
    inner join {{ ref('stg_health__immunisation_doses') }} as given
        on
            children.period = given.period
            and children.person_key = given.person_key
            and given.given_on between children.birth_month and {{ month_end('children.period') }}
    inner join protections on given.vaccine_code = protections.vaccine_code
    group by children.period, children.person_key, protections.protection
),

-- The day of birth never leaves the landing file: "by 12 months" is by the end of that month.
complete as (
    select
        period,
        person_key
    from doses
    where
        doses >= case protection
            when 'five_diseases' then 3
            when 'polio' then 3
            else 1
        end
    group by period, person_key
    having count(*) = 6
),

final as (
    select
        children.period,
        children.person_key,
        children.unit_code,
        children.sex,
        children.ethnic_group_code as ethnic_group,
        complete.person_key is not null as is_fully_immunised
    from children
    left join complete
        on
            children.period = complete.period
            and children.person_key = complete.person_key
)

select * from final
