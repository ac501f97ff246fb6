{#- Small counts are protected as the last step before a release; why: docs/decisions/0003. -#}

{#- The physical cell: the same commune figure in two boundaries is one cell. -#}
{% macro cell_id() -%}
    concat_ws(
        '|', kpi_id, data_label, series, period, unit_level, unit_code, breakdown, breakdown_value
    )
{%- endmacro %}

{#- An unknown number of people counts as small. -#}
{% macro is_small_count(contributors) -%}
    (
        {{ contributors }} is null
        or ({{ contributors }} > 0 and {{ contributors }} < {{ build_setting('small_count_threshold') | int }})
    )
{%- endmacro %}

{#-
    CTEs that end in `suppressed` (cell_id). A sum with exactly one hidden cell gives it away by
    subtraction: the smallest other part is hidden too, or the whole if there is no other part.
    A new hidden cell stands in other sums, so this is repeated; a test proves that the rounds
    were enough. Not recursive: that does not run over distributed tables.
    A part without anybody is the last choice: hiding a zero protects less.
-#}
{% macro secondary_suppression(sums, primary_cells, rounds=12) %}
round_0 as (
    select cell_id from {{ primary_cells }}
),
{% for round in range(1, rounds + 1) %}
exposed_{{ round }} as (
    select {{ sums }}.sum_id
    from {{ sums }}
    left join round_{{ round - 1 }} as hidden on {{ sums }}.cell_id = hidden.cell_id
    group by {{ sums }}.sum_id
    having count(hidden.cell_id) = 1
),

added_{{ round }} as (
    select distinct on ({{ sums }}.sum_id) {{ sums }}.cell_id
    from {{ sums }}
    inner join exposed_{{ round }} as exposed on {{ sums }}.sum_id = exposed.sum_id
    left join round_{{ round - 1 }} as hidden on {{ sums }}.cell_id = hidden.cell_id
    where hidden.cell_id is null
    order by
        {{ sums }}.sum_id asc,
        {{ sums }}.is_whole asc,
        ({{ sums }}.contributors > 0) desc,
        {{ sums }}.contributors asc,
        {{ sums }}.cell_id asc
),

round_{{ round }} as (
    select cell_id from round_{{ round - 1 }}

    union

    select cell_id from added_{{ round }}
),
{% endfor %}
suppressed as (
    select cell_id from round_{{ rounds }}
)
{%- endmacro %}
