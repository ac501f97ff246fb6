-- Grain: one row per printed figure of the latest delivery.
with

source as (
    select * from {{ source('statistics_office', 'published_indicators') }}
),

-- The office sends the whole list each time; the last one holds.
last_delivery as (
    select max(_period) as _period
    from source
    where _period <= {{ as_of_period() }}
),

latest as (
    select source.*
    from source
    inner join last_delivery on source._period = last_delivery._period
),

folded as (
    select
        {{ folded('indicator') }} as indicator,
        {{ folded('area_label') }} as area_label,
        {{ folded('period_label') }} as period_label,
        value::numeric as value,
        {{ folded('unit_label') }} as unit_label,
        standing,
        reference_text,
        _row_number as row_number,
        _batch_id as batch_id,
        _data_label as data_label
    from latest
),

renamed as (
    select
        *,
        -- Half-years and census days have no period of their own: NULL, and no series takes them.
        case
            when period_label ~ '^[0-9]{4}-Q[1-4]$' then period_label
            when period_label ~ '^[0-9]{4}-(0[1-9]|1[0-2])$' then period_label
            when period_label ~ '^(Prel\. )?[0-9]{4}( prel| \(.+\))?$'
                then substring(period_label from '[0-9]{4}')
        end as period,
        period_label ~* '\mprel\M' as is_preliminary
    from folded
)

select * from renamed
