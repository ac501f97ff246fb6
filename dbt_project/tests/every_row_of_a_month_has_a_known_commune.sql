{{ config(severity='warn') }}

-- A code that is no commune of that month drops out of every KPI: how many rows, by dataset.
with

used_codes as (
    {% set models = [
        'stg_social_insurance__health_insurance_members',
        'stg_health__facilities',
        'stg_education__pupils',
        'stg_housing__temporary_houses',
        'stg_statistics_office__commune_population',
    ] %}
    {% for model in models %}
    select
        '{{ model }}' as model,
        period,
        unit_code,
        count(*) as affected_rows
    from {{ ref(model) }}
    where {{ is_computed_period() }}
    group by period, unit_code
    {% if not loop.last %}
    union all
    {% endif %}
    {% endfor %}
)

select used_codes.*
from used_codes
left join {{ ref('int_geography__commune_by_month') }} as communes
    on
        used_codes.period = communes.period
        and used_codes.unit_code = communes.unit_code
where communes.unit_id is null
