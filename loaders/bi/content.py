"""The three dashboards: province scorecard, KPI explorer, data quality."""

from __future__ import annotations

import csv
from functools import cache
from typing import Any

from loaders.bi import charts
from loaders.bi.datasets import (
    LABELS,
    OUTLOOKS,
    QUALITY,
    RELEASE,
    SCORECARD,
    TASKS,
    UNITS,
    VALUES,
    WHOLE,
    both,
)
from loaders.bi.model import Chart, Dashboard, Dataset, Filter, count, metric
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


def _release(name: str, **layout: Any) -> Chart:
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


def _number(name: str, title: str, dataset: Dataset, found: dict[str, Any], **layout: Any) -> Chart:
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
    VALUES,
    "series",
    depends_on=("data_label", "boundary", "kpi"),
)

WHOLE_ONLY = "unit_level = 'boundary' and breakdown = 'total'"
COMMUNES = "unit_level = 'commune' and breakdown = 'total' and value is not null"


def _trend(name: str, title: str, where: str, **layout: Any) -> Chart:
    return charts.lines(
        name,
        title,
        VALUES,
        "ends_on",
        [VALUE, metric("Chỉ tiêu / Target", "max(target_value)")],
        where=where,
        **layout,
    )


def _scorecard() -> Dashboard:
    only_kpis = frozenset({"kpi", "series"})
    numbers = [
        _number(
            f"scorecard_{code}",
            text,
            SCORECARD,
            count(text, f"outlook_code = {code!r}"),
            ignores=only_kpis,
        )
        for code, text in OUTLOOKS.items()
    ]
    late = _number(
        "scorecard_tasks_late",
        "! Nhiệm vụ trễ / Tasks late",
        TASKS,
        metric("Nhiệm vụ trễ / Tasks late", "count(distinct task_id) filter (where is_late)"),
        ignores=only_kpis | {"boundary"},
    )
    groups = charts.bars(
        "scorecard_groups",
        "Tình hình theo nhóm / Outlook by group",
        SCORECARD,
        "kpi_group_lines",
        [count("Số chỉ tiêu / KPIs")],
        by=["outlook"],
        stacked=True,
        horizontal=True,
        number=charts.WHOLE,
        width=6,
        height=64,
        ignores=only_kpis,
    )
    trend = _trend(
        "scorecard_trend",
        "Diễn biến của chỉ tiêu đã chọn / Trend of the chosen KPI",
        WHOLE_ONLY,
        width=6,
        height=64,
    )
    everything = charts.table(
        "scorecard_kpis",
        "Tất cả chỉ tiêu / All KPIs",
        SCORECARD,
        [
            "sort_order",
            "kpi_group",
            "kpi",
            "unit_of_measure",
            "period",
            "value",
            "target",
            "outlook",
            "verdict",
            "caveat",
        ],
        order=[("sort_order", True)],
        tones={"outlook": OUTLOOK_TONES, "verdict": VERDICT_TONES},
        widths={
            "kpi_group": 110,
            "kpi": 240,
            "period": 75,
            "target": 120,
            "outlook": 115,
            "verdict": 125,
            "caveat": 160,
        },
        search=True,
        height=110,
        ignores=only_kpis,
    )
    tasks = charts.table(
        "scorecard_tasks",
        "Nhiệm vụ trễ hạn / Tasks that are late",
        TASKS,
        ["task", "agency", "due_on", "report_period", "task_status", "percent_done", "kpis_behind"],
        order=[("due_on", True), ("task", True)],
        where="is_late",
        tones={"task_status": {"↓": RED}},
        widths={"task": 420, "agency": 240},
        height=56,
        ignores=only_kpis | {"boundary"},
    )
    return Dashboard(
        "bang-diem",
        "Bảng điểm tỉnh / Province scorecard",
        "Chỉ tiêu nào đạt, đúng hướng, chậm / Which KPIs are achieved, on track, off track",
        [
            [_release("scorecard")],
            [*numbers, late],
            [groups, trend],
            [everything],
            [tasks],
        ],
        (LABEL_FILTER, BOUNDARY_FILTER, KPI_FILTER, SERIES_FILTER),
        OUTLOOK_COLOURS,
    )


