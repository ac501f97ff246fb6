-- Grain: one row per commune, month, breakdown and value. Approved households without their house.
with

-- Communes of the provinces whose list was delivered: no household means none, not unknown.
scope as (
    select
        period,
        unit_code,
        data_label,
        batch_id as denominator_vintage
    from {{ ref('int_delivery__communes') }}
    where
        dataset = 'housing__temporary_houses'
        and {{ is_computed_period() }}
),

household_groups as (
    select unnest(array['NCC', 'HN', 'HCN', 'KHAC']) as household_group
),

-- Denominator: households approved by month end, each once whatever its programmes.
-- Exclusions: none. Numerator: those whose house is not handed over by month end.
households as (
    select
        period,
        unit_code,
        household_group,
        count(*) as approved,
        count(*) filter (where not is_completed) as remaining
    from {{ ref('int_housing__approved_households') }}
    where {{ is_computed_period() }}
    group by period, unit_code, household_group
),

cells as (
    select
        scope.period,
        scope.unit_code,
        household_groups.household_group,
        coalesce(households.remaining, 0) as numerator,
        coalesce(households.approved, 0) as denominator,
        coalesce(households.remaining, 0) as contributors,
        scope.data_label,
        scope.denominator_vintage
    from scope
    cross join household_groups
    left join households
        on
            scope.period = households.period
            and scope.unit_code = households.unit_code
            and household_groups.household_group = households.household_group
),

final as (
    {{ kpi_rows(
        'temporary_houses_remaining', 'cells', 'approved_households', ['household_group']
    ) }}
)

select * from final
