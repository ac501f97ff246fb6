{#- What the KPI needs and how it is divided. -#}
{% macro kpis_[[ kpi_id ]]() %}
    {{ return({
        '[[ kpi_id ]]': {
            'form': 'rate',
            'frequency': 'month',
            'inputs': ['[[ source ]]__[[ dataset ]]'],
            'denominator_id': 'households',
        },
    }) }}
{% endmacro %}
