"""A release of the size of the province, made by hand: 61 KPIs in both boundaries, 96 communes."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from loaders.report.data import ReleaseView
from tests.report_pages import cell, commune, kpi, release_view, score, target, verdict
from tests.unit.test_report_boundaries import square

KPIS, COMMUNES = 57, 96
BOUNDARIES = ("qn_programme", "qn_current")
VERDICTS = ("substantial_progress", "moderate_progress", "deterioration", "limited_progress")
GROUPS = ("health", "education", "labour", "housing", "poverty", "digital")
#: As long as the register's names: half of them are over 50 characters.
NAMES = (
    "Tỷ lệ dân số tham gia bảo hiểm y tế, số",
    "Tỷ lệ hộ gia đình nông thôn sử dụng nước sạch theo quy chuẩn, số",
)


def province_view() -> ReleaseView:
    """The four KPIs of the small release, and 57 like them with communes and breakdowns."""
    small = release_view()
    kpis, targets, rows, scorecard, verdicts = [], [], [], [], []
    communes: list[dict[str, Any]] = []
    breakdowns: list[dict[str, Any]] = []
    for number in range(KPIS):
        name = f"kpi_{number:02}"
        register = kpi(
            name,
            sort_order=10 + number,
            kpi_group=GROUPS[number * len(GROUPS) // KPIS],
            name_vi=f"{NAMES[number % 2]} {number}",
        )
        kpis.append(register)
        targets.append(target(name, ">=", "95"))
        verdicts.append(verdict(name, VERDICTS[number % len(VERDICTS)]))
        for boundary in BOUNDARIES:
            place = {"boundary": boundary, "unit_code": boundary, "unit_id": boundary}
            for year in (2022.5, 2023.5, 2024.5):
                value, period = str(70 + (year - 2020) * 3 + number / 10), f"{int(year)}-06"
                rows.append(cell(name, value, period=period, year_decimal=year, **place))
            rows.append(cell(name, f"{88 + number / 10}", **place))
            figure = {"value": Decimal(f"{88 + number / 10}"), "target_value": Decimal(95)}
            said = {"operator": ">=", "target_year": 2030, "series": "total", "period": "2025-07"}
            scorecard.append(
                score(register, **figure, **said, data_label="sample", boundary=boundary)
            )
            for kind, values in (
                ("sex", ("male", "female")),
                ("urban_rural", ("urban", "rural")),
                ("zone", ("plain", "mountain", "island")),
            ):
                breakdowns += [
                    cell(name, f"{80 + k}.5", breakdown=kind, breakdown_value=value, **place)
                    for k, value in enumerate(values)
                ]
        communes += [
            commune(name, None, k, is_suppressed=True, numerator=None)
            if k % 17 == 0
            else commune(
                name,
                f"{(k * 7 + number) % 100}.25",
                k,
                boundary=BOUNDARIES[k > 56],
                name_vi=f"Nguyễn Nghiêm {k}",
            )
            for k in range(COMMUNES)
        ]
    units = {row["unit_id"]: row for row in communes}
    return release_view(
        kpis=[*small.kpis[:4], *kpis],
        targets=[*small.targets, *targets],
        scorecard=[row for row in small.scorecard if row["kpi_id"] != "unheard"] + scorecard,
        boundary_values=[*small.boundary_values, *rows],
        breakdowns=[*small.breakdowns, *breakdowns],
        communes=communes,
        verdicts=[*small.verdicts, *verdicts],
        units=list(units.values()),
        previous_totals=[cell(row["kpi_id"], "87", period="2025-06") for row in kpis],
    )


def outlines() -> dict[str, Any]:
    """A GeoJSON of the 96 communes, ten in a row."""
    features = [
        {
            "type": "Feature",
            "properties": {"code": f"2{k:04}"},
            "geometry": {
                "type": "Polygon",
                "coordinates": [square(108 + k % 10 / 10, 14 + k // 10 / 10)],
            },
        }
        for k in range(COMMUNES)
    ]
    return {"type": "FeatureCollection", "features": features}
