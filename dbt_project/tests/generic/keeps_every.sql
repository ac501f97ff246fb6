{#-
    Nothing gets lost or invented between two models: in the months of this build, each `key` that
    stands in the source and fulfils `source_where` stands in the model, and no other.
-#}
{% test keeps_every(model, key, source_model, source_where='true') %}
with

expected as (
    select distinct
        period,
        {{ key }} as found_key
    from {{ source_model }}
    where ({{ source_where }}) and {{ is_computed_period() }}
),

found as (
    select distinct
        period,
        {{ key }} as found_key
    from {{ model }}
    where {{ is_computed_period() }}
),

lost as (
    select * from expected
    except
    select * from found
),

invented as (
    select * from found
    except
    select * from expected
)

select
    *,
    'lost' as problem
from lost

union all

select
    *,
    'invented' as problem
from invented
{% endtest %}
