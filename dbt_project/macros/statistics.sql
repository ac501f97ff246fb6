{#- Text of the statistics office as one reads it: its tables carry doubled and leading spaces. -#}
{% macro folded(column) -%}
    trim(regexp_replace({{ column }}, '\s+', ' ', 'g'))
{%- endmacro %}

{#- Unit code of an area name in the office's English tables; NULL where no figure of ours needs it. -#}
{% macro statistics_area_code(column) -%}
    case upper({{ folded(column) }})
        when 'WHOLE COUNTRY' then 'VN'
        when 'QUANG NGAI' then '51'
        when 'KON TUM' then '62'
    end
{%- endmacro %}

{#- The columns that make two delivered figures the same observation. -#}
{% macro delivered_grain() -%}
    kpi_id, data_label, series, period, boundary_id, unit_code, breakdown, breakdown_value
{%- endmacro %}
