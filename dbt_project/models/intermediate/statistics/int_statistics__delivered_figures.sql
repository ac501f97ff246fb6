-- Grain: one row per dataset, indicator, area, period and poverty standard.
with

figures as (
    select
        'published_indicators' as dataset,
        indicator,
        area_label,
        period,
        standard_version,
        value,
        is_preliminary,
        standing,
        row_number,
        batch_id,
        data_label
    from {{ ref('stg_statistics_office__published_indicators') }}

    union all

    select
        'population_area' as dataset,
        item as indicator,
        area_label,
        period,
        null as standard_version,
        value,
        is_preliminary,
        'proven' as standing,
        1 as row_number,
        batch_id,
        data_label
    from {{ ref('stg_statistics_office__population_area') }}

    union all

    select
        'population_by_sex_residence' as dataset,
        population_group as indicator,
        area_label,
        period,
        null as standard_version,
        value,
        is_preliminary,
        'proven' as standing,
        1 as row_number,
        batch_id,
        data_label
    from {{ ref('stg_statistics_office__population_by_sex_residence') }}
),

-- Two publications may print two figures: the proven one, then the first in the list.
ranked as (
    select
        *,
        row_number() over (
            partition by dataset, indicator, area_label, period, standard_version
            order by (standing = 'proven') desc, row_number asc
        ) as preference,
        min(value) over (
            partition by dataset, indicator, area_label, period, standard_version
        ) < max(value) over (
            partition by dataset, indicator, area_label, period, standard_version
        ) as has_other_values
    from figures
    -- A cell without a figure or without a period is no observation.
    where value is not null and period is not null
),

final as (
    select
        dataset,
        indicator,
        area_label,
        period,
        standard_version,
        value,
        is_preliminary,
        standing,
        has_other_values,
        batch_id,
        data_label
    from ranked
    where preference = 1
)

select * from final
