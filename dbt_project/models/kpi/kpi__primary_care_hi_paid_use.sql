-- Grain: one row per commune, month, breakdown and value.
-- Patients of grassroots facilities for whom the insurance fund paid, per patient there.
with

-- Visits are not persons: each patient of the month stands once, by the citizen number and not by
-- the facility's own patient number. The month is that of settlement; the discharge may be earlier.
patients as (
    select
        period,
        person_key,
        min(unit_code) as unit_code,
        min(sex) as sex,
        {{ age_group('left(period, 4)::integer - min(birth_year)') }} as age_group,
        bool_or(fund_vnd > 0) as is_paid_by_fund
    from {{ ref('int_insurance__claims') }}
    where
        is_grassroots_facility
        and {{ is_computed_period() }}
    group by period, person_key
),

-- Denominator: patients with a visit on file. Visits without any insurance claim are in no list
-- of the insurer, so the rate can only be too high; read as a share of the population, the
-- programme's words would need another denominator.
denominator as (
    select
        period,
        unit_code,
        sex,
        age_group,
        count(*) as denominator
    from patients
    group by period, unit_code, sex, age_group
),

-- Exclusions: hospitals; patients of whose visits the fund paid nothing. Of a visit that was sent
-- again only the last submission counts.
-- Numerator: patients with at least one visit that the fund paid.
numerator as (
    select
        period,
        unit_code,
        sex,
        age_group,
        count(*) as numerator,
        count(*) as contributors
    from patients
    where is_paid_by_fund
    group by period, unit_code, sex, age_group
),

{{ kpi_final('primary_care_hi_paid_use', breakdowns=['sex', 'age_group']) }}
