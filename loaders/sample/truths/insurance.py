"""The right answer of social insurance: members, retirees, patients and what they pay."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from loaders.sample.insurance import labour_force, last_retired, month_number
from loaders.sample.province import Month, Province
from loaders.sample.truths.base import Known, KpiCells, age_group, count_cells, sex

#: The first labour force that is delivered; months before its December have no denominator.
FIRST_SURVEY = 2024
DAMAGED_AND_NOT = (True, False)


def cells(province: Province, month: Month, known: dict[str, Known]) -> Iterator[KpiCells]:
    """Coverage, voluntary members, retirees with a benefit, primary care, out-of-pocket share."""
    members = [_members(month, known["participants"].kept(damaged=d)) for d in DAMAGED_AND_NOT]
    survey_year = month.year if month.number == 12 else month.year - 1
    if survey_year >= FIRST_SURVEY:
        survey = labour_force(province, survey_year)
        labour = survey.select("_unit", sex().alias("sex"), n="labour_force")
        of_age = [frame.filter("of_working_age") for frame in members]
        for kpi_id, counted in (
            ("social_insurance_coverage_wa_lf", of_age),
            ("unemployment_insurance_coverage_wa_lf", [f.filter("unemployment") for f in of_age]),
        ):
            yield KpiCells(
                kpi_id,
                month.period,
                100,
                count_cells(counted, [labour], ["sex"]),
                boundary_only_denominator=True,
            )
    voluntary = [frame.filter(pl.col("scheme_code") == "TN") for frame in members]
    groups = ["sex", "household_group"]
    yield KpiCells("voluntary_si_participants", month.period, 0, count_cells(voluntary, (), groups))
    if "social_pension" in known:
        lists = ("pensions", "social_pension")
        drawing = [
            _drawing(month, *(known[name].kept(damaged=d) for name in lists))
            for d in DAMAGED_AND_NOT
        ]
        older = [_older(month, known["older_residents"].kept(damaged=d)) for d in DAMAGED_AND_NOT]
        counted = count_cells(drawing, older, ["sex", "age_group"])
        yield KpiCells("retirees_with_pension_or_social_pension", month.period, 100, counted)
    visits = [_final_claims(known["claims"].kept(damaged=d)) for d in DAMAGED_AND_NOT]
    patients = [_patients(month, frame) for frame in visits]
    paid = [frame.filter("paid_by_fund") for frame in patients]
    counted = count_cells(paid, patients, ["sex", "age_group"])
    yield KpiCells("primary_care_hi_paid_use", month.period, 100, counted)
    own = pl.col("copay_vnd") + pl.col("self_paid_vnd")
    pocket, total = (
        [frame.select("_unit", sex().alias("sex"), n=amount) for frame in visits]
        for amount in (own, pl.col("total_vnd"))
    )
    counted = count_cells(pocket, total, ["sex"])
    yield KpiCells("out_of_pocket_health_share", month.period, 100, counted)


def _members(month: Month, contracts: pl.DataFrame) -> pl.DataFrame:
    """One row per person with a contribution or coverage; compulsory before voluntary."""
    now = month_number(month)
    end = pl.lit(month.end).cast(pl.Int32).cast(pl.Date)
    compulsory = pl.col("scheme_code") == "BB"
    in_force = contracts.filter(
        (compulsory & (pl.col("contribution_state_code") != "TD"))
        | (~compulsory & (pl.col("covered_to") >= end))
    )
    limit = pl.when(pl.col("_sex") == 1).then(last_retired(now, 1)).otherwise(last_retired(now, 2))
    return (
        in_force.sort("_person", "scheme_code", "_unit")
        .group_by("_person", maintain_order=True)
        .agg(
            pl.col("_unit", "_sex", "_birth", "scheme_code", "support_group_code").first(),
            unemployment=(pl.col("has_unemployment_insurance") == "1").any(),
        )
        .with_columns(
            sex=sex(),
            household_group="support_group_code",
            of_working_age=(now - pl.col("_birth") >= 15 * 12) & (pl.col("_birth") > limit),
            n=pl.lit(1),
        )
    )


def _drawing(month: Month, pensions: pl.DataFrame, social: pl.DataFrame) -> pl.DataFrame:
    """People past retirement age who draw something, once; the insurer's list comes first."""
    columns = [
        pl.col("_person").cast(pl.Int64), pl.col("_unit").cast(pl.Int32),
        pl.col("_sex").cast(pl.Int32), pl.col("_birth").cast(pl.Int64),
    ]  # fmt: skip
    born = pl.col("_birth").cast(pl.Int32).cast(pl.Date).dt
    born_in = born.year().cast(pl.Int64) * 12 + born.month() - 1
    lists = [
        pensions.filter(pl.col("is_paid") == "1").select(columns),
        social.filter(pl.col("is_paid") == "1").with_columns(_birth=born_in).select(columns),
    ]
    rows = pl.concat(rows.with_columns(order=pl.lit(i)) for i, rows in enumerate(lists))
    persons = rows.sort("_person", "order", "_unit").unique(
        "_person", keep="first", maintain_order=True
    )
    return _past_retirement_age(month, persons.with_columns(n=pl.lit(1)))


def _older(month: Month, residents: pl.DataFrame) -> pl.DataFrame:
    return _past_retirement_age(month, residents.with_columns(n=pl.col("persons")))


def _past_retirement_age(month: Month, people: pl.DataFrame) -> pl.DataFrame:
    now = month_number(month)
    limit = pl.when(pl.col("_sex") == 1).then(last_retired(now, 1)).otherwise(last_retired(now, 2))
    age = (now - pl.col("_birth")) // 12
    group = pl.when(age < 70).then(pl.lit("<70")).when(age < 75).then(pl.lit("70-74"))
    return people.filter(pl.col("_birth") <= limit).select(
        "_unit", sex().alias("sex"), group.otherwise(pl.lit("75+")).alias("age_group"), "n"
    )


def _final_claims(claims: pl.DataFrame) -> pl.DataFrame:
    return claims.sort("_claim", "submission_number").unique(
        "_claim", keep="last", maintain_order=True
    )


def _patients(month: Month, claims: pl.DataFrame) -> pl.DataFrame:
    """Each patient of grassroots facilities once."""
    return (
        claims.filter(pl.col("is_grassroots_facility") == "1")
        .group_by("_person")
        .agg(
            pl.col("_unit").min(),
            pl.col("_sex", "_birth_year").first(),
            paid_by_fund=(pl.col("fund_vnd") > 0).any(),
        )
        .sort("_person")
        .with_columns(sex=sex(), age_group=age_group(month, "_birth_year"), n=pl.lit(1))
    )