def _explorer() -> Dashboard:
    one_period = frozenset({"unit"})
    definition = charts.table(
        "explorer_definition",
        "Chỉ tiêu là gì / What the KPI is",
        SCORECARD,
        ["definition", "unit_of_measure", "target", "verdict", "source", "standing", "caveat"],
        order=[("sort_order", True)],
        tones={"verdict": VERDICT_TONES},
        widths={"definition": 420},
        height=28,
        ignores=frozenset({"series", "period", "unit"}),
    )
    trend = _trend(
        "explorer_trend",
        "Diễn biến và chỉ tiêu / Time series with target",
        "breakdown = 'total'",
        width=6,
        height=84,
        ignores=frozenset({"period"}),
    )
    map_ = charts.polygons(
        "explorer_map",
        "Bản đồ xã, phường / Map of communes",
        VALUES,
        "shape",
        "unit",
        VALUE,
        where=COMMUNES,
        width=5,
        height=84,
        description=(
            "Mỗi xã một hình lục giác có diện tích của xã, đặt tại trụ sở; chỉ các xã từ "
            "01/07/2025 có toạ độ / A hexagon of each commune's area about its office; only the "
            "communes since 2025-07-01 have coordinates"
        ),
        ignores=one_period,
    )
    ranking = charts.table(
        "explorer_ranking",
        "Xếp hạng xã, phường / Ranking of communes",
        VALUES,
        ["unit", "value", "numerator", "denominator", "verdict"],
        order=[("value", False), ("unit", True)],
        where=COMMUNES,
        tones={"verdict": VERDICT_TONES},
        widths={"unit": 170, "value": 100, "verdict": 130},
        bars=["value"],
        search=True,
        width=7,
        height=84,
        ignores=one_period,
    )
    breakdowns = charts.bars(
        "explorer_breakdowns",
        "Theo giới, vùng, nhóm… / By sex, zone, group…",
        VALUES,
        "breakdown_value",
        [VALUE],
        by=["breakdown_name"],
        where="breakdown <> 'total' and value is not null",
        stacked=True,
        horizontal=True,
        width=6,
        height=84,
    )
    figures = charts.table(
        "explorer_figures",
        "Số liệu của đơn vị theo kỳ / The unit's figures by period",
        VALUES,
        [
            "period",
            "breakdown_name",
            "breakdown_value",
            "value",
            "numerator",
            "denominator",
            "maturity",
        ],
        order=[("period", False), ("breakdown_name", True), ("breakdown_value", True)],
        page=20,
        height=60,
        ignores=frozenset({"period"}),
    )
    return Dashboard(
        "kham-pha-chi-tieu",
        "Khám phá chỉ tiêu / KPI explorer",
        "Một chỉ tiêu theo thời gian, xã, phân tổ / One KPI over time, communes, breakdowns",
        [
            [_release("explorer")],
            [definition],
            [trend, breakdowns],
            [map_, ranking],
            [figures],
        ],
        (
            LABEL_FILTER,
            BOUNDARY_FILTER,
            KPI_FILTER,
            SERIES_FILTER,
            Filter(
                "period",
                "Kỳ (bản đồ, xếp hạng, phân tổ) / Period (map, ranking, breakdowns)",
                VALUES,
                "period",
                newest=True,
                depends_on=("data_label", "boundary", "kpi", "series"),
            ),
            Filter(
                "unit",
                "Đơn vị (diễn biến, phân tổ) / Unit (time series, breakdowns)",
                UNITS,
                "unit",
                default=WHOLE,
            ),
        ),
        {},
    )


