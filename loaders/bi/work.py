"""The queries behind the charts, continued: how the work goes, of tasks and of deliveries."""

from __future__ import annotations

from loaders.bi.datasets import dataset
from loaders.bi.texts import (
    LABELS,
    TASK_STATUSES,
    dataset_titles,
    short_source_titles,
    source_titles,
    spoken,
    status_texts,
)

TASKS = dataset(
    "tasks",
    "Nhiệm vụ và cơ quan thực hiện / Tasks and the agencies that carry them out",
    f"""
    select
        {spoken("f.data_label", LABELS)} as data_label,
        f.task_id,
        t.name_vi || ' / ' || t.name_en as task,
        f.responsible_vi || coalesce(' / ' || f.responsible_en, '') as agency,
        f.due_on,
        f.report_period,
        {spoken("f.task_status", TASK_STATUSES)} as task_status,
        f.percent_done,
        f.is_late,
        f.kpis_behind
    from marts.fct_task_progress as f
    inner join marts.dim_task as t on f.task_id = t.task_id
    """,
    (
        ("data_label", "Nhãn dữ liệu / Data label"),
        ("task_id", "Mã / Id"),
        ("task", "Nhiệm vụ / Task"),
        ("agency", "Cơ quan / Agency"),
        ("due_on", "Hạn / Due", "DATE"),
        ("report_period", "Kỳ báo cáo / Reported for"),
        ("task_status", "Tình trạng / Status"),
        ("percent_done", "% hoàn thành / % done", "NUMERIC"),
        ("is_late", "Trễ / Late", "BOOLEAN"),
        ("kpis_behind", "Chỉ tiêu chậm / KPIs behind", "NUMERIC"),
    ),
)

#: What auditors look back on; more columns of periods could not be read either.
QUALITY_MONTHS = 24
QUALITY = dataset(
    "data_quality",
    "Mỗi bộ dữ liệu và kỳ một dòng, hai năm gần nhất / One row per dataset and period, two years",
    f"""
    select
        {spoken("q.data_label", LABELS)} as data_label,
        {spoken("q.source", source_titles())} as source,
        {spoken("q.source", short_source_titles())} as source_short,
        {spoken("q.source || '.' || q.dataset", dataset_titles())} as dataset,
        q.period,
        q.batch_id,
        q.file_name,
        {spoken("q.status", status_texts())} as status,
        q.status as status_code,
        q.rows_read,
        q.rows_loaded,
        q.rows_quarantined,
        q.expected_on,
        (q.received_at at time zone 'Asia/Ho_Chi_Minh')::date as received_on,
        q.days_late,
        case
            when q.received_at is null then '✕ Chưa nhận / Not received'
            when coalesce(q.days_late, 0) > 0 then '! Trễ / Late'
            else '✓ Đúng hạn / On time'
        end as timeliness,
        q.rules_run,
        q.rules_failed,
        q.serving_period,
        q.serving_age_days
    from marts.fct_data_quality as q
    where q.expected_on is null or q.expected_on > (
        select to_date(n.as_of_period, 'YYYY-MM') - interval '{QUALITY_MONTHS} months'
        from marts.release_note as n
    )
    """,
    (
        ("data_label", "Nhãn dữ liệu / Data label"),
        ("source", "Nguồn / Source"),
        ("source_short", "Nguồn, viết gọn / Source, short"),
        ("dataset", "Bộ dữ liệu / Dataset"),
        ("period", "Kỳ / Period"),
        ("batch_id", "Mã lô / Batch"),
        ("file_name", "Tệp / File"),
        ("status", "Trạng thái / Status"),
        ("status_code", "Mã trạng thái / Status code"),
        ("rows_read", "Dòng đọc / Rows read", "NUMERIC"),
        ("rows_loaded", "Dòng nạp / Rows loaded", "NUMERIC"),
        ("rows_quarantined", "Dòng cách ly / Rows quarantined", "NUMERIC"),
        ("expected_on", "Hạn / Expected", "DATE"),
        ("received_on", "Nhận / Received", "DATE"),
        ("days_late", "Trễ (ngày) / Days late", "NUMERIC"),
        ("timeliness", "Đúng hạn? / On time?"),
        ("rules_run", "Quy tắc đã chạy / Rules run", "NUMERIC"),
        ("rules_failed", "Quy tắc không đạt / Rules failed", "NUMERIC"),
        ("serving_period", "Kỳ đang dùng / Period in use"),
        ("serving_age_days", "Tuổi số liệu (ngày) / Age (days)", "NUMERIC"),
    ),
)
