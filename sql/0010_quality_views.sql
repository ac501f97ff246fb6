-- Quality as tables: what the quality report prints and what an auditor or a BI tool may query. Each
-- column carries its meaning, Vietnamese / English. Not for nq42_bi: reasons and values of single
-- rows are the auditor's.

create view audit.quality_timeliness as
with
schedule as (
    select distinct on (source, dataset) *
    from audit.delivery_schedule
    order by source, dataset, id desc
),
dated as (
    select
        current_result.*,
        accepted.batch_id as accepted_batch_id,
        audit.period_end(current_result.period) as ends_on
    from audit.batch_current as current_result
    left join audit.batch_accepted as accepted using (source, dataset, period)
),
served as (
    select
        *,
        -- Without good data of its own a period is served by the last one before it that has some.
        max(ends_on) filter (where accepted_batch_id is not null) over (
            partition by source, dataset order by ends_on asc
        ) as served_ends_on
    from dated
),
received as (
    select
        served.*,
        receipt.data_label,
        receipt.maturity,
        receipt.file_name,
        receipt.landed_at as received_at,
        (receipt.landed_at at time zone 'Asia/Ho_Chi_Minh')::date as received_on,
        schedule.title_vi,
        schedule.title_en,
        served.ends_on + schedule.due_day as expected_on
    from served
    left join audit.receipt as receipt on served.batch_id = receipt.batch_id
    left join schedule
        on served.source = schedule.source and served.dataset = schedule.dataset
)
select
    received.source,
    received.dataset,
    received.title_vi,
    received.title_en,
    received.period,
    received.ends_on,
    received.data_label,
    received.maturity,
    received.batch_id,
    received.file_name,
    received.status,
    received.reason,
    received.expected_on,
    received.received_at,
    received.received_on is not null as is_received,
    received.received_on <= received.expected_on as is_on_time,
    -- greatest() passes over a null, but nothing received is not the same as in time.
    case
        when received.received_on - received.expected_on is not null
            then greatest(received.received_on - received.expected_on, 0)
    end as days_late,
    serving.accepted_batch_id as served_batch_id,
    serving.period as served_period,
    received.ends_on - received.served_ends_on as served_age_days
from received
left join dated as serving
    on
        received.source = serving.source
        and received.dataset = serving.dataset
        and received.served_ends_on = serving.ends_on;
comment on view audit.quality_timeliness is
'Tính kịp thời: mỗi dòng một bộ dữ liệu và một kỳ / Timeliness: one row per dataset and period.';
comment on column audit.quality_timeliness.maturity is 'provisional: sơ bộ, final: chính thức / Provisional or final';
comment on column audit.quality_timeliness.reason is
'Lý do bị giữ, bị từ chối hoặc thiếu / Why it is held, refused or missing';
comment on column audit.quality_timeliness.expected_on is 'Hạn nhận theo hợp đồng / Day on which it is due by the contract';
comment on column audit.quality_timeliness.received_at is 'Lúc nhận tệp / When the file arrived';
comment on column audit.quality_timeliness.is_received is 'Đã nhận tệp / Whether a file arrived';
comment on column audit.quality_timeliness.is_on_time is
'Đúng hạn; trống khi chưa nhận / Whether it arrived in time; null when nothing did';
comment on column audit.quality_timeliness.days_late is
'Số ngày trễ; trống khi chưa nhận / Days after the due day; null when nothing arrived';
comment on column audit.quality_timeliness.served_batch_id is
'Lô đang được dùng cho kỳ này / Batch whose rows serve this period';
comment on column audit.quality_timeliness.served_period is 'Kỳ của lô đang được dùng / Period of that batch';
comment on column audit.quality_timeliness.served_age_days is
'Dữ liệu đang dùng cũ hơn cuối kỳ bao nhiêu ngày / Days from the end of the served period to the end of this one; 0: its own data';

create view audit.quality_volumes as
with
counted as (
    select
        result.*,
        audit.period_end(result.period) as ends_on,
        accepted.batch_id as accepted_batch_id,
        accepted.rows_loaded as accepted_rows,
        receipt.data_label,
        receipt.file_name,
        receipt.sha256
    from audit.batch_current as result
    left join audit.batch_accepted as accepted using (source, dataset, period)
    left join audit.receipt as receipt on result.batch_id = receipt.batch_id
),
dated as (
    select
        *,
        max(ends_on) filter (where accepted_batch_id is not null) over (
            partition by source, dataset
            order by ends_on asc
            rows between unbounded preceding and 1 preceding
        ) as before_ends_on
    from counted
)
select
    dated.source,
    dated.dataset,
    dated.period,
    dated.ends_on,
    dated.data_label,
    dated.batch_id,
    dated.file_name,
    dated.sha256,
    dated.status,
    dated.rows_read,
    dated.rows_loaded,
    dated.rows_quarantined,
    case
        when dated.status = 'accepted'
            then dated.rows_read = dated.rows_loaded + dated.rows_quarantined
    end as is_whole,
    round(100.0 * dated.rows_quarantined / nullif(dated.rows_read, 0), 4) as quarantined_pct,
    earlier.accepted_rows as rows_loaded_before,
    case
        when dated.status = 'accepted'
            then round(
                100.0 * (dated.rows_loaded - earlier.accepted_rows)
                / nullif(earlier.accepted_rows, 0),
                4
            )
    end as change_pct
