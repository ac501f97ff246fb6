-- Grain: one row per version of a pupil record and month.
with

source as (
    select * from {{ source('education', 'pupils') }}
),

renamed as (
    select
        _period as period,
        school_year,
        record_key,
        record_version,
        pupil_key,
        person_key,
        extract(year from birth_month)::integer as birth_year,
        case sex_code when '1' then 'male' when '2' then 'female' end as sex,
        residence_unit_code as unit_code,
        school_code,
        level_code,
        grade,
        study_status_code,
        _batch_id as batch_id,
        _data_label as data_label
    from source
    -- Later months belong to later releases.
    where _period <= {{ as_of_period() }}
)

select * from renamed
