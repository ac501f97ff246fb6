-- Grain: one row per month and living person in a list of assistance, social pension or merit.
with

listed as (
    select
        period,
        person_key,
        unit_code,
        'assistance' as scheme,
        is_id_verified = '1' as is_verified,
        coalesce(died_on <= {{ month_end('period') }}, false) as is_deceased
    from {{ ref('stg_social_protection__assistance_payments') }}

    union all

    -- Begins in July 2025; before, those of 80 and older stand on the list of assistance.
    select
        period,
        person_key,
        unit_code,
        'social_pension' as scheme,
        is_id_verified = '1' as is_verified,
        false as is_deceased
    from {{ ref('stg_social_protection__social_pension') }}

    union all

    select
        period,
        person_key,
        unit_code,
        'merit' as scheme,
        is_id_verified = '1' as is_verified,
        is_deceased
    from {{ ref('stg_home_affairs__merit_people') }}
),

-- Once each: verified when one of the systems has checked the number; where the lists name
-- several communes, in the one with the lowest code. Who died by one list is dead on all.
final as (
    select
        period,
        person_key,
        min(unit_code) as unit_code,
        case when count(distinct scheme) > 1 then 'several' else min(scheme) end as scheme,
        bool_or(is_verified) as is_verified
    from listed
    group by period, person_key
    having not bool_or(is_deceased)
)

select * from final
