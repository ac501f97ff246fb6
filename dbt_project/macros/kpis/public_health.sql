{#- Health records, immunisation, nutrition, ended diseases and sanitation of health stations. -#}
{% macro kpis_public_health() %}
    {% set records = {
        'form': 'rate',
        'inputs': ['health__health_records', 'statistics_office__commune_population'],
        'denominator_id': 'commune_population',
    } %}
    {% set ended = {
        'form': 'rate',
        'frequency': 'year',
        'inputs': ['health__disease_status'],
        'denominator_id': 'old_provinces',
        'level': 'province',
    } %}
    {{ return({
        'aids_ended': ended,
        'electronic_health_record_coverage': records,
        'epi_full_immunisation_u1': {
            'form': 'rate',
            'inputs': ['health__immunisation_doses', 'health__immunisation_children'],
            'denominator_id': 'children_under_management',
        },
        'malaria_eliminated': ended,
        'population_health_managed': records,
        'sanitation_health_stations': {
            'form': 'rate',
            'frequency': 'year',
            'inputs': ['health__facility_sanitation'],
            'denominator_id': 'health_stations',
        },
        'stunting_u5': {
            'form': 'rate',
            'frequency': 'year',
            'inputs': ['health__nutrition_survey'],
            'denominator_id': 'children_measured',
        },
        'tuberculosis_ended': ended,
    }) }}
{% endmacro %}

{% macro dataset_frequencies_public_health() %}
    {{ return({
        'health__disease_status': 'year',
        'health__facility_sanitation': 'year',
        'health__nutrition_survey': 'year',
    }) }}
{% endmacro %}
