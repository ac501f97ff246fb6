{{ config(indexes=[
    {'columns': ['unit_id', 'kpi_id', 'period']},
    {'columns': ['period', 'kpi_id']},
    {'columns': ['is_latest', 'unit_level', 'kpi_id']},
]) }}

-- Grain: one row per KPI, label, series, boundary, unit and period; breakdown total.
with

observations as (
    select *
    from {{ ref('fct_kpi_value') }}
    where breakdown = 'total'
),

kpis as (
    select * from {{ ref('dim_kpi') }}
),

periods as (
    select * from {{ ref('dim_period') }}
),

units as (
    select * from {{ ref('dim_unit') }}
),

verdicts as (
    select * from {{ ref('fct_kpi_verdict') }}
),

targets as (
    select * from {{ ref('dim_target') }}
),

-- Only figures of one kind of period follow each other: a year is no month before.
sequenced as (
    select
        observations.*,
        periods.period_kind,
        periods.ends_on,
        periods.year_decimal,
        periods.label_vi as period_label_vi,
        periods.label_en as period_label_en,
        lag(observations.period) over earlier_periods as previous_period,
        lag(observations.value) over earlier_periods as previous_value,
        {{ year_earlier('observations.period') }} as year_earlier_period
    from observations
    inner join periods on observations.period = periods.period
    window earlier_periods as (
        partition by
            observations.kpi_id, observations.data_label, observations.series,
            observations.boundary, observations.unit_id, periods.period_kind
        order by periods.ends_on
    )
),

final as (
    select
        sequenced.kpi_id,
        kpis.name_vi as kpi_name_vi,
        kpis.name_en as kpi_name_en,
        kpis.unit_vi as measure_vi,
        kpis.unit_en as measure_en,
        sequenced.data_label,
        sequenced.series,
        sequenced.boundary,
        sequenced.unit_level,
        sequenced.unit_id,
        sequenced.unit_code,
        units.full_name_vi as unit_name_vi,
        units.name_en as unit_name_en,
        sequenced.period,
        sequenced.period_kind,
        sequenced.ends_on,
        sequenced.period_label_vi,
        sequenced.period_label_en,
        sequenced.value,
        sequenced.is_suppressed,
        sequenced.maturity,
        targets.target_year,
        verdicts.target_value,
        -- The line of the verdict, at the end of this row's period; a status has no way to it.
        case
            when
                verdicts.operator <> 'status'
                and verdicts.target_year > verdicts.base_year
                and sequenced.year_decimal >= verdicts.base_year
                then round(
                    verdicts.base_value
                    + (verdicts.target_value - verdicts.base_value)
                    * least(
                        (sequenced.year_decimal - verdicts.base_year)
                        / (verdicts.target_year - verdicts.base_year),
                        1
                    ),
                    6
                )
        end as target_line_value,
        sequenced.previous_period,
        sequenced.value - sequenced.previous_value as change_from_previous,
        year_earlier.period as year_earlier_period,
        sequenced.value - year_earlier.value as change_from_year_earlier,
        coalesce(verdicts.period = sequenced.period, false) as is_latest,
        case when verdicts.period = sequenced.period then verdicts.verdict end as verdict,
        case
            when verdicts.period = sequenced.period then verdicts.straight_line_verdict
        end as straight_line_verdict
    from sequenced
    inner join kpis on sequenced.kpi_id = kpis.kpi_id
    inner join units on sequenced.unit_id = units.unit_id
    left join verdicts
        on
            sequenced.kpi_id = verdicts.kpi_id
            and sequenced.data_label = verdicts.data_label
            and sequenced.series = verdicts.series
            and sequenced.boundary = verdicts.boundary
            and sequenced.unit_id = verdicts.unit_id
    left join targets on verdicts.target_id = targets.target_id
    left join observations as year_earlier
        on
            sequenced.kpi_id = year_earlier.kpi_id
            and sequenced.data_label = year_earlier.data_label
            and sequenced.series = year_earlier.series
            and sequenced.boundary = year_earlier.boundary
            and sequenced.unit_id = year_earlier.unit_id
            and sequenced.year_earlier_period = year_earlier.period
)

select * from final
