-- Grain: one row per KPI of the programme's register.
with

kpis as (
    select * from {{ ref('programme_kpi') }}
),

final as (
    select
        kpi_id::text as kpi_id,
        sort_order::integer as sort_order,
        register_state::text as state,
        kpi_group::text as kpi_group,
        tier::text as tier,
        name_vi::text as name_vi,
        name_en::text as name_en,
        unit_vi::text as unit_vi,
        unit_en::text as unit_en,
        direction::text as direction,
        direction_sign::integer as direction_sign,
        natural_limit::numeric as natural_limit,
        scale::numeric as scale,
        decimals::integer as decimals,
        definition_vi::text as definition_vi,
        definition_en::text as definition_en,
        numerator_en::text as numerator_en,
        denominator_en::text as denominator_en,
        reference_date::text as reference_date,
        frequency::text as frequency,
        disaggregation::text as disaggregation,
        legal_reference::text as legal_reference,
        definition_standing::text as definition_standing,
        definition_proof::text as definition_proof,
        source_owner_vi::text as source_owner_vi,
        source_dataset::text as source_dataset,
        programme_paragraph::text as programme_paragraph,
        pitfalls_en::text as pitfalls_en,
        disclosure::text as disclosure
    from kpis
)

select * from final
