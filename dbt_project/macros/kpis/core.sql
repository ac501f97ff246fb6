{#- Health staff and beds, health insurance, schooling and temporary houses. -#}
{% macro kpis_core() %}
    {% set population = 'statistics_office__commune_population' %}
    {% set staff = {
        'form': 'rate',
        'inputs': ['health__staff', 'health__facilities', population],
        'denominator_id': 'commune_population',
    } %}
    {% set pupils = {
        'form': 'rate',
        'inputs': ['education__pupils', population],
        'denominator_id': 'commune_population',
    } %}
    {{ return({
        'doctors_per_10k': staff,
        'health_insurance_coverage': {
            'form': 'rate',
            'inputs': ['social_insurance__health_insurance_members', population],
            'denominator_id': 'commune_population',
        },
        'hospital_beds_per_10k': {
            'form': 'rate',
            'inputs': ['health__facilities', population],
            'denominator_id': 'commune_population',
        },
        'net_enrolment_lower_secondary': pupils,
        'net_enrolment_primary': pupils,
        'net_enrolment_upper_secondary': pupils,
        'nurses_per_10k': staff,
        'pharmacists_per_10k': staff,
        'temporary_houses_remaining': {
            'form': 'count',
            'inputs': ['housing__temporary_houses'],
            'denominator_id': 'approved_households',
        },
    }) }}
{% endmacro %}