def _quality() -> Dashboard:
    on_time = "received_on is not null and coalesce(days_late, 0) <= 0"
    numbers = [
        _number(f"quality_{name}", title, QUALITY, count(title, where))
        for name, title, where in (
            ("expected", "Lô phải có / Batches expected", "true"),
            ("received", "✓ Đã nhận / Received", "received_on is not null"),
            ("on_time", "✓ Đúng hạn / On time", on_time),
            ("late", "! Nhận trễ / Received late", "days_late > 0"),
            ("held", "✕ Không dùng / Not usable", "status_code <> 'accepted'"),
        )
    ]
    quarantined = "Dòng cách ly / Rows quarantined"
    numbers.append(
        _number(
            "quality_rows_quarantined",
            quarantined,
            QUALITY,
            metric(quarantined, "coalesce(sum(rows_quarantined), 0)"),
        )
    )
    shares = "Đúng hạn / On time", "Tỷ lệ cách ly / Share quarantined"
    timeliness = charts.totals(
        "quality_timeliness",
        "Tiến độ theo nguồn / Timeliness by source",
        QUALITY,
        ["source"],
        [
            count("Phải có / Expected"),
            count("Đã nhận / Received", "received_on is not null"),
            metric(
                shares[0],
                f"count(*) filter (where {on_time}) / nullif(count(*), 0)::numeric",
            ),
            metric("Trễ TB (ngày) / Mean days late", "round(avg(greatest(days_late, 0)), 1)"),
            metric("Trễ nhất / Latest (days)", "max(days_late)"),
            metric("Dòng đọc / Rows read", "sum(rows_read)"),
            metric("Cách ly / Quarantined", "sum(rows_quarantined)"),
            metric(shares[1], "sum(rows_quarantined) / nullif(sum(rows_read), 0)"),
        ],
        percent=shares,
        height=70,
    )
    rows = charts.bars(
        "quality_rows",
        "Dòng nhận và cách ly theo kỳ / Rows received and quarantined by period",
        QUALITY,
        "period",
        [
            metric("Dòng nạp / Loaded", "sum(rows_loaded)"),
            metric("Dòng cách ly / Quarantined", "sum(rows_quarantined)"),
        ],
        where="period ~ '^[0-9]{4}-[0-9]{2}$'",
        stacked=True,
        number=charts.WHOLE,
        width=12,
        height=52,
    )
    quarantine = charts.heatmap(
        "quality_quarantine",
        "Dòng cách ly theo nguồn và kỳ / Rows quarantined by source and period",
        QUALITY,
        "period",
        "source_lines",
        metric("Dòng cách ly / Rows quarantined", "sum(rows_quarantined)"),
        number=charts.WHOLE,
        width=12,
        height=76,
    )
    rules = charts.bars(
        "quality_rules",
        "Quy tắc không đạt theo nguồn / Rules failed by source",
        QUALITY,
        "source_lines",
        [metric("Quy tắc không đạt / Rules failed", "sum(rules_failed)")],
        horizontal=True,
        number=charts.WHOLE,
        width=12,
        height=64,
    )
    datasets = charts.totals(
        "quality_rules_datasets",
        "Quy tắc theo bộ dữ liệu / Rules by dataset",
        QUALITY,
        ["dataset"],
        [
            metric("Đã chạy / Run", "sum(rules_run)"),
            metric("Không đạt / Failed", "sum(rules_failed)"),
            metric("Cách ly / Quarantined", "sum(rows_quarantined)"),
        ],
        width=12,
        height=60,
    )
    attention = charts.table(
        "quality_attention",
        "Lô cần chú ý: bị giữ, thiếu, trễ, có dòng cách ly / Batches that need attention",
        QUALITY,
        [
            "status",
            "timeliness",
            "source",
            "dataset",
            "period",
            "expected_on",
            "received_on",
            "days_late",
            "rows_read",
            "rows_quarantined",
            "rules_failed",
            "serving_period",
            "batch_id",
        ],
        order=[("status_code", False), ("rows_quarantined", False), ("dataset", True)],
        where="status_code <> 'accepted' or days_late > 0 or rows_quarantined > 0",
        tones={"status": STATUS_TONES, "timeliness": STATUS_TONES},
        widths={"source": 150, "dataset": 170, "status": 90, "timeliness": 80, "period": 75},
        page=20,
        search=True,
        height=100,
    )
    return Dashboard(
        "chat-luong-du-lieu",
        "Chất lượng dữ liệu / Data quality",
        "Cho kiểm toán: nhận đúng hạn, dòng cách ly, quy tắc / For auditors: timeliness, "
        "quarantine, rules",
        [
            [_release("quality")],
            numbers,
            [timeliness],
            [rows],
            [quarantine],
            [rules],
            [datasets],
            [attention],
        ],
        (Filter("data_label", "Nhãn dữ liệu / Data label", QUALITY, "data_label"),),
        {"Dòng nạp / Loaded": BLUE, "Dòng cách ly / Quarantined": RED},
    )


DASHBOARDS = (_scorecard(), _explorer(), _quality())
assert set(LABELS) == set(words.LABELS), "a data label without words"
