-- Grain: one row per household and month.
with

source as (
    select * from {{ source('poverty_review', 'poor_households') }}
),

renamed as (
    select
        _period as period,
        household_key,
        person_key,
        unit_code,
        ethnic_group_code as ethnic_group,
        class_code as poverty_class,
        replace(standard_version, '-', '_') as standard,
        deprivations,
        cannot_exit = '1' as cannot_exit,
        is_difficult_area = '1' as is_difficult_area,
        reviewed_on,
        _batch_id as batch_id,
        _data_label as data_label
    from source
    -- Later months belong to later releases.
    where _period <= {{ as_of_period() }}
)

select * from renamed
