-- Grain: one row per household of people with merit and year.
with

source as (
    select * from {{ source('home_affairs', 'merit_household_review') }}
),

renamed as (
    select
        _period as period,
        household_key,
        unit_code,
        ethnic_group_code,
        poverty_class,
        living_standard_code,
        method_version,
        _batch_id as batch_id,
        _data_label as data_label
    from source
    -- Later periods belong to later releases.
    where _period <= {{ as_of_period('year') }}
)

select * from renamed
