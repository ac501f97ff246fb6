-- Grain: one row per campus and year.
with

source as (
    select * from {{ source('education', 'schools') }}
),

renamed as (
    select
        _period as period,
        school_year,
        school_code,
        campus_code,
        campus_kind_code,
        unit_code,
        level_code,
        has_clean_water,
        has_toilets_by_sex,
        meets_sanitation_standard,
        _batch_id as batch_id,
        _data_label as data_label
    from source
    -- Later periods belong to later releases.
    where _period <= {{ as_of_period('year') }}
)

select * from renamed
