-- Grain: one row per commune, month, breakdown and value.
-- What patients pay themselves, per total cost of their visits; a proxy from insured visits.
with

claims as (
    select *
    from {{ ref('int_insurance__claims') }}
    where {{ is_computed_period() }}
),

-- Denominator: total cost in VND of the visits settled in the month, other sources included.
denominator as (
    select
        period,
        unit_code,
        sex,
        sum(total_vnd) as denominator
    from claims
    group by period, unit_code, sex
),

-- Exclusions: what other sources pay is no payment of the patient; visits without insurance, and
-- medicines bought outside, are in no claim. Of a visit sent again only the last submission counts.
-- Numerator: co-payments and what the patient pays outside the insured benefits.
numerator as (
    select
        period,
        unit_code,
        sex,
        sum(copay_vnd + self_paid_vnd) as numerator,
        count(distinct person_key) as contributors
    from claims
    group by period, unit_code, sex
),

{{ kpi_final('out_of_pocket_health_share', breakdowns=['sex']) }}
