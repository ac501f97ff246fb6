{#- The poverty review and social protection. -#}
{% macro kpis_poverty() %}
    {% set poor, members = 'poverty_review__poor_households', 'poverty_review__poor_household_members' %}
    {% set payments = 'social_protection__assistance_payments' %}
    {#- The social pension is no input: it begins in July 2025, and the figures do not. -#}
    {{ return({
        'assistance_poor_children_u36m': {
            'form': 'rate',
            'inputs': [payments, members, poor],
            'denominator_id': 'listed_households_with_child_u36m',
        },
        'assistance_poor_households_no_exit': {
            'form': 'rate',
            'frequency': 'year',
            'inputs': [payments, members, poor],
            'denominator_id': 'poor_households_unable_to_exit',
        },
        'assistance_poor_lonely_elderly': {
            'form': 'rate',
            'inputs': [payments, members, poor],
            'denominator_id': 'listed_lonely_elderly',
        },
        'assistance_poor_pregnant_women': {
            'form': 'rate',
            'inputs': [payments, members, poor],
            'denominator_id': 'listed_pregnant_women',
        },
        'cashless_payment_social_assistance': {
            'form': 'rate',
            'inputs': [payments],
            'denominator_id': 'assistance_paid',
        },
        'poverty_rate_multidimensional': {
            'form': 'rate',
            'inputs': [poor, 'poverty_review__household_totals'],
            'denominator_id': 'resident_households',
        },
        'social_security_code_coverage': {
            'form': 'rate',
            'inputs': ['home_affairs__merit_people', payments],
            'denominator_id': 'social_security_beneficiaries',
        },
    }) }}
{% endmacro %}
