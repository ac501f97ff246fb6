-- Grain: one row per figure of the statistics office, as printed in its latest delivery.
with

published as (
    select
        'statistics_office.published_indicators' as dataset,
        indicator,
        area_label,
        unit_label,
        period_label,
        period,
        value,
        is_preliminary,
        standing,
        row_number,
        batch_id,
        data_label
    from {{ ref('stg_statistics_office__published_indicators') }}
),

population_area as (
    select
        'statistics_office.population_area' as dataset,
        item as indicator,
        area_label,
        item as unit_label,
        period_label,
        period,
        value,
        is_preliminary,
        'proven' as standing,
        1 as row_number,
        batch_id,
        data_label
    from {{ ref('stg_statistics_office__population_area') }}
),

population_groups as (
    select
        'statistics_office.population_by_sex_residence' as dataset,
        population_group as indicator,
        area_label,
        'thousand persons' as unit_label,
        period_label,
        period,
        value,
        is_preliminary,
        'proven' as standing,
        1 as row_number,
        batch_id,
        data_label
    from {{ ref('stg_statistics_office__population_by_sex_residence') }}
),

combined as (
    select * from published

    union all

    select * from population_area

    union all

    select * from population_groups
),

final as (
    select *
    from combined
    -- A cell without a figure or without a period is no observation.
    where value is not null and period is not null
)

select * from final
