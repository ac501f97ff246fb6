-- Grain: one row per block of a project and month.
with

source as (
    select * from {{ source('housing', 'social_housing_blocks') }}
),

renamed as (
    select
        _period as period,
        project_code,
        block_code,
        unit_code,
        case type_code
            when 'B' then 'for_sale'
            when 'T' then 'for_rent'
            when 'TM' then 'rent_to_buy'
            when 'LTCN' then 'workers_lodging'
        end as housing_type,
        stage_code,
        units_planned,
        units_completed,
        accepted_on,
        _batch_id as batch_id,
        _data_label as data_label
    from source
    -- Later months belong to later releases.
    where _period <= {{ as_of_period() }}
)

select * from renamed
