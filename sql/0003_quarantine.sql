-- Every row that a row rule refused. Replaced per batch by the loader, so not append-only; the
-- counts in audit.batch_result stay.

create table quarantine.row (
    batch_id text not null,
    source text not null,
    dataset text not null,
    period text not null,
    file_sha256 text not null,
    sheet text,
    row_number bigint not null,
    column_name text,
    rule_id text not null,
    rule_version integer not null,
    severity text not null,
    dimension text,
    reason_vi text not null,
    reason_en text not null,
    offending_value text,
    row_data jsonb,
    at timestamptz not null default clock_timestamp()
);
create index row_batch_idx on quarantine.row (batch_id, row_number);
create index row_period_idx on quarantine.row (source, dataset, period);
comment on table quarantine.row is 'Every row that a row rule refused, with the reason.';
comment on column quarantine.row.offending_value is 'NULL where the column is personal.';
comment on column quarantine.row.row_data is 'The columns that are not personal.';

grant select, insert, delete on quarantine.row to nq42_loader;
grant select on quarantine.row to nq42_publisher, nq42_auditor;
