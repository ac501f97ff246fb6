-- Grain: one row per month of settlement and visit, as it was last submitted.
with

-- A visit that was sent again replaces what was sent before.
final as (
    select distinct on (period, claim_key) *
    from {{ ref('stg_social_insurance__claims') }}
    order by
        period asc,
        claim_key asc,
        submission_number desc,
        submitted_on desc
)

select * from final
