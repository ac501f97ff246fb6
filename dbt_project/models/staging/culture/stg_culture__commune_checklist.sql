-- Grain: one row per commune and year.
with

source as (
    select * from {{ source('culture', 'commune_checklist') }}
),

renamed as (
    select
        _period as period,
        unit_code,
        is_remote_area = '1' as is_remote_area,
        is_ethnic_mountain = '1' as is_ethnic_mountain,
        residents,
        residents_with_access,
        meets_criteria = '1' as meets_criteria,
        _batch_id as batch_id,
        _data_label as data_label
    from source
    -- Later years belong to later releases.
    where _period <= {{ as_of_period('year') }}
)

select * from renamed
