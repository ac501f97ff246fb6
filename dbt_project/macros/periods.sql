{#- Months: "2025-06" is June 2025, and its reference date is its last day. -#}

{#- A month that came from outside, checked before it is written into SQL. -#}
{% macro checked_month(value, name) -%}
    {%- set month = value | string -%}
    {%- if not modules.re.fullmatch('[0-9]{4}-(0[1-9]|1[0-2])', month) -%}
        {{ exceptions.raise_compiler_error(name ~ ": '" ~ month ~ "' is not a month as YYYY-MM") }}
    {%- endif -%}
    {{ month }}
{%- endmacro %}

{#- The release month as a SQL literal. -#}
{% macro as_of_period() -%}
    {%- set today = run_started_at.astimezone(modules.pytz.timezone('Asia/Ho_Chi_Minh')) -%}
    '{{ checked_month(var("as_of_period") or today.strftime("%Y-%m"), "as_of_period") }}'
{%- endmacro %}

{#- True for the months that this build computes. -#}
{% macro is_computed_period(column='period') -%}
    {%- set months = var('periods') -%}
    {%- if months is string or months is not sequence -%}
        {{ exceptions.raise_compiler_error('periods: a list of months is needed') }}
    {%- endif -%}
    {%- if months -%}
        {{ column }} in (
            {%- for month in months %}'{{ checked_month(month, "periods") }}'
            {%- if not loop.last %}, {% endif %}{% endfor -%}
        )
    {%- else -%}
        false
    {%- endif -%}
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
    {%- set days = var('delivery_due_days') -%}
    {%- if days -%}
        case
            {%- for name in days %}
            when {{ dataset }} = '{{ checked_identifier(name, "delivery_due_days") }}' then {{ days[name] | int }}
            {%- endfor %}
            else {{ var('delivery_due_day') | int }}
        end
    {%- else -%}
        {{ var('delivery_due_day') | int }}
    {%- endif -%}
{%- endmacro %}
