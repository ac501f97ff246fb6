-- Grain: one row per month and living person to whom monthly assistance was paid in it.
{%- set groups = ['NCT', 'KT', 'TE36', 'PNMT', 'KNLD', 'NCT80', 'KHAC'] %}
with

-- Having an account is not being paid through it, and a relative's account is not one's own; a
-- guardian's is where children have none.
ranked as (
    select
        *,
        method_code <> 'TM' and account_holder_code in ('CC', 'GH') as is_cashless,
        case group_code
            {%- for code in groups %}
            when '{{ code }}' then {{ loop.index }}
            {%- endfor %}
        end as group_rank
    from {{ ref('stg_social_protection__assistance_payments') }}
    -- The dead may stand on the list for a while: they are paid nothing by right.
    where
        died_on is null
        or died_on > {{ month_end('period') }}
),

-- Several groups, or arrears beside this month, are one person: in the group of the greatest
-- need, and where two communes pay, in the one with the lower code.
persons as (
    select
        period,
        person_key,
        min(unit_code) as unit_code,
        min(sex) as sex,
        min(birth_month) as birth_month,
        min(group_rank) as group_rank,
        sum(amount_vnd) as amount_vnd,
        coalesce(sum(amount_vnd) filter (where is_cashless), 0) as cashless_vnd,
        bool_and(is_cashless) as is_cashless
    from ranked
    group by period, person_key
),

final as (
    select
        period,
        person_key,
        unit_code,
        sex,
        left(period, 4)::integer - extract(year from birth_month)::integer as age,
        case group_rank
            {%- for code in groups %}
            when {{ loop.index }} then '{{ code }}'
            {%- endfor %}
        end as category,
        amount_vnd,
        cashless_vnd,
        is_cashless
    from persons
)

select * from final
