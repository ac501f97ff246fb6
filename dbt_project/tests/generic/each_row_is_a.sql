{#-
    The grain of a model: no two rows agree on all of these columns. NULL equals NULL.
    only_computed: look at the months of this build alone, where all months are too many.
-#}
{% test each_row_is_a(model, grain, only_computed=false) %}
select
    {{ grain | join(', ') }},
    count(*) as rows_found
from {{ model }}
{%- if only_computed %}
where {{ is_computed_period() }}
{%- endif %}
group by {{ grain | join(', ') }}
having count(*) > 1
{% endtest %}
