{#- In a KPI table the values of each breakdown of a commune add to its total. -#}
{% test breakdowns_add_up(model) %}
with

grouped as (
    select
        period,
        unit_code,
        breakdown,
        sum(numerator) as numerator,
        sum(denominator) as denominator
    from {{ model }}
    group by period, unit_code, breakdown
)

select parts.*
from grouped as parts
inner join grouped as total
    on
        parts.period = total.period
        and parts.unit_code = total.unit_code
        and total.breakdown = 'total'
where
    parts.numerator is distinct from total.numerator
    or parts.denominator is distinct from total.denominator
{% endtest %}
