{#-
    The population behind the rates per 10,000: the statistics office's, or the registered
    residents (permanent and temporary) on whom the merger resolution stands. They differ by 16 %,
    and each rate with them: the one in use stands beside every value. By commune the register is
    known from a secondary source only; its sum is 2,175,008 where 202/2025/QH15 prints 2,161,755.
-#}
{% macro population_basis() %}
    {% set basis = var('population_basis') %}
    {% if basis not in ('statistics_office', 'register') %}
        {{ exceptions.raise_compiler_error(
            "population_basis: '" ~ basis ~ "' is neither statistics_office nor register"
        ) }}
    {% endif %}
    {{ return(basis) }}
{% endmacro %}

{#- Registry entry of a rate per resident; its inputs beside the population. -#}
{% macro rate_per_resident(inputs) %}
    {% if population_basis() == 'register' %}
        {{ return({
            'form': 'rate',
            'inputs': inputs,
            'denominator_id': 'register_population',
            'denominator_vintage': 'register 2025',
        }) }}
    {% endif %}
    {{ return({
        'form': 'rate',
        'inputs': inputs + ['statistics_office__commune_population'],
        'denominator_id': 'commune_population',
    }) }}
{% endmacro %}

{#- Health staff and beds, health insurance, schooling and temporary houses. -#}
{% macro kpis_core() %}
    {% set population = 'statistics_office__commune_population' %}
    {% set staff = rate_per_resident(['health__staff', 'health__facilities']) %}
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
        'hospital_beds_per_10k': rate_per_resident(['health__facilities']),
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
