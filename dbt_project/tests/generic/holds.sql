{#- A condition that is true in every row; unknown is not true. -#}
{% test holds(model, expression, only_computed=false) %}
select *
from {{ model }}
where
    ({{ expression }}) is not true
    {%- if only_computed %}
    and {{ is_computed_period() }}
    {%- endif %}
{% endtest %}
