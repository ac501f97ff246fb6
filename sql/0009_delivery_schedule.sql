-- When each dataset is due by its contract: what timeliness is judged by.

create table audit.delivery_schedule (
    id bigint generated always as identity primary key,
    source text not null,
    dataset text not null,
    title_vi text not null,
    title_en text not null,
    frequency text not null check (frequency in ('monthly', 'quarterly', 'annual')),
    due_day integer not null check (due_day between 1 and 28),
    first_period text,
    contract_version text not null,
    at timestamptz not null default clock_timestamp()
);
create index delivery_schedule_dataset_idx on audit.delivery_schedule (source, dataset, id);
comment on table audit.delivery_schedule is
'Lịch giao dữ liệu theo hợp đồng; dòng mới nhất có hiệu lực / When each dataset is due by its contract; the newest row holds.';
comment on column audit.delivery_schedule.id is 'Số thứ tự / Sequence number';
comment on column audit.delivery_schedule.source is 'Hệ thống nguồn / Source system';
comment on column audit.delivery_schedule.dataset is 'Bộ dữ liệu / Dataset';
comment on column audit.delivery_schedule.title_vi is 'Tên tiếng Việt / Title in Vietnamese';
comment on column audit.delivery_schedule.title_en is 'Tên tiếng Anh / Title in English';
comment on column audit.delivery_schedule.frequency is 'Chu kỳ giao / How often it is due';
comment on column audit.delivery_schedule.due_day is
'Hạn: ngày của tháng sau kỳ / Due by this day of the month after the period';
comment on column audit.delivery_schedule.first_period is
'Kỳ đầu tiên phải giao; trống: mọi kỳ / First period that is due; null: every one';
comment on column audit.delivery_schedule.contract_version is 'Phiên bản hợp đồng dữ liệu / Version of the data contract';
comment on column audit.delivery_schedule.at is 'Lúc ghi / When it was recorded';

create trigger append_only before update or delete or truncate on audit.delivery_schedule
for each statement execute function audit.refuse_change();
alter table audit.delivery_schedule enable always trigger append_only;

-- The last day of a month "2025-07", a quarter "2025-Q2" or a year "2025", as loaders/periods.py.
create function audit.period_end(period text) returns date
language sql immutable as $$
    select case
        when period ~ '^\d{4}-(0[1-9]|1[0-2])$'
            then (make_date(left(period, 4)::integer, right(period, 2)::integer, 1)
                + interval '1 month' - interval '1 day')::date
        when period ~ '^\d{4}-Q[1-4]$'
            then (make_date(left(period, 4)::integer, right(period, 1)::integer * 3, 1)
                + interval '1 month' - interval '1 day')::date
        when period ~ '^\d{4}$' then make_date(period::integer, 12, 31)
    end
$$;
comment on function audit.period_end(text) is
'Ngày cuối của kỳ / Last day of a month, quarter or year; null for anything else.';

grant select, insert on audit.delivery_schedule to nq42_loader;
grant select on audit.delivery_schedule to nq42_publisher, nq42_auditor;
