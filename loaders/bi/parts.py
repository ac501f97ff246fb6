"""What the dashboards share: colours, filters, the line about the release."""

from __future__ import annotations

import csv
from functools import cache
from typing import Any

from loaders.bi import charts
from loaders.bi.datasets import RELEASE, SCORECARD, SERIES, VALUES
from loaders.bi.model import Chart, Dataset, Filter, metric
from loaders.bi.texts import OUTLOOKS, both
from loaders.report import words
from loaders.settings import PROJECT_ROOT

GREEN, LIGHT_GREEN, AMBER, RED, GREY = "#1b7f4d", "#8fce9f", "#f2b84b", "#d9534f", "#b8bec6"
BLUE = "#2f6db3"
OUTLOOK_COLOURS = {
    OUTLOOKS["achieved"]: GREEN,
    OUTLOOKS["on_track"]: LIGHT_GREEN,
    OUTLOOKS["off_track"]: RED,
    OUTLOOKS["not_assessed"]: AMBER,
    OUTLOOKS["no_figure"]: GREY,
}
#: Signs at the start of the words of a verdict, a status or an outlook.
VERDICT_TONES = {
    "✓": GREEN,
    "●●●": LIGHT_GREEN,
    "●●○": "#cfe8b5",
    "●○○": AMBER,
    "✕": RED,
}
OUTLOOK_TONES = {"✓": GREEN, "→": LIGHT_GREEN, "↓": RED, "?": AMBER, "–": "#e3e6ea"}
STATUS_TONES = {"✓": GREEN, "✕": RED, "!": AMBER, "…": AMBER}
LABEL_TONES = {"DỮ LIỆU MẪU": AMBER}
VALUE = metric("Giá trị / Value", "avg(value)")
PROGRAMME = both(words.BOUNDARIES["qn_programme"])
#: Monthly, for every commune and with many breakdowns.
FIRST_KPI = "health_insurance_coverage"
EVERY = frozenset({"data_label", "boundary", "kpi", "series", "period", "unit"})


@cache
def first_kpi() -> str:
    """The words of the KPI that is shown first, from the programme's register."""
    with (PROJECT_ROOT / "dbt_project" / "seeds" / "programme_kpi.csv").open(
        encoding="utf-8", newline=""
    ) as file:
        row = next(row for row in csv.DictReader(file) if row["kpi_id"] == FIRST_KPI)
    return f"{row['name_vi']} / {row['name_en']}"


def release_table(name: str, **layout: Any) -> Chart:
    """Which release this is, and in colour and capitals that it is a sample."""
    return charts.table(
        f"{name}_release",
        "Bản phát hành / Release",
        RELEASE,
        ["release_id", "as_of_period", "release_label", "built_at"],
        order=[("release_id", True)],
        tones={"release_label": LABEL_TONES},
        ignores=EVERY,
        **({"height": 18} | layout),
    )


def number(name: str, title: str, dataset: Dataset, found: dict[str, Any], **layout: Any) -> Chart:
    """A sixth of a row: Vietnamese above the number, English below."""
    above, below = title.split(" / ")
    return charts.big_number(
        name, above, dataset, found, below=below, **({"width": 2, "height": 25} | layout)
    )


LABEL_FILTER = Filter("data_label", "Nhãn dữ liệu / Data label", SCORECARD, "data_label")
BOUNDARY_FILTER = Filter("boundary", "Địa bàn / Boundary", SCORECARD, "boundary", default=PROGRAMME)
KPI_FILTER = Filter("kpi", "Chỉ tiêu / KPI", SCORECARD, "kpi", default=first_kpi())
SERIES_FILTER = Filter(
    "series",
    "Chuỗi số liệu / Series",
    SERIES,
    "series",
    depends_on=("data_label", "boundary", "kpi"),
)

WHOLE_ONLY = "unit_level = 'boundary' and breakdown = 'total'"
COMMUNES = "unit_level = 'commune' and breakdown = 'total' and value is not null"


def trend(name: str, title: str, where: str, **layout: Any) -> Chart:
    """The chosen KPI over the days on which periods end, with its target."""
    return charts.lines(
        name,
        title,
        VALUES,
        "ends_on",
        [VALUE, metric("Chỉ tiêu / Target", "max(target_value)")],
        where=where,
        **layout,
    )
