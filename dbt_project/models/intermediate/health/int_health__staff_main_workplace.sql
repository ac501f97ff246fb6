-- Grain: one row per month, profession and working person, in the commune of the main workplace.
with

working as (
    select *
    from {{ ref('stg_health__staff') }}
    -- DLV is working; those who left or are suspended do not count.
    where work_status_code = 'DLV'
),

facilities as (
    select * from {{ ref('stg_health__facilities') }}
),

located as (
    select
        working.*,
        facilities.unit_code,
        bool_or(working.degree_code in ('DH', 'SDH')) over (
            partition by working.period, working.profession_code, working.person_key
        ) as has_university_degree
    from working
    inner join facilities
        on
            working.period = facilities.period
            and working.facility_code = facilities.facility_code
),

-- A second workplace does not make a second person.
final as (
    select distinct on (period, profession_code, person_key)
        period,
        profession_code,
        person_key,
        has_university_degree,
        facility_code,
        unit_code
    from located
    order by
        period asc,
        profession_code asc,
        person_key asc,
        is_main_workplace desc,
        facility_code asc
)

select * from final
