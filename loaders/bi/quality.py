"""Data quality for auditors: timeliness, quarantine, rules, what needs attention."""

from __future__ import annotations

from loaders.bi import charts
from loaders.bi.model import Dashboard, Filter, count, metric
from loaders.bi.parts import BLUE, RED, STATUS_TONES, number, release_table
from loaders.bi.work import QUALITY


def quality() -> Dashboard:
    on_time = "received_on is not null and coalesce(days_late, 0) <= 0"
    numbers = [
        number(f"quality_{name}", title, QUALITY, count(title, where))
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
        number(
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
        "source_short",
        metric("Dòng cách ly / Rows quarantined", "sum(rows_quarantined)"),
        number=charts.WHOLE,
        width=12,
        height=76,
    )
    rules = charts.bars(
        "quality_rules",
        "Quy tắc không đạt theo nguồn / Rules failed by source",
        QUALITY,
        "source_short",
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
        order=[("status_code", False), ("expected_on", False), ("dataset", True)],
        where="status_code <> 'accepted' or days_late > 0 or rows_quarantined > 0",
        tones={"status": STATUS_TONES, "timeliness": STATUS_TONES},
        widths={"source": 150, "dataset": 170, "status": 90, "timeliness": 80, "period": 75},
        page=20,
        search=True,
        limit=300,
        height=100,
    )
    return Dashboard(
        "chat-luong-du-lieu",
        "Chất lượng dữ liệu / Data quality",
        "Cho kiểm toán: nhận đúng hạn, dòng cách ly, quy tắc / For auditors: timeliness, "
        "quarantine, rules",
        [
            [release_table("quality")],
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
