{#- Housing, water, sanitation, wastewater, culture. -#}
{% macro kpis_environment() %}
    {{ return({
        'clean_water_rural_households': {
            'form': 'rate',
            'frequency': 'year',
            'inputs': ['agriculture_environment__rural_water'],
            'denominator_id': 'rural_households',
        },
        'clean_water_urban_households': {
            'form': 'rate',
            'frequency': 'year',
            'inputs': ['housing__urban_water'],
            'denominator_id': 'urban_households',
        },
        'culture_information_access_remote_population': {
            'form': 'rate',
            'frequency': 'year',
            'inputs': ['culture__commune_checklist'],
            'denominator_id': 'residents_of_listed_communes',
        },
        'culture_information_communes_ethnic_mountain': {
            'form': 'rate',
            'frequency': 'year',
            'inputs': ['culture__commune_checklist'],
            'denominator_id': 'listed_communes',
        },
        'domestic_wastewater_treated': {
            'form': 'rate',
            'frequency': 'year',
            'inputs': ['agriculture_environment__wastewater'],
            'denominator_id': 'wastewater_estimate',
        },
        'housing_floor_area_per_capita': {
            'form': 'rate',
            'frequency': 'year',
            'inputs': ['housing__floor_area'],
            'denominator_id': 'residents_of_the_report',
        },
        'rural_settlements_wastewater_collection': {
            'form': 'rate',
            'frequency': 'year',
            'inputs': ['agriculture_environment__settlements'],
            'denominator_id': 'concentrated_settlements',
        },
        'sanitation_households': {
            'form': 'rate',
            'frequency': 'year',
            'inputs': ['agriculture_environment__household_sanitation'],
            'denominator_id': 'households_visited',
        },
        'social_housing_units_completed': {
            'form': 'count',
            'inputs': ['housing__social_housing_blocks'],
            'denominator_id': 'none',
        },
    }) }}
{% endmacro %}

{#- Everything of this domain but the blocks and the tasks comes once a year. -#}
{% macro dataset_frequencies_environment() %}
    {{ return({
        'agriculture_environment__household_sanitation': 'year',
        'agriculture_environment__rural_water': 'year',
        'agriculture_environment__settlements': 'year',
        'agriculture_environment__wastewater': 'year',
        'culture__commune_checklist': 'year',
        'housing__floor_area': 'year',
        'housing__urban_water': 'year',
        'programme_office__task_progress': 'quarter',
    }) }}
{% endmacro %}
