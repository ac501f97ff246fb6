"""The KPI explorer: one KPI over time, over the communes and by its breakdowns."""

from __future__ import annotations

from loaders.bi import charts
from loaders.bi.datasets import PERIODS, SCORECARD, UNITS, VALUES
from loaders.bi.model import Dashboard, Filter
from loaders.bi.parts import (
    BOUNDARY_FILTER,
    COMMUNES,
    KPI_FILTER,
    LABEL_FILTER,
    SERIES_FILTER,
    VALUE,
    VERDICT_TONES,
    release_table,
    trend,
)
from loaders.bi.texts import WHOLE


def explorer() -> Dashboard:
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
    trend_chart = trend(
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
        "Số liệu của đơn vị trong kỳ / The unit's figures of the period",
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
    )
    return Dashboard(
        "kham-pha-chi-tieu",
        "Khám phá chỉ tiêu / KPI explorer",
        "Một chỉ tiêu theo thời gian, xã, phân tổ / One KPI over time, communes, breakdowns",
        [
            [release_table("explorer")],
            [definition],
            [trend_chart, breakdowns],
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
                PERIODS,
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
