"""The right answer for the poverty rate, social assistance and how it is paid."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from loaders.sample.province import Month, Province
from loaders.sample.truths.base import Known, KpiCells, age_group, count_cells, sex

#: Series of the poverty rate → classes that it counts.
POVERTY_SERIES = {"poor": ["HN"], "near_poor": ["HCN"], "poor_and_near_poor": ["HN", "HCN"]}
#: A person of several groups stands under the first of these.
GROUP_ORDER = ["NCT", "KT", "TE36", "PNMT", "KNLD", "NCT80", "KHAC"]
BY_HOUSEHOLD = ["poverty_class", "ethnic_group"]


def cells(province: Province, month: Month, known: dict[str, Known]) -> Iterator[KpiCells]:
    lists = [_Lists(month, known, damaged=damaged) for damaged in (True, False)]
    yield from _poverty_rate(month, lists)
    yield from _assistance(month, lists)
    if month.year_label:
        unable = [x.households.filter(pl.col("cannot_exit") == "1") for x in lists]
        helped = [
            u.filter(pl.col("_household").is_in(x.paid_households.implode()))
            for u, x in zip(unable, lists, strict=True)
        ]
        counted = count_cells(helped, unable, ["ethnic_group"])
        yield KpiCells("assistance_poor_households_no_exit", month.year_label, 100, counted)
    yield from _cashless(month, lists)
    everybody = [x.beneficiaries for x in lists]
    verified = [x.filter("is_verified") for x in everybody]
    yield KpiCells(
        "social_security_code_coverage",
        month.period,
        100,
        count_cells(verified, everybody, ["scheme"]),
    )


class _Lists:
    """The lists of a month, with or without the rows that quarantine takes."""

    def __init__(self, month: Month, known: dict[str, Known], *, damaged: bool) -> None:
        self.households = (
            known["poor_households"]
            .kept(damaged=damaged)
            .with_columns(poverty_class="class_code", ethnic_group="_ethnic", n=pl.lit(1))
        )
        self.totals = (
            known["household_totals"]
            .kept(damaged=damaged)
            .with_columns(ethnic_group="_ethnic", n="households")
        )
        born = pl.col("_birth").cast(pl.Date)
        months_old = (month.year - born.dt.year()) * 12 + month.number - born.dt.month()
        self.members = (
            known["poor_household_members"]
            .kept(damaged=damaged)
            .with_columns(_months_old=months_old)
            .drop("_unit", "class_code")
            .join(self.households.drop("_person", strict=False), on="_household")
        )
        listed = known["assistance_payments"].kept(damaged=damaged)
        payments = listed.filter("_is_alive")
        pensions = (
            known["social_pension"].kept(damaged=damaged)
            if "social_pension" in known
            else payments.clear().with_columns(is_paid=pl.lit("1"))
        )
        pensioners = pensions.filter(pl.col("is_paid") == "1")["_person"]
        self.payments = payments
        self.paid_persons = pl.concat([payments["_person"], pensioners]).unique()
        members_with_pension = self.members.filter(pl.col("_person").is_in(pensioners.implode()))
        self.paid_households = pl.concat(
            [payments["_household"], members_with_pension["_household"]]
        ).unique()
        self.assisted_persons = payments["_person"].unique()
        merit = known["merit_people"].kept(damaged=damaged)
        dead = {
            *listed.filter(~pl.col("_is_alive"))["_person"],
            *merit.filter("_deceased")["_person"],
        }
        parts = {"assistance": payments, "social_pension": pensions, "merit": merit}
        self.beneficiaries = (
            pl.concat(
                frame.select(
                    pl.col("_person").cast(pl.Int64),
                    pl.col("_unit").cast(pl.Int64),
                    is_verified=pl.col("is_id_verified") == "1",
                    scheme=pl.lit(scheme),
                )
                for scheme, frame in parts.items()
            )
            .filter(~pl.col("_person").is_in(dead))
            .group_by("_person")
            .agg(
                pl.col("_unit").min(),
                pl.col("is_verified").any(),
                _schemes=pl.col("scheme").n_unique(),
                scheme=pl.col("scheme").first(),
            )
            .with_columns(
                scheme=pl.when(pl.col("_schemes") > 1)
                .then(pl.lit("several"))
                .otherwise(pl.col("scheme")),
                n=pl.lit(1),
            )
        )


def _poverty_rate(month: Month, lists: list[_Lists]) -> Iterator[KpiCells]:
    standard = "2026_2030" if month.year >= 2026 else "2021_2025"
    for name, classes in POVERTY_SERIES.items():
        poor = [x.households.filter(pl.col("class_code").is_in(classes)) for x in lists]
        counted = count_cells(poor, [x.totals for x in lists], ["ethnic_group"])
        yield KpiCells(
            "poverty_rate_multidimensional", month.period, 100, counted, f"{name}_{standard}"
        )


def _assistance(month: Month, lists: list[_Lists]) -> Iterator[KpiCells]:
    children = [x.members.filter(pl.col("_months_old") < 36) for x in lists]
    raising = [
        x.households.filter(pl.col("_household").is_in(c["_household"].implode()))
        for x, c in zip(lists, children, strict=True)
    ]
    helped = [
        r.filter(
            pl.col("_household").is_in(
                c.filter(pl.col("_person").is_in(x.assisted_persons.implode()))[
                    "_household"
                ].implode()
            )
        )
        for x, c, r in zip(lists, children, raising, strict=True)
    ]
    pregnant = [x.members.filter(pl.col("is_pregnant") == "1") for x in lists]
    lonely = [x.members.filter(pl.col("has_no_support") == "1") for x in lists]
    assisted = [x.assisted_persons for x in lists]
    paid = [x.paid_persons for x in lists]
    wording, decree = "programme_wording", "decree_20_2021"
    children_id, elderly_id = "assistance_poor_children_u36m", "assistance_poor_lonely_elderly"
    everybody = pl.lit(value=True)
    difficult, poor = pl.col("is_difficult_area") == "1", pl.col("poverty_class") == "HN"
    for kpi_id, series, group, counted, covered in (
        (children_id, wording, raising, helped, everybody),
        (children_id, decree, raising, helped, difficult),
        (
            "assistance_poor_pregnant_women",
            wording,
            pregnant,
            _among(pregnant, assisted),
            everybody,
        ),
        (elderly_id, wording, lonely, _among(lonely, paid), everybody),
        (elderly_id, decree, lonely, _among(lonely, paid), poor),
    ):
        numerators = [frame.filter(covered) for frame in counted]
        denominators = [frame.filter(covered) for frame in group]
        counts = count_cells(numerators, denominators, BY_HOUSEHOLD)
        yield KpiCells(kpi_id, month.period, 100, counts, series)


def _among(frames: list[pl.DataFrame], persons: list[pl.Series]) -> list[pl.DataFrame]:
    return [
        frame.filter(pl.col("_person").is_in(some.implode()))
        for frame, some in zip(frames, persons, strict=True)
    ]


def _cashless(month: Month, lists: list[_Lists]) -> Iterator[KpiCells]:
    persons = [_paid_persons(month, x.payments) for x in lists]
    by = ["sex", "age_group", "category"]
    wholly = [p.filter(pl.col("rest_vnd") == 0) for p in persons]
    kpi_id = "cashless_payment_social_assistance"
    people = count_cells(wholly, persons, by)
    yield KpiCells(kpi_id, month.period, 100, people, "persons")
    through_accounts = [p.with_columns(n=pl.col("vnd") - pl.col("rest_vnd")) for p in persons]
    amount = count_cells(through_accounts, [p.with_columns(n="vnd") for p in persons], by)
    yield KpiCells(kpi_id, month.period, 100, amount, "amount")


def _paid_persons(month: Month, payments: pl.DataFrame) -> pl.DataFrame:
    """One row per person paid in the month, whatever number of rows."""
    rank = pl.col("group_code").replace_strict(
        {code: i for i, code in enumerate(GROUP_ORDER)}, return_dtype=pl.Int64
    )
    through_account = pl.col("account_holder_code").is_in(["CC", "GH"]).fill_null(value=False)
    rest = pl.when(through_account).then(0).otherwise("amount_vnd")
    return (
        payments.group_by("_person")
        .agg(
            pl.col("_unit").min(),
            pl.col("_sex").first(),
            birth_year=pl.col("_birth").first().cast(pl.Date).dt.year(),
            rank=rank.min(),
            vnd=pl.col("amount_vnd").sum(),
            rest_vnd=rest.sum(),
        )
        .with_columns(
            sex=sex(),
            age_group=age_group(month),
            category=pl.col("rank").replace_strict(
                dict(enumerate(GROUP_ORDER)), return_dtype=pl.String
            ),
            n=pl.lit(1),
        )
    )
