-- Grain: one row per month and person with a valid card and a residence in the province.
with

-- Valid on the reference date, the last day of the month.
valid_cards as (
    select *
    from {{ ref('stg_social_insurance__health_insurance_members') }}
    where
        valid_from <= {{ month_end('period') }}
        and valid_to >= {{ month_end('period') }}
),

communes as (
    select * from {{ ref('int_geography__commune_by_period') }}
),

-- The code must be a commune of that month: 95 codes mean another commune before 2025-07-01.
resident_cards as (
    select valid_cards.*
    from valid_cards
    inner join communes
        on
            valid_cards.period = communes.period
            and valid_cards.unit_code = communes.unit_code
),

-- Several cards are one person, in the commune of the newest card.
final as (
    select distinct on (period, person_key)
        period,
        person_key,
        unit_code,
        sex,
        left(period, 4)::integer - birth_year as age
    from resident_cards
    order by
        period asc,
        person_key asc,
        valid_from desc,
        unit_code asc,
        card_key asc
)

select * from final
