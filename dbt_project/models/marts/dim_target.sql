{{ config(indexes=[{'columns': ['kpi_id']}]) }}

-- Grain: one row per target: document, version, KPI, boundary and year.
with

targets as (
    select * from {{ ref('programme_target') }}
),

documents as (
    select * from {{ ref('programme_document') }}
),

final as (
    select
        targets.target_id::text as target_id,
        targets.kpi_id::text as kpi_id,
        targets.document_id::text as document_id,
        documents.title_vi::text as document_title_vi,
        documents.title_en::text as document_title_en,
        documents.number::text as document_number,
        documents.issued_on::date as document_issued_on,
        documents.standing::text as document_standing,
        targets.version::integer as version,
        targets.boundary_id::text as boundary,
        targets.target_year::integer as target_year,
        targets.operator::text as operator,
        targets.target_value::numeric as target_value,
        targets.target_low::numeric as target_low,
        targets.target_high::numeric as target_high,
        targets.text_vi::text as text_vi,
        targets.note_en::text as note_en
    from targets
    left join documents on targets.document_id = documents.document_id
)

select * from final
