-- Grain: one row per KPI and boundary, the target that its verdict uses.
with

targets as (
    select * from {{ ref('programme_target') }}
),

boundaries as (
    select boundary_id as boundary
    from {{ ref('geo_boundary') }}
    -- No target was set for the country or for other provinces.
    where boundary_id <> 'reference'
),

kpis as (
    select kpi_id from {{ ref('programme_kpi') }}
),

-- A boundary without a target of its own is measured by the programme's, and says so.
candidates as (
    select
        targets.*,
        boundaries.boundary,
        boundaries.boundary = targets.boundary_id as is_own_target,
        targets.target_year + 1 < {{ year_decimal(as_of_period()) }} as is_past
    from targets
    inner join kpis on targets.kpi_id = kpis.kpi_id
    inner join boundaries
        on
            targets.boundary_id = boundaries.boundary
            or targets.boundary_id = 'qn_programme'
),

-- The next deadline, by the newest document; after the last one, the last.
final as (
    select distinct on (kpi_id, boundary)
        kpi_id,
        boundary,
        is_own_target,
        target_id,
        target_year,
        operator,
        target_value,
        target_low,
        target_high,
        text_vi
    from candidates
    order by
        kpi_id asc,
        boundary asc,
        is_own_target desc,
        is_past asc,
        case when is_past then -target_year else target_year end asc,
        version desc,
        target_id asc
)

select * from final
