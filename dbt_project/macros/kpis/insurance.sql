{#- Social insurance and pensions, and what claims say about primary care and its cost. -#}
{% macro kpis_insurance() %}
    {% set coverage = {
        'form': 'rate',
        'inputs': ['social_insurance__participants', 'statistics_office__labour_force'],
        'denominator_id': 'working_age_labour_force',
        'is_denominator_of_province': true,
    } %}
    {{ return({
        'out_of_pocket_health_share': {
            'form': 'rate',
            'inputs': ['social_insurance__claims'],
            'denominator_id': 'cost_of_insured_visits',
        },
        'primary_care_hi_paid_use': {
            'form': 'rate',
            'inputs': ['social_insurance__claims'],
            'denominator_id': 'grassroots_patients',
        },
        'retirees_with_pension_or_social_pension': {
            'form': 'rate',
            'inputs': [
                'social_insurance__pensions',
                'social_protection__social_pension',
                'population_register__older_residents',
            ],
            'denominator_id': 'residents_past_retirement_age',
        },
        'social_insurance_coverage_wa_lf': coverage,
        'unemployment_insurance_coverage_wa_lf': coverage,
        'voluntary_si_participants': {
            'form': 'count',
            'inputs': ['social_insurance__participants'],
            'denominator_id': 'none',
        },
    }) }}
{% endmacro %}

{#- Datasets of this domain that are not monthly. -#}
{% macro dataset_frequencies_insurance() %}
    {{ return({'statistics_office__labour_force': 'year'}) }}
{% endmacro %}

{#- The ages at which the social pension begins divide the people past retirement age. -#}
{% macro retiree_age_group(period, birth_month) -%}
    case
        when {{ birth_month }} > {{ month_end(period) }} - interval '70 years' then '<70'
        when {{ birth_month }} > {{ month_end(period) }} - interval '75 years' then '70-74'
        else '75+'
    end
{%- endmacro %}
