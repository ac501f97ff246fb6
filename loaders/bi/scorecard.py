"""The province's scorecard: every KPI of the programme, and the tasks that are late."""

from __future__ import annotations

from loaders.bi import charts
from loaders.bi.datasets import SCORECARD
from loaders.bi.model import Dashboard, count, metric
from loaders.bi.parts import (
    BOUNDARY_FILTER,
    KPI_FILTER,
    LABEL_FILTER,
    OUTLOOK_COLOURS,
    OUTLOOK_TONES,
    RED,
    SERIES_FILTER,
    VERDICT_TONES,
    WHOLE_ONLY,
    number,
    release_table,
    trend,
)
from loaders.bi.texts import OUTLOOKS
from loaders.bi.work import TASKS


def scorecard() -> Dashboard:
    only_kpis = frozenset({"kpi", "series"})
    numbers = [
        number(
            f"scorecard_{code}",
            text,
            SCORECARD,
            count(text, f"outlook_code = {code!r}"),
            ignores=only_kpis,
        )
        for code, text in OUTLOOKS.items()
    ]
    late = number(
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
        "kpi_group",
        [count("Số chỉ tiêu / KPIs")],
        by=["outlook"],
        stacked=True,
        horizontal=True,
        number=charts.WHOLE,
        width=7,
        height=64,
        ignores=only_kpis,
    )
    trend_chart = trend(
        "scorecard_trend",
        "Diễn biến của chỉ tiêu đã chọn / Trend of the chosen KPI",
        WHOLE_ONLY,
        width=5,
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
            [release_table("scorecard")],
            [*numbers, late],
            [groups, trend_chart],
            [everything],
            [tasks],
        ],
        (LABEL_FILTER, BOUNDARY_FILTER, KPI_FILTER, SERIES_FILTER),
        OUTLOOK_COLOURS,
    )
