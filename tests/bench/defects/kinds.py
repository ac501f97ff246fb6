"""What goes wrong in agencies' lists: the kinds of defect that the gates are measured with.

Those of the sample province were written together with the rules; those listed here were written
from what such lists look like when they are wrong: a boundary missed by one, a row that was sent
twice with another figure, a code of another list, a date in another order.
"""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from loaders.sample import KINDS as SAMPLE_KINDS
from loaders.sample.defects import Context, Row
from tests.bench.defects.model import (
    Change,
    DefectKind,
    aged,
    american,
    both,
    day_after_end,
    edited,
    month_before,
    of_sample,
    put,
    raised,
    unchanged,
)

TYPE, PATTERN = ("contract.type",), ("contract.pattern",)
RANGE, PERIOD = ("contract.range",), ("contract.period",)


def _again(dataset: str, suite: str, name: str, change: Change = unchanged) -> DefectKind:
    """The record once more, with another figure: lists of several offices were put together."""
    return DefectKind(name, dataset, (f"{suite}.not_repeated",), change, again=True)


def _torn(dataset: str) -> DefectKind:
    """A line that ends in the middle of its cells."""
    return DefectKind(
        "line_torn", dataset, ("contract.row",), unchanged, line=lambda text: text[: len(text) // 3]
    )


def _letter_o(number: str) -> str:
    return number[:8] + "O" + number[9:]


def _without_first(number: str) -> str:
    """A spreadsheet took the number for a figure: its leading zero is gone."""
    return number[1:]


def _is(column: str, *values: str) -> pl.Expr:
    return pl.col(column).cast(pl.String).is_in(values)


OWN: list[DefectKind] = [
    # health insurance cards
    DefectKind("month_first", "health_insurance_members", TYPE, american("valid_from")),
    DefectKind("two_digit_year", "health_insurance_members", TYPE, put(birth_month="17/03/8x")),
    DefectKind(
        "letter_in_citizen_number", "health_insurance_members", PATTERN,
        edited("person_key", _letter_o),
    ),
    DefectKind(
        "leading_zero_lost", "health_insurance_members", PATTERN,
        edited("person_key", _without_first),
    ),
    DefectKind(
        "insurance_number_cut", "health_insurance_members", PATTERN,
        edited("social_insurance_key", _without_first),
    ),
    DefectKind("level_nine", "health_insurance_members", PATTERN,
               edited("card_key", lambda card: card[:2] + "9" + card[3:])),
    DefectKind("unit_by_name", "health_insurance_members", PATTERN,
               put(residence_unit_code="Xã Bình Hải")),
    DefectKind("row_of_month_before", "health_insurance_members", PERIOD,
               month_before("report_month", 1)),
    _torn("health_insurance_members"),
    # members of social insurance
    DefectKind("fourteen_years_old", "participants", ("participants.fifteen_or_older",),
               aged(15 * 12 - 1)),
    DefectKind("employer_code_of_digits", "participants", PATTERN, put(employer_code="0123456"),
               _is("scheme_code", "BB")),
    DefectKind("covered_to_30_february", "participants", TYPE, put(covered_to="30/02/2026"),
               _is("scheme_code", "TN")),
    _again("participants", "participants", "contract_twice", put(contribution_state_code="TT")),
    # pensions
    DefectKind("pensioner_of_seventeen", "pensions", ("pensions.age_plausible",), aged(17 * 12),
               _is("benefit_code", "LH")),
    _again("pensions", "pensions", "benefit_twice", edited("amount_vnd", lambda v: v + "0")),
    DefectKind("amount_in_thousands", "pensions", TYPE, put(amount_vnd="4,25 triệu")),
    # claims
    DefectKind("one_dong_off", "claims", ("claims.parts_make_the_total",),
               raised("total_vnd", "total_vnd")),
    DefectKind("discharged_next_day", "claims", ("claims.discharged_before_settlement",),
               day_after_end("discharged_on", 1)),
    DefectKind("submission_zero", "claims", RANGE, put(submission_number="0")),
    DefectKind("facility_by_name", "claims", PATTERN, put(facility_code="BVĐK tỉnh")),
    # social assistance
    _again("assistance_payments", "payments", "paid_twice", put(amount_vnd="360000")),
    DefectKind("month_thirteen", "assistance_payments", TYPE, put(paid_for="2025-13")),
    DefectKind("cash_with_account_holder", "assistance_payments", ("payments.account_has_holder",),
               put(method_code="TM", account_holder_code="CC")),
    DefectKind("child_of_36_months", "assistance_payments", ("payments.child_is_under_36_months",),
               aged(37),
               _is("group_code", "TE36") & (pl.col("paid_for") == pl.col("report_month"))),
    DefectKind("amount_in_words", "assistance_payments", TYPE, put(amount_vnd="bảy trăm nghìn")),
    _torn("assistance_payments"),
    # social pension
    DefectKind("one_month_too_young", "social_pension", ("pension.age_fits_basis",),
               both(aged(75 * 12 - 1), put(basis_code="75"))),
    _again("social_pension", "pension", "paid_twice", put(amount_vnd="600000")),
    # poverty
    DefectKind("deprivation_as_x", "poor_households", PATTERN,
               edited("deprivations", lambda text: "x" + text[1:])),
    DefectKind("reviewed_14_months_ago", "poor_households",
               ("poor_households.reviewed_within_a_year",), month_before("reviewed_on", 14)),
    _again("poor_households", "poor_households", "listed_by_two_offices", put(cannot_exit="0")),
    _again("poor_household_members", "members", "in_two_households",
           edited("household_key", lambda key: key[:-1] + "x")),
    DefectKind("elderly_of_59", "poor_household_members", ("members.no_support_is_elderly",),
               both(aged(60 * 12 - 1), put(has_no_support="1", is_pregnant="0"))),
    # schools
    DefectKind("grade_13", "pupils", RANGE, put(grade="13")),
    DefectKind("school_year_before", "pupils", ("pupils.school_year_of_month",),
               put(school_year="2024-2025")),
    DefectKind("school_year_short", "pupils", PATTERN, put(school_year="2025-26")),
    DefectKind("graduated_next_year", "graduates", ("graduates.graduated_in_year",),
               day_after_end("graduated_on", 1)),
    DefectKind("graduate_of_twelve", "graduates", ("graduates.age_plausible",), aged(12 * 12)),
    _again("graduates", "graduates", "graduated_twice", put(graduated_on="2025-06-30")),
    DefectKind("preschool_with_level", "universalisation", ("universalisation.literacy_has_level",),
               put(level_code="1"), _is("programme_code", "PCGDMN")),
    _again("vocational_enrolments", "enrolments", "enrolled_twice", put(enrolled_on="2025-10-01")),
    # health
    DefectKind("staff_of_seventeen", "staff", ("staff.of_working_age",), aged(17 * 12 + 11)),
    DefectKind("workplace_elsewhere", "staff", ("staff.facility_known",),
               put(facility_code="48001")),
    DefectKind("sex_in_words_wrong", "staff", ("contract.enum", "contract.type"),
               put(sex_code="không rõ")),
    DefectKind("registered_next_month", "immunisation_children",
               ("children.registered_by_period_end",), day_after_end("registered_on", 1)),
    DefectKind("two_years_old", "immunisation_children", ("children.under_24_months",), aged(24)),
    DefectKind("dose_of_next_month", "immunisation_doses", ("doses.given_by_period_end",),
               day_after_end("given_on", 1)),
    _again("immunisation_doses", "doses", "dose_twice"),
    DefectKind("height_in_millimetres", "nutrition_survey", RANGE,
               edited("height_cm", lambda text: text.replace(".", "") + "0")),
    _again("nutrition_survey", "nutrition", "measured_twice", put(height_cm="88.8")),
    DefectKind("one_more_managed", "health_records", ("records.managed_within_records",),
               raised("persons_managed", "persons_with_record")),
    DefectKind("born_1880", "health_records", RANGE, put(birth_year="1880")),
    DefectKind("indigenous_but_no_malaria", "disease_cases", ("cases.indigenous_within_new",),
               put(indigenous_cases="0"), _is("disease_code", "LAO", "HIV")),
    _again("disease_cases", "cases", "reported_twice", put(new_cases="7")),
    # home affairs
    DefectKind("mother_is_a_man", "merit_people", ("merit.mother_is_a_woman",),
               both(put(category_code="BMVNAH", sex_code="1"),
                    edited("person_key", lambda n: n[:3] + str(int(n[3]) & ~1) + n[4:]))),
    DefectKind("method_without_payment", "merit_people", ("merit.payment_has_method",),
               put(is_paid="0"), _is("is_paid", "1")),
    DefectKind("entitled_next_month", "merit_people", ("merit.entitled_by_payment",),
               month_before("entitled_month", -1)),
    DefectKind("left_next_month", "overseas_workers", ("departures.departed_in_month",),
               day_after_end("departed_on", 1)),
    DefectKind("worker_of_seventeen", "overseas_workers", ("departures.of_age",),
               aged(18 * 12 - 1)),
    DefectKind("booked_next_quarter", "gratitude_fund", ("fund.booked_in_quarter",),
               day_after_end("booked_on", 1)),
    DefectKind("amount_zero", "gratitude_fund", RANGE, put(amount_vnd="0")),
    DefectKind("registered_before_birth", "births", ("births.registered_after_birth",),
               both(month_before("birth_month", 2), month_before("registered_on", 4))),
    _again("births", "births", "number_given_twice", put(sex_code="1")),
    # housing
    DefectKind("completed_next_month", "temporary_houses", ("houses.not_in_future",),
               day_after_end("completed_on", 1)),
    DefectKind("completed_before_begun", "temporary_houses", ("houses.started_before_completed",),
               both(day_after_end("started_on", -10), day_after_end("completed_on", -40))),
    _again("temporary_houses", "houses", "house_twice", put(work_kind_code="SC")),
    DefectKind("one_dwelling_too_many", "social_housing_blocks", ("blocks.built_within_plan",),
               raised("units_completed", "units_planned")),
    DefectKind("three_hundred_square_metres", "floor_area", ("floor.area_plausible",),
               lambda row, _: row.update(floor_area_m2=str(301 * int(row["persons"] or 0)))),
    # water, sanitation, population
    DefectKind("one_household_too_many", "rural_water", ("rural_water.parts_within_whole",),
               raised("households_indicator_01", "households")),
    DefectKind("more_poor_than_all", "rural_water", ("rural_water.parts_within_whole",),
               raised("poor_households", "households")),
    _again("household_sanitation", "latrines", "commune_twice", put(coverage_code="RS")),
    _again("settlements", "settlements", "settlement_twice", put(has_collection="0")),
    DefectKind("one_cubic_metre_too_many", "wastewater", ("wastewater.treated_within_generated",),
               raised("treated_m3_day", "generated_m3_day")),
    DefectKind("one_resident_too_many", "commune_checklist", ("checklist.access_within_residents",),
               raised("residents_with_access", "residents")),
    DefectKind("not_yet_fifty", "older_residents", ("older_residents.fifty_or_older",),
               aged(50 * 12 - 1)),
    DefectKind("born_next_year", "commune_population",
               ("commune_population.birth_year_plausible",), put(birth_year="2026")),
    _again("commune_population", "commune_population", "cell_twice", put(population="1")),
    DefectKind("population_negative", "commune_population", RANGE, put(population="-3")),
    # tasks
    DefectKind("done_at_ninety", "task_progress", ("tasks.percent_fits_status",),
               put(status_code="HT", percent_done="90", late_reason_code=None)),
    DefectKind("reported_46_days_later", "task_progress", ("tasks.reported_after_period",),
               day_after_end("reported_on", 46)),
]  # fmt: skip

#: What may be true all the same: a rule warns, the row stays, and somebody is asked.
WARNED: list[DefectKind] = [
    DefectKind("pharmacy_with_beds", "facilities", ("facilities.beds_fit_kind",),
               put(planned_beds="5", actual_beds="5"), _is("facility_type_code", "PK", "NT")),
    DefectKind("station_with_300_beds", "facilities", ("facilities.stations_have_few_beds",),
               put(planned_beds="300", actual_beds="300"), _is("facility_type_code", "TYT")),
    DefectKind("first_grader_in_grade_5", "pupils", ("pupils.age_fits_grade",), put(grade="5"),
               pl.col("grade") == 1),
    DefectKind("grade_missing", "pupils", ("pupils.grade_stated",), put(grade=None),
               _is("level_code", "1", "2", "3")),
    DefectKind("at_work_at_85", "staff", ("staff.not_too_old",), aged(85 * 12),
               _is("work_status_code", "DLV")),
    DefectKind("third_dose_of_bcg", "immunisation_doses", ("doses.number_within_schedule",),
               put(dose_number="3"), _is("vaccine_code", "BCG")),
    DefectKind("z_score_of_minus_9", "nutrition_survey", ("nutrition.z_score_plausible",),
               put(height_for_age_z="-9.5")),
    DefectKind("height_of_a_baby", "nutrition_survey", ("nutrition.z_score_fits_height",),
               put(height_cm="52.0"), pl.col("age_months") > 40),
    DefectKind("more_meters_than_households", "urban_water",
               ("urban_water.meters_within_households",), raised("meters", "households")),
    DefectKind("allowance_of_100_dong", "merit_people", ("merit.amount_plausible",),
               put(amount_vnd="100"), _is("is_paid", "1")),
    DefectKind("criteria_without_access", "commune_checklist", ("checklist.criteria_need_access",),
               put(meets_criteria="1", residents_with_access="1")),
    DefectKind("toilet_without_water", "facility_sanitation", ("sanitation.toilet_needs_water",),
               put(has_standard_toilet="1", has_clean_water="0")),
    DefectKind("begun_before_approval", "temporary_houses", ("houses.started_after_approved",),
               both(day_after_end("approved_on", -30), day_after_end("started_on", -60),
                    put(completed_on=None))),
    DefectKind("in_progress_at_nothing", "task_progress", ("tasks.begun_has_progress",),
               put(status_code="DTH", percent_done="0", late_reason_code=None)),
    DefectKind("graduate_of_fifteen", "graduates", ("graduates.age_fits_level",), aged(15 * 12),
               _is("level_code", "THPT")),
]  # fmt: skip


def _ten_times(*columns: str) -> Change:
    """A digit too many in each of these amounts."""
    return both(*(edited(column, lambda text: text + "0" if text else text) for column in columns))


def _other_sex(row: Row, _: Context) -> None:
    """The sex of somebody else, in the citizen number as well."""
    number = str(row["person_key"])
    row["person_key"] = number[:3] + str(int(number[3]) ^ 1) + number[4:]
    row["sex_code"] = "2" if row["sex_code"] == "1" else "1"


#: Wrong, and like the truth: no rule looks at one row and knows better. The day that one does, its
#: kind belongs above.
UNSEEN: list[DefectKind] = [
    DefectKind("sex_and_number_of_another", "social_pension", (), _other_sex),
    DefectKind("pension_ten_times", "pensions", (), _ten_times("amount_vnd"),
               pl.col("amount_vnd").is_between(1_000_000, 15_000_000)),
    DefectKind("all_costs_ten_times", "claims", (),
               _ten_times("total_vnd", "fund_vnd", "copay_vnd", "self_paid_vnd",
                          "other_sources_vnd"), pl.col("total_vnd").is_between(1, 1_000_000)),
    DefectKind("a_digit_lost", "household_totals", (), edited("households", lambda v: v[:-1]),
               pl.col("households") >= 100),
    DefectKind("still_birth_for_live", "births", (), put(is_live_birth="0"),
               _is("is_live_birth", "1")),
]  # fmt: skip

#: Dataset → its kinds, the sample's own first.
ALL: dict[str, list[DefectKind]] = {
    dataset: [of_sample(dataset, kind) for kind in kinds] for dataset, kinds in SAMPLE_KINDS.items()
}
for _kind in [*OWN, *(replace(kind, warns=True) for kind in WARNED)]:
    ALL.setdefault(_kind.dataset, []).append(_kind)
