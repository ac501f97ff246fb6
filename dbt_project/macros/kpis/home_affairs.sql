{#- People with merit, the gratitude fund, workers abroad and births. -#}
{% macro kpis_home_affairs() %}
    {{ return({
        'cashless_payment_merit': {
            'form': 'rate',
            'frequency': 'month',
            'inputs': ['home_affairs__merit_people'],
            'denominator_id': 'merit_people_paid',
        },
        'gratitude_fund_raised': {
            'form': 'count',
            'frequency': 'quarter',
            'inputs': ['home_affairs__gratitude_fund'],
            'denominator_id': 'none',
            'level': 'province',
        },
        'merit_household_living_standard': {
            'form': 'rate',
            'frequency': 'year',
            'inputs': ['home_affairs__merit_household_review', 'home_affairs__merit_people'],
            'denominator_id': 'merit_households_managed',
        },
        'overseas_contract_workers': {
            'form': 'count',
            'frequency': 'month',
            'inputs': ['home_affairs__overseas_workers'],
            'denominator_id': 'none',
        },
        'sex_ratio_at_birth': {
            'form': 'rate',
            'frequency': 'year',
            'inputs': ['civil_registration__births'],
            'denominator_id': 'live_born_girls',
            'level': 'province',
        },
        'vnah_mothers_supported': {
            'form': 'rate',
            'frequency': 'month',
            'inputs': ['home_affairs__merit_people'],
            'denominator_id': 'living_heroic_mothers',
            'level': 'province',
        },
    }) }}
{% endmacro %}

{% macro dataset_frequencies_home_affairs() %}
    {{ return({
        'civil_registration__births': 'year',
        'home_affairs__gratitude_fund': 'quarter',
        'home_affairs__merit_household_review': 'year',
    }) }}
{% endmacro %}
