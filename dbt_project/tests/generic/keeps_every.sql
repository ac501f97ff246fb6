{#-
    Nothing gets lost between two models: per month, as many distinct `key` values in the source
    that fulfil `where` as rows (or distinct keys) in the model.
-#}
{% test keeps_every(model, key, source_model, source_where='true', model_where='true') %}
with

expected as (
    select
        period,
        count(distinct {{ key }}) as keys
    from {{ source_model }}
    where ({{ source_where }}) and {{ is_computed_period() }}
    group by period
),

found as (
    select
        period,
        count(distinct {{ key }}) as keys
    from {{ model }}
    where ({{ model_where }}) and {{ is_computed_period() }}
    group by period
)

select
    period,
    expected.keys as expected_keys,
    found.keys as found_keys
from expected
full outer join found using (period)
where expected.keys is distinct from found.keys
{% endtest %}
