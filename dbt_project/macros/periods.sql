{#- Months: "2025-06" is June 2025, and its reference date is its last day. -#}

{#-
    What differs from build to build: from NQ42_BUILD_SETTINGS, a JSON object, else the project's
    vars. Looked up only when SQL is written, not when the project is parsed: so a parsed project
    serves every build, where other --vars would have it parsed again.
-#}
{% macro build_setting(name) -%}
    {%- if execute -%}
        {%- set given = fromjson(env_var('NQ42_BUILD_SETTINGS', '{}')) -%}
        {%- if name in given -%}{{ return(given[name]) }}{%- endif -%}
    {%- endif -%}
    {{ return(var(name)) }}
{%- endmacro %}

{#- A month that came from outside, checked before it is written into SQL. -#}
{% macro checked_month(value, name) -%}
    {%- set month = value | string -%}
    {%- if not modules.re.fullmatch('[0-9]{4}-(0[1-9]|1[0-2])', month) -%}
        {{ exceptions.raise_compiler_error(name ~ ": '" ~ month ~ "' is not a month as YYYY-MM") }}
    {%- endif -%}
    {{ month }}
{%- endmacro %}

{#- The release month as a SQL literal; for another kind its latest period that has ended by then. -#}
{% macro as_of_period(kind='month') -%}
    {%- set today = run_started_at.astimezone(modules.pytz.timezone('Asia/Ho_Chi_Minh')) -%}
    {%- set month = checked_month(build_setting('as_of_period') or today.strftime("%Y-%m"), "as_of_period") -%}
    {%- set year, number = month[:4] | int, month[5:] | int -%}
    {%- if kind == 'month' -%}
        '{{ month }}'
    {%- elif kind == 'quarter' -%}
        '{{ year if number >= 3 else year - 1 }}-Q{{ number // 3 or 4 }}'
    {%- else -%}
        '{{ year if number == 12 else year - 1 }}'
    {%- endif -%}
{%- endmacro %}

{#- The months that this build computes, checked. -#}
{% macro computed_months() -%}
    {%- set months = build_setting('periods') -%}
    {%- if months is string or months is not sequence -%}
        {{ exceptions.raise_compiler_error('periods: a list of months is needed') }}
    {%- endif -%}
    {%- set checked = [] -%}
    {%- for month in months -%}
        {%- do checked.append(checked_month(month, 'periods')) -%}
    {%- endfor -%}
    {{ return(checked) }}
{%- endmacro %}

{#- True for the months that this build computes, and for the quarters and years that they end. -#}
{% macro is_computed_period(column='period') -%}
    {%- set periods = [] -%}
    {%- for month in computed_months() -%}
        {%- set year, number = month[:4], month[5:] | int -%}
        {%- do periods.append(month) -%}
        {%- if number % 3 == 0 -%}{%- do periods.append(year ~ '-Q' ~ number // 3) -%}{%- endif -%}
        {%- if number == 12 -%}{%- do periods.append(year) -%}{%- endif -%}
    {%- endfor -%}
    {%- if periods -%}
        {{ column }} in (
            {%- for period in periods %}'{{ period }}'{% if not loop.last %}, {% endif %}{% endfor -%}
        )
    {%- else -%}
        false
    {%- endif -%}
{%- endmacro %}

{#- The month that ends a period, which is the month in which it is delivered and computed. -#}
{% macro last_month(column) -%}
    case {{ period_kind(column) }}
        when 'year' then {{ column }} || '-12'
        when 'quarter' then
            left({{ column }}, 5) || lpad((right({{ column }}, 1)::integer * 3)::text, 2, '0')
        when 'month' then {{ column }}
        when 'school_year' then right({{ column }}, 4) || '-08'
    end
{%- endmacro %}

{#- "2025" for 2025-12, NULL for other months: which year a month's list closes. -#}
{% macro year_of_december(column) -%}
    case when right({{ column }}, 2) = '12' then left({{ column }}, 4) end
{%- endmacro %}

{#- "2025-Q2" for 2025-06, NULL for months that end no quarter. -#}
{% macro quarter_ended_by(column) -%}
    case
        when right({{ column }}, 2)::integer % 3 = 0
            then left({{ column }}, 5) || 'Q' || right({{ column }}, 2)::integer / 3
    end
{%- endmacro %}

{#- The latest year that is over by the end of a month: "2024" for 2025-07, "2025" for 2025-12. -#}
{% macro latest_full_year(column) -%}
    case
        when right({{ column }}, 2) = '12' then left({{ column }}, 4)
        else (left({{ column }}, 4)::integer - 1)::text
    end
{%- endmacro %}

{#- Last day of a month. -#}
{% macro month_end(column) -%}
    (to_date({{ column }}, 'YYYY-MM') + interval '1 month' - interval '1 day')::date
{%- endmacro %}

{#- First calendar year of the school year (September to August) that a month belongs to. -#}
{% macro school_year_start(column) -%}
    (extract(year from to_date({{ column }}, 'YYYY-MM') - interval '8 months'))::integer
{%- endmacro %}

{#- year | quarter | month | school_year, from the form of the period itself. -#}
{% macro period_kind(column) -%}
    case
        when {{ column }} ~ '^[0-9]{4}$' then 'year'
        when {{ column }} ~ '^[0-9]{4}-Q[1-4]$' then 'quarter'
        when {{ column }} ~ '^[0-9]{4}-(0[1-9]|1[0-2])$' then 'month'
        when {{ column }} ~ '^[0-9]{4}-[0-9]{4}$' then 'school_year'
    end
{%- endmacro %}

{#- The same period of the year before: "2024-06" for 2025-06, "2023-2024" for 2024-2025. -#}
{% macro year_earlier(column) -%}
    case {{ period_kind(column) }}
        when 'school_year' then
            (left({{ column }}, 4)::integer - 1)::text || '-' || left({{ column }}, 4)
        else (left({{ column }}, 4)::integer - 1)::text || substr({{ column }}, 5)
    end
{%- endmacro %}

{#- Last day of a period of any kind. -#}
{% macro period_end(column) -%}
    case {{ period_kind(column) }}
        when 'year' then make_date(left({{ column }}, 4)::integer, 12, 31)
        when 'quarter' then (
            make_date(left({{ column }}, 4)::integer, right({{ column }}, 1)::integer * 3, 1)
            + interval '1 month' - interval '1 day'
        )::date
        when 'month' then {{ month_end(column) }}
        when 'school_year' then make_date(right({{ column }}, 4)::integer, 8, 31)
    end
{%- endmacro %}

{#- End of the period as a decimal year: 2016 is 2017.0, 2025-07 is 2025 + 7/12. -#}
{% macro year_decimal(column) -%}
    case {{ period_kind(column) }}
        when 'year' then left({{ column }}, 4)::double precision + 1
        when 'quarter' then
            left({{ column }}, 4)::double precision + right({{ column }}, 1)::double precision / 4
        when 'month' then
            left({{ column }}, 4)::double precision + right({{ column }}, 2)::double precision / 12
        when 'school_year' then right({{ column }}, 4)::double precision + 8::double precision / 12
    end
{%- endmacro %}

{#- An identifier that came from outside, checked before it is written into SQL. -#}
{% macro checked_identifier(value, name) -%}
    {%- if not modules.re.fullmatch('[A-Za-z0-9_.:@-]{1,100}', value | string) -%}
        {{ exceptions.raise_compiler_error(name ~ ": only letters, digits and _.:@- are allowed") }}
    {%- endif -%}
    {{ value }}
{%- endmacro %}

{#- Day of the following month on which an extract is due. -#}
{% macro delivery_due_day(dataset) -%}
    {%- set days = build_setting('delivery_due_days') -%}
    {%- if days -%}
        case
            {%- for name in days %}
            when {{ dataset }} = '{{ checked_identifier(name, "delivery_due_days") }}' then {{ days[name] | int }}
            {%- endfor %}
            else {{ build_setting('delivery_due_day') | int }}
        end
    {%- else -%}
        {{ build_setting('delivery_due_day') | int }}
    {%- endif -%}
{%- endmacro %}