from dated
left join counted as earlier
    on
        dated.source = earlier.source
        and dated.dataset = earlier.dataset
        and dated.before_ends_on = earlier.ends_on;
comment on view audit.quality_volumes is
'Số dòng của lô mới nhất: mỗi dòng một bộ dữ liệu và một kỳ / Rows of the latest batch: one row per dataset and period.';
comment on column audit.quality_volumes.rows_read is 'Số dòng đọc được / Rows read';
comment on column audit.quality_volumes.rows_loaded is 'Số dòng đã nạp / Rows loaded into raw';
comment on column audit.quality_volumes.rows_quarantined is 'Số dòng cách ly / Rows in quarantine';
comment on column audit.quality_volumes.is_whole is
'Đọc = nạp + cách ly; chỉ xét lô đã nhận / Read = loaded + quarantined; of accepted batches only';
comment on column audit.quality_volumes.quarantined_pct is
'Tỷ lệ dòng cách ly, % / Share of the rows read that is in quarantine, percent';
comment on column audit.quality_volumes.rows_loaded_before is
'Số dòng đã nạp của kỳ gần nhất trước đó / Rows loaded of the nearest earlier period';
comment on column audit.quality_volumes.change_pct is
'Thay đổi so với kỳ đó, % / Change against that period, percent; of accepted batches only';

create view audit.quality_rules as
with
last_run as (
    -- Of the last run of the gate: a rule that has left the suite stands in an earlier one only.
    select distinct on (run.subject_kind, run.subject_id, run.suite, run.rule_id) run.*
    from (
        select
            *,
            first_value(gate_run) over (
                partition by subject_kind, subject_id order by id desc
            ) as last_gate_run
        from audit.rule_result
    ) as run
    where run.gate_run is not distinct from run.last_gate_run
    order by run.subject_kind, run.subject_id, run.suite, run.rule_id, run.id desc
),
in_use as (
    select batch_id from audit.batch_current where batch_id is not null
    union
    select batch_id from audit.batch_accepted
)
select
    last_run.subject_kind,
    last_run.subject_id,
    last_run.source,
    last_run.dataset,
    last_run.period,
    audit.period_end(last_run.period) as ends_on,
    receipt.data_label,
    in_use.batch_id is not null as is_in_use,
    last_run.suite,
    last_run.rule_id,
    last_run.rule_version,
    last_run.severity,
    last_run.dimension,
    last_run.kind,
    last_run.owner,
    last_run.description_vi,
    last_run.description_en,
    last_run.rows_scanned,
    last_run.rows_failing,
    last_run.observed,
    last_run.expected,
    last_run.result,
    last_run.at as ran_at
from last_run
left join audit.receipt as receipt
    on last_run.subject_kind = 'batch' and last_run.subject_id = receipt.batch_id
left join in_use on last_run.subject_kind = 'batch' and last_run.subject_id = in_use.batch_id;
comment on view audit.quality_rules is
'Lần chạy cuối của mỗi quy tắc: mỗi dòng một lô hoặc bản dự thảo và một quy tắc / Last run of every rule: one row per batch or candidate and rule.';
comment on column audit.quality_rules.subject_kind is
'batch: lô dữ liệu, candidate: bản dự thảo phát hành / Batch of data or candidate for release';
comment on column audit.quality_rules.subject_id is 'Mã lô hoặc mã bản dự thảo / Id of the batch or candidate';
comment on column audit.quality_rules.period is 'Kỳ dữ liệu hoặc tháng phát hành / Period of the data or month of the release';
comment on column audit.quality_rules.suite is 'Bộ quy tắc / Suite of rules';
comment on column audit.quality_rules.kind is
'row: xét từng dòng, dataset: xét cả bộ, release: xét bản phát hành / What the rule judges';
comment on column audit.quality_rules.owner is 'Nơi có thể sửa / Who can fix it';
comment on column audit.quality_rules.description_vi is 'Quy tắc bằng tiếng Việt / The rule in Vietnamese';
comment on column audit.quality_rules.description_en is 'Quy tắc bằng tiếng Anh / The rule in English';
comment on column audit.quality_rules.rows_scanned is 'Số dòng đã xét / Rows scanned';
comment on column audit.quality_rules.rows_failing is 'Số dòng không đạt / Rows failing';
comment on column audit.quality_rules.observed is 'Giá trị quan sát / What was observed';
comment on column audit.quality_rules.expected is 'Giới hạn / What was expected';
comment on column audit.quality_rules.result is
'pass: đạt, fail: không đạt, error: không chạy được / Result; a rule that did not run has not passed';
comment on column audit.quality_rules.ran_at is 'Lúc chạy / When it ran';

