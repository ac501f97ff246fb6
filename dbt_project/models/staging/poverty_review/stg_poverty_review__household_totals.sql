-- Grain: one row per commune, ethnic group and month.
with

source as (
    select * from {{ source('poverty_review', 'household_totals') }}
),

renamed as (
    select
        _period as period,
        unit_code,
        ethnic_group_code as ethnic_group,
        households,
        _batch_id as batch_id,
        _data_label as data_label
    from source
    -- Later months belong to later releases.
    where _period <= {{ as_of_period() }}
)

select * from renamed
