-- Grain: one row per visit, submission and month of settlement.
with

source as (
    select * from {{ source('social_insurance', 'claims') }}
),

renamed as (
    select
        _period as period,
        claim_key,
        submission_number,
        submitted_on,
        person_key,
        extract(year from birth_month)::integer as birth_year,
        case sex_code when '1' then 'male' when '2' then 'female' end as sex,
        residence_unit_code as unit_code,
        facility_code,
        is_grassroots_facility = '1' as is_grassroots_facility,
        care_kind_code,
        discharged_on,
        total_vnd,
        fund_vnd,
        copay_vnd,
        self_paid_vnd,
        other_sources_vnd,
        _batch_id as batch_id,
        _data_label as data_label
    from source
    -- Later months belong to later releases.
    where _period <= {{ as_of_period() }}
)

select * from renamed
