{#- Every row finds its parent by several columns, the period among them. -#}
{% test has_parent(model, column_name, parent, by) %}
select children.*
from {{ model }} as children
left join {{ parent }} as parents
    on
        {% for column in by -%}
        children.{{ column }} = parents.{{ column }}
        {% if not loop.last %}and {% endif -%}
        {%- endfor %}
where
    parents.{{ by[0] }} is null
    and {{ is_computed_period('children.period') }}
{% endtest %}
