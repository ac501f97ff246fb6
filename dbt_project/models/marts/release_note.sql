-- Grain: one row for the release.
with

labels as (
    select coalesce(bool_or(data_label = 'sample'), false) as has_sample
    from {{ ref('fct_kpi_value') }}
),

final as (
    select
        case
            when has_sample then 'Dữ liệu mẫu / Sample data'
            else 'Số liệu thực tế'
        end as release_label_vi,
        case
            when has_sample then 'Sample data'
            else 'Real data'
        end as release_label_en,
        {{ as_of_period() }}::text as as_of_period,
        current_timestamp as built_at,
        '{{ checked_identifier(
            build_setting("candidate_id"), "candidate_id"
        ) }}'::text as candidate_id
    from labels
)

select * from final
