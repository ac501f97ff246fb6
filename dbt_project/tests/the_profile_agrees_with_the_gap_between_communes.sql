-- The first among the communes is the best one of the gap, where both compare the same communes:
-- the gap of an earlier year also holds those that have ended since.
with

firsts as (
    select *
    from {{ ref('commune_profile') }}
    where rank_among_communes = 1
),

gaps as (
    select * from {{ ref('fct_kpi_gap') }}
)

select
    firsts.kpi_id,
    firsts.boundary,
    firsts.period,
    firsts.value,
    gaps.best_value
from firsts
inner join gaps
    on
        firsts.kpi_id = gaps.kpi_id
        and firsts.data_label = gaps.data_label
        and firsts.series = gaps.series
        and firsts.boundary = gaps.boundary
        and firsts.period = gaps.period
where
    firsts.communes_ranked > gaps.communes
    or (firsts.communes_ranked = gaps.communes and firsts.value <> gaps.best_value)
