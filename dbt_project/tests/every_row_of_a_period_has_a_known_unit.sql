{{ config(severity='warn') }}

-- A code that is no unit of that period drops out of every KPI: how many rows, by dataset.
with

used_codes as (
    {% for dataset in kpi_inputs() if dataset != 'health__staff' %}
    select
        '{{ dataset }}' as dataset,
        period,
        unit_code,
        count(*) as affected_rows
    from {{ ref('stg_' ~ dataset) }}
    where {{ is_computed_period() }}
    group by period, unit_code
    {% if not loop.last %}
    union all
    {% endif %}
    {% endfor %}
)

select used_codes.*
from used_codes
left join {{ ref('int_geography__unit_membership') }} as units
    on
        used_codes.period = units.period
        and used_codes.unit_code = units.member_code
where units.member_code is null