create view audit.quality_quarantine as
with
ranked as (
    select
        refused.*,
        row_number() over (
            partition by
                refused.batch_id, refused.rule_id, refused.rule_version, refused.column_name,
                refused.severity, refused.dimension, refused.reason_vi, refused.reason_en
            order by refused.row_number, refused.sheet
        ) as example_number
    from quarantine.row as refused
),
summed as (
    select
        batch_id,
        rule_id,
        rule_version,
        column_name,
        severity,
        dimension,
        reason_vi,
        reason_en,
        count(*) as findings,
        -- The offending value is null where the column is personal; it was never stored.
        jsonb_agg(
            jsonb_build_object(
                'sheet', sheet, 'row_number', row_number, 'value', left(offending_value, 200)
            )
            order by example_number
        ) filter (where example_number <= 3) as examples
    from ranked
    group by
        batch_id, rule_id, rule_version, column_name, severity, dimension, reason_vi, reason_en
),
in_use as (
    select batch_id from audit.batch_current where batch_id is not null
    union
    select batch_id from audit.batch_accepted
)
select
    summed.batch_id,
    receipt.source,
    receipt.dataset,
    receipt.period,
    audit.period_end(receipt.period) as ends_on,
    receipt.data_label,
    in_use.batch_id is not null as is_in_use,
    receipt.file_name,
    receipt.sha256,
    summed.rule_id,
    summed.rule_version,
    summed.severity,
    summed.dimension,
    summed.column_name,
    summed.reason_vi,
    summed.reason_en,
    summed.findings,
    summed.examples
from summed
inner join audit.receipt as receipt on summed.batch_id = receipt.batch_id
left join in_use on summed.batch_id = in_use.batch_id;
comment on view audit.quality_quarantine is
'Dòng cách ly theo lý do: mỗi dòng một lô, quy tắc, cột và lý do / Quarantine by reason: one row per batch, rule, column and reason.';
comment on column audit.quality_quarantine.column_name is 'Cột có lỗi / Offending column';
comment on column audit.quality_quarantine.reason_vi is 'Lý do bằng tiếng Việt / Reason in Vietnamese';
comment on column audit.quality_quarantine.reason_en is 'Lý do bằng tiếng Anh / Reason in English';
comment on column audit.quality_quarantine.findings is
'Số lỗi; một dòng có thể có nhiều lỗi / Findings; a row may have several';
comment on column audit.quality_quarantine.examples is
'Tối đa ba ví dụ: trang tính, số dòng (1 là dòng đầu dưới tiêu đề), giá trị; giá trị trống nếu cột có dữ liệu cá nhân / Up to three examples: sheet, row number (1 is the first below the header), value; null where the column is personal';

-- What columns of the same name mean is written once.
do $$
declare
    line record;
begin
    for line in
        select relation.relname, attribute.attname, meaning.words
        from (values
            ('source', 'Hệ thống nguồn; trống với bản dự thảo phát hành / Source system; null for candidates'),
            ('dataset', 'Bộ dữ liệu; trống với bản dự thảo phát hành / Dataset; null for candidates'),
            ('title_vi', 'Tên tiếng Việt / Title in Vietnamese'),
            ('title_en', 'Tên tiếng Anh / Title in English'),
            ('period', 'Kỳ dữ liệu: tháng, quý hoặc năm / Month, quarter or year that the data describe'),
            ('ends_on', 'Ngày cuối của kỳ / Last day of the period'),
            ('data_label', 'real: thực tế, sample: mẫu; trống khi chưa có tệp / Real or sample data; null without a file'),
            ('batch_id', 'Lô mới nhất của kỳ / Latest batch of the period'),
            ('file_name', 'Tên tệp / File name'),
            ('status', 'Kết quả mới nhất: accepted, held, refused, missing, landed, loaded / Latest outcome'),
            ('sha256', 'Mã băm sha256 của tệp / Hash of the file'),
            ('is_in_use', 'Lô mới nhất hoặc lô đang được dùng của kỳ / Whether the batch is its period''s latest or the one served'),
            ('rule_id', 'Mã quy tắc / Id of the rule'),
            ('rule_version', 'Phiên bản quy tắc / Version of the rule'),
            ('severity', 'critical: nghiêm trọng, warning: cảnh báo, info: thông tin / Severity'),
            ('dimension', 'Khía cạnh chất lượng: accuracy, completeness, uniqueness, consistency, timeliness, validity / Quality dimension')
        ) as meaning (name, words)
        inner join pg_attribute as attribute on meaning.name = attribute.attname
        inner join pg_class as relation on attribute.attrelid = relation.oid
        where
            relation.relnamespace = 'audit'::regnamespace
            and relation.relname in (
                'quality_timeliness', 'quality_volumes', 'quality_rules', 'quality_quarantine'
            )
            and col_description(relation.oid, attribute.attnum) is null
    loop
        execute format('comment on column audit.%I.%I is %L', line.relname, line.attname, line.words);
    end loop;
end;
$$;

grant select on
audit.quality_timeliness, audit.quality_volumes, audit.quality_rules, audit.quality_quarantine
to nq42_publisher, nq42_auditor;
