{#- Schools, universal education and the way into vocational education. -#}
{% macro kpis_schools() %}
    {{ return({
        'literacy_level2_units': {
            'form': 'rate',
            'frequency': 'year',
            'inputs': ['education__universalisation'],
            'denominator_id': 'units_examined',
            'level': 'mixed',
        },
        'lower_secondary_to_vocational_share': {
            'form': 'rate',
            'frequency': 'year',
            'inputs': ['education__vocational_enrolments', 'education__graduates'],
            'denominator_id': 'graduates',
        },
        'preschool_universalisation_3_5': {
            'form': 'rate',
            'frequency': 'year',
            'inputs': ['education__universalisation'],
            'denominator_id': 'communes_examined',
        },
        'sanitation_schools': {
            'form': 'rate',
            'frequency': 'year',
            'inputs': ['education__schools'],
            'denominator_id': 'schools',
        },
    }) }}
{% endmacro %}

{% macro dataset_frequencies_schools() %}
    {{ return({
        'education__graduates': 'year',
        'education__schools': 'year',
        'education__universalisation': 'year',
        'education__vocational_enrolments': 'year',
    }) }}
{% endmacro %}
