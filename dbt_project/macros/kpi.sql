{#-
    What the KPI models share: the list of computed KPIs, the rows per breakdown, and the
    replacement of months.
-#}

{#-
    Every KPI that is computed from records. `inputs` are the datasets behind it: a figure is
    provisional when one of them is. `form`: rate = numerator * scale / denominator,
    count = numerator.
-#}
{% macro computed_kpis() %}
    {% set population = 'statistics_office__commune_population' %}
    {% set staff = ['health__staff', 'health__facilities', population] %}
    {% set pupils = ['education__pupils', population] %}
    {{ return({
        'doctors_per_10k': {'form': 'rate', 'inputs': staff},
        'health_insurance_coverage': {
            'form': 'rate',
            'inputs': ['social_insurance__health_insurance_members', population],
        },
        'hospital_beds_per_10k': {'form': 'rate', 'inputs': ['health__facilities', population]},
        'net_enrolment_lower_secondary': {'form': 'rate', 'inputs': pupils},
        'net_enrolment_primary': {'form': 'rate', 'inputs': pupils},
        'net_enrolment_upper_secondary': {'form': 'rate', 'inputs': pupils},
        'nurses_per_10k': {'form': 'rate', 'inputs': staff},
        'pharmacists_per_10k': {'form': 'rate', 'inputs': staff},
        'temporary_houses_remaining': {'form': 'count', 'inputs': ['housing__temporary_houses']},
    }) }}
{% endmacro %}

{#-
    The tall KPI rows from a relation `cells` (period, unit_code, breakdown columns, data_label,
    numerator, denominator, contributors, denominator_vintage): the total of each commune and one
    row per value of each breakdown. Numerators and denominators are added.
    Plain unions, not grouping sets: those do not run over distributed tables.
-#}
{% macro kpi_rows(kpi_id, cells, denominator_id, breakdowns=[]) %}
    {%- for breakdown in ['total'] + breakdowns %}
    select
        '{{ kpi_id }}'::text as kpi_id,
        max(data_label) as data_label,
        'total'::text as series,
        period,
        unit_code,
        '{{ breakdown }}'::text as breakdown,
        {{ "'total'::text" if breakdown == 'total' else breakdown }} as breakdown_value,
        sum(numerator)::numeric as numerator,
        sum(denominator)::numeric as denominator,
        sum(contributors)::bigint as contributors,
        '{{ denominator_id }}'::text as denominator_id,
        max(denominator_vintage) as denominator_vintage
    from {{ cells }}
    group by period, unit_code{{ '' if breakdown == 'total' else ', ' ~ breakdown }}
    {%- if not loop.last %}

    union all
    {% endif %}
    {%- endfor %}
{% endmacro %}

{#- Age in whole years to the age group shown in the reports. -#}
{% macro age_group(age) -%}
    case
        when {{ age }} <= 5 then '0-5'
        when {{ age }} <= 15 then '6-15'
        when {{ age }} <= 24 then '16-24'
        when {{ age }} <= 59 then '25-59'
        else '60+'
    end
{%- endmacro %}

{#-
    Delete and insert by month. The months deleted are those of the build, not those that came out
    of the query: a month that has become empty must not keep its old rows.
-#}
{% macro get_incremental_replace_periods_sql(arg_dict) %}
    {%- set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name')) %}
    delete from {{ arg_dict['target_relation'] }}
    where {{ is_computed_period() }};

    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }}
    from {{ arg_dict['temp_relation'] }}
{% endmacro %}
