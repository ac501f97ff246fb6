{#-
    What the KPI models share: the list of computed KPIs, the units for which a KPI is known, the
    rows per breakdown, and the replacement of months.
-#}

{#-
    Every KPI that is computed from records, by domain. Of each:
    `form`       rate = numerator * scale / denominator, count = numerator;
    `frequency`  month (default), quarter or year: the kind of its periods;
    `inputs`     datasets without which it is unknown; a figure is provisional when one of them
                 is, and the last one gives the vintage of the denominator;
    `denominator_id`  what the denominator is;
    `denominator_vintage`  of a denominator that no dataset delivers;
    `level`      commune (default); province: only the old provinces have figures; mixed: only the
                 units that its rows name, such as districts first and communes later;
    `is_denominator_of_province`  the denominator exists for old provinces only.
-#}
{% macro computed_kpis() %}
    {% set kpis = {} %}
    {% do kpis.update(kpis_core()) %}
    {% do kpis.update(kpis_environment()) %}
    {% do kpis.update(kpis_home_affairs()) %}
    {% do kpis.update(kpis_insurance()) %}
    {% do kpis.update(kpis_poverty()) %}
    {% do kpis.update(kpis_schools()) %}
    {% do kpis.update(kpis_public_health()) %}
    {{ return(kpis) }}
{% endmacro %}

{#- month, quarter or year: the kind of a dataset's periods; the domains list those not monthly. -#}
{% macro dataset_frequency(dataset) %}
    {% set frequencies = {} %}
    {% do frequencies.update(dataset_frequencies_environment()) %}
    {% do frequencies.update(dataset_frequencies_home_affairs()) %}
    {% do frequencies.update(dataset_frequencies_insurance()) %}
    {% do frequencies.update(dataset_frequencies_schools()) %}
    {% do frequencies.update(dataset_frequencies_public_health()) %}
    {{ return(frequencies.get(dataset, 'month')) }}
{% endmacro %}

{#- Datasets that some computed KPI needs. -#}
{% macro kpi_inputs() %}
    {% set inputs = [] %}
    {% for kpi in computed_kpis().values() %}
        {% for dataset in kpi.inputs if dataset not in inputs %}{% do inputs.append(dataset) %}{% endfor %}
    {% endfor %}
    {{ return(inputs | sort) }}
{% endmacro %}

{#-
    The period of a KPI to which an input of another frequency belongs, as SQL over the input's
    own period: the list of December closes the year. An annual input of a monthly KPI has no one
    such period and is joined to the months it holds for.
-#}
{% macro kpi_period(kpi, dataset, column='period') -%}
    {%- set wanted, given = kpi.get('frequency', 'month'), dataset_frequency(dataset) -%}
    {%- if wanted == given -%} {{ column }}
    {%- elif (wanted, given) == ('year', 'month') -%} {{ year_of_december(column) }}
    {%- elif (wanted, given) == ('quarter', 'month') -%} {{ quarter_ended_by(column) }}
    {%- elif (wanted, given) == ('month', 'year') -%} months.period
    {%- else -%}
        {{ exceptions.raise_compiler_error(dataset ~ ' is delivered by ' ~ given ~ ', not by ' ~ wanted) }}
    {%- endif -%}
{%- endmacro %}

{#-
    Units for which every input of a KPI was delivered: no row there means none, not unknown.
    Columns: period, unit_code, data_label, denominator_vintage.
-#}
{% macro kpi_scope(kpi) %}
    select
        period,
        unit_code,
        max(data_label) as data_label,
        {% if kpi.get('denominator_vintage') -%}
        '{{ kpi.denominator_vintage }}'::text as denominator_vintage
        {%- else -%}
        max(batch_id) filter (where dataset = '{{ kpi.inputs[-1] }}') as denominator_vintage
        {%- endif %}
    from (
        {%- for dataset in kpi.inputs %}
        {%- set holds_for_months = (
            kpi.get('frequency', 'month') == 'month' and dataset_frequency(dataset) == 'year'
        ) %}
        select
            units.dataset,
            {{ kpi_period(kpi, dataset, 'units.period') }} as period,
            {{ 'months' if holds_for_months else 'units' }}.unit_code,
            units.data_label,
            units.batch_id
        from {{ ref('int_delivery__units') }} as units
        {%- if holds_for_months %}
        -- The communes may have changed since that year: its old province stands for today's.
        inner join (
            select
                period,
                unit_code::text as unit_code,
                old_province_code
            from {{ ref('int_geography__commune_by_period') }}

            union

            select
                period,
                old_province_code as unit_code,
                old_province_code
            from {{ ref('int_geography__commune_by_period') }}
        ) as months
            on
                units.unit_code = months.old_province_code
                and {{ period_kind('months.period') }} = 'month'
                and units.period = {{ latest_full_year('months.period') }}
        {%- endif %}
        where units.dataset = '{{ dataset }}'
        {%- if not loop.last %}

        union all
        {%- endif %}
        {%- endfor %}
    ) as inputs
    where {{ is_computed_period() }}
    group by period, unit_code
    having count(distinct dataset) = {{ kpi.inputs | length }}
{%- endmacro %}

{#-
    The end of a KPI model. It needs the relations `numerator` (period, unit_code, breakdown
    columns, numerator, contributors) and `denominator` (the same with denominator), both with
    `series` where the KPI has several; it gives the tall rows: the total of each unit and one row
    per value of each breakdown. Numerators and denominators are added.

    series: the names of the series, of which every commune then has a total, or true.
    Plain unions, not grouping sets: those do not run over distributed tables.
-#}
{% macro kpi_final(kpi_id, breakdowns=[], series=false, denominator=true) -%}
    {%- set kpi = computed_kpis()[kpi_id] -%}
    {#- In dbt's manifest, where a release looks up what each figure was made of. -#}
    {%- set frequencies = {} -%}
    {%- for dataset in kpi.inputs -%}
        {%- do frequencies.update({dataset: dataset_frequency(dataset)}) -%}
    {%- endfor -%}
    {{- config(meta={'kpi_id': kpi_id, 'kpi': kpi, 'frequencies': frequencies}) -}}
    {%- set has_series_list = series is sequence -%}
scope as (
    {{- kpi_scope(kpi) }}
),

counted as (
    select
        period,
        unit_code,
        {{ 'series' if series else "'total'::text as series" }},
        {% for breakdown in breakdowns %}{{ breakdown }},
        {% endfor %}numerator,
        null::numeric as denominator,
        contributors
    from numerator
    {%- if denominator %}

    union all

    select
        period,
        unit_code,
        {{ 'series' if series else "'total'::text as series" }},
        {% for breakdown in breakdowns %}{{ breakdown }},
        {% endfor %}0 as numerator,
        denominator,
        0 as contributors
    from denominator
    {%- endif %}
    {%- if not series or has_series_list %}
    {%- for name in series or ['total'] %}

    union all

    -- A unit without anybody keeps its total.
    select
        period,
        unit_code,
        '{{ name }}' as series,
        {% for breakdown in breakdowns %}null as {{ breakdown }},
        {% endfor %}0 as numerator,
        null as denominator,
        0 as contributors
    from scope
    where length(unit_code) = {{ 2 if kpi.get('level') == 'province' else 5 }}
    {%- endfor %}
    {%- endif %}
),

final as (
    {%- for breakdown in ['total'] + breakdowns %}
    select
        '{{ kpi_id }}'::text as kpi_id,
        max(scope.data_label) as data_label,
        counted.series,
        counted.period,
        counted.unit_code,
        '{{ breakdown }}'::text as breakdown,
        {{ "'total'::text" if breakdown == 'total' else 'counted.' ~ breakdown }} as breakdown_value,
        sum(counted.numerator)::numeric as numerator,
        {% if kpi.get('is_denominator_of_province') or not denominator -%}
        sum(counted.denominator)::numeric as denominator,
        {%- else -%}
        coalesce(sum(counted.denominator), 0)::numeric as denominator,
        {%- endif %}
        sum(counted.contributors)::bigint as contributors,
        '{{ kpi.denominator_id }}'::text as denominator_id,
        max(scope.denominator_vintage) as denominator_vintage
    from counted
    inner join scope
        on
            counted.period = scope.period
            and counted.unit_code = scope.unit_code
    {%- if breakdown != 'total' %}
    where counted.{{ breakdown }} is not null
    {%- endif %}
    group by
        counted.series,
        counted.period,
        counted.unit_code{{ '' if breakdown == 'total' else ', counted.' ~ breakdown }}
    {%- if not loop.last %}

    union all
    {% endif %}
    {%- endfor %}
)

select * from final
{%- endmacro %}

{#- KPIs whose denominator exists for old provinces only, as a SQL list. -#}
{% macro kpis_with_denominator_of_province() -%}
    ''
    {%- for kpi_id, kpi in computed_kpis().items() if kpi.get('is_denominator_of_province') -%}
        , '{{ kpi_id }}'
    {%- endfor -%}
{%- endmacro %}

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
