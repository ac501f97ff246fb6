{#- In a table of KPIs the values of each breakdown of a unit add to its total. -#}
{% test breakdowns_add_up(model) %}
with

grouped as (
    select
        kpi_id,
        data_label,
        series,
        period,
        unit_code,
        breakdown,
        sum(numerator) as numerator,
        sum(denominator) as denominator
    from {{ model }}
    group by kpi_id, data_label, series, period, unit_code, breakdown
)

select parts.*
from grouped as parts
inner join grouped as total
    on
        parts.kpi_id = total.kpi_id
        and parts.data_label = total.data_label
        and parts.series = total.series
        and parts.period = total.period
        and parts.unit_code = total.unit_code
        and total.breakdown = 'total'
where
    parts.numerator is distinct from total.numerator
    or parts.denominator is distinct from total.denominator
{% endtest %}
