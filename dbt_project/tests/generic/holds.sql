{#- A condition that is true in every row; unknown is not true. -#}
{% test holds(model, expression, only_computed=false) %}
select *
from {{ model }}
where
    ({{ expression }}) is not true
    and {{ is_computed_period() if only_computed else 'true' }}
{% endtest %}
