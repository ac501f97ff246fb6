-- Grain: one row per fund, ledger entry and quarter.
with

source as (
    select * from {{ source('home_affairs', 'gratitude_fund') }}
),

renamed as (
    select
        _period as period,
        entry_no,
        booked_on,
        level_code,
        unit_code,
        kind_code,
        content_code,
        amount_vnd,
        _batch_id as batch_id,
        _data_label as data_label
    from source
    -- Later periods belong to later releases.
    where _period <= {{ as_of_period('quarter') }}
)

select * from renamed
