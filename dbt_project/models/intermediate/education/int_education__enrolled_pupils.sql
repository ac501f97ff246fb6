-- Grain: one row per month, level group and person who studies there.
with

pupils as (
    select *
    from {{ ref('stg_education__pupils') }}
    -- Records of another school year say nothing about this one.
    where left(school_year, 4)::integer = {{ school_year_start('period') }}
),

-- The exchange sends a record again with a greater version; the greatest one holds.
latest_versions as (
    select distinct on (period, record_key) *
    from pupils
    order by period asc, record_key asc, record_version desc
),

studying as (
    select
        *,
        case level_code
            when '1' then 'primary'
            when '2' then 'lower_secondary'
            -- Continuing education and vocational secondary are upper-secondary level.
            when '3' then 'upper_secondary'
            when '4' then 'upper_secondary'
            when '5' then 'upper_secondary'
        end as level_group
    from latest_versions
    -- 1 is studying; moved away and dropped out do not count.
    where study_status_code = '1'
),

-- A pupil who moved school may have two open records, and is one person.
final as (
    select distinct on (period, level_group, person_key)
        period,
        level_group,
        person_key,
        unit_code,
        sex,
        {{ school_year_start('period') }} - birth_year as school_age
    from studying
    order by
        period asc,
        level_group asc,
        person_key asc,
        record_version desc,
        unit_code asc
)

select * from final
