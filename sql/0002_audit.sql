-- What happened, append-only. audit.event is a sha256 chain (loaders/audit.py computes it).

create function audit.refuse_change() returns trigger
language plpgsql as $$
begin
    raise exception '%.% is append-only: % is refused', tg_table_schema, tg_table_name, tg_op
        using
            errcode = 'insufficient_privilege',
            hint = 'Record a correction as a new row.';
end;
$$;

create table audit.event (
    seq bigint primary key,
    at timestamptz not null,
    kind text not null,
    payload jsonb not null,
    prev_hash text not null,
    hash text not null unique
);
create index event_kind_idx on audit.event (kind, seq);
comment on table audit.event is
'Hash chain of everything that happened; hash = sha256 over the event and prev_hash.';

-- A session that writes without the library can still only continue the chain, never fork it.
create function audit.check_chain() returns trigger
language plpgsql as $$
declare
    head record;
begin
    select seq, hash into head from audit.event order by seq desc limit 1;
    if new.seq <> coalesce(head.seq, 0) + 1
        or new.prev_hash <> coalesce(head.hash, repeat('0', 64)) then
        raise exception 'audit.event %: does not continue the chain', new.seq
            using errcode = 'check_violation';
    end if;
    return new;
end;
$$;
create trigger continue_chain before insert on audit.event
for each row execute function audit.check_chain();

create table audit.receipt (
    batch_id text primary key,
    source text not null,
    dataset text not null,
    period text not null,
    file_name text not null,
    landing_path text not null,
    sha256 text not null,
    size_bytes bigint not null,
    data_label text not null check (data_label in ('real', 'sample')),
    maturity text not null check (maturity in ('provisional', 'final')),
    contract_version text,
    contract_hash text,
    code_version text,
    run_id text,
    landed_at timestamptz not null default clock_timestamp(),
    control_totals jsonb
);
create index receipt_period_idx on audit.receipt (source, dataset, period);
comment on table audit.receipt is 'One row per landed file; landing_path is relative.';

create table audit.batch_result (
    id bigint generated always as identity primary key,
    batch_id text,
    source text not null,
    dataset text not null,
    period text not null,
    stage text not null,
    status text not null,
    rows_read bigint,
    rows_loaded bigint,
    rows_quarantined bigint,
    reason text,
    details jsonb,
    run_id text,
    seconds double precision,
    at timestamptz not null default clock_timestamp(),
    check (
        (stage, status) in (
            ('land', 'landed'), ('land', 'unchanged'), ('land', 'missing'), ('land', 'refused'),
            ('load', 'loaded'), ('load', 'refused'), ('load', 'unchanged'),
            ('gate', 'accepted'), ('gate', 'held'), ('gate', 'unchanged')
        )
    ),
    check (batch_id is not null or status in ('missing', 'refused'))
);
create index batch_result_period_idx on audit.batch_result (source, dataset, period, id);
create index batch_result_batch_idx on audit.batch_result (batch_id);
comment on table audit.batch_result is 'The outcome of every land, load and intake gate.';

create table audit.rule_result (
    id bigint generated always as identity primary key,
    subject_kind text not null check (subject_kind in ('batch', 'candidate')),
    subject_id text not null,
    source text,
    dataset text,
    period text,
    suite text,
    rule_id text not null,
    rule_version integer not null,
    severity text not null check (severity in ('critical', 'warning', 'info')),
    dimension text,
    kind text not null check (kind in ('row', 'dataset', 'release')),
    owner text,
    description_vi text,
    description_en text,
    rows_scanned bigint,
    rows_failing bigint,
    observed text,
    expected text,
    result text not null check (result in ('pass', 'fail', 'error')),
    run_id text,
    at timestamptz not null default clock_timestamp()
);
create index rule_result_subject_idx on audit.rule_result (subject_kind, subject_id);
comment on table audit.rule_result is 'One row per rule that ran: proof that it ran, and its figures.';

create table audit.kpi_build (
    id bigint generated always as identity primary key,
    period text not null,
    fingerprint text not null,
    candidate_id text not null,
    at timestamptz not null default clock_timestamp()
);
create index kpi_build_period_idx on audit.kpi_build (period, id);
comment on table audit.kpi_build is 'From which inputs each month was last computed.';

-- ENABLE ALWAYS: also for the owner, and with session_replication_role = replica.
do $$
declare
    table_name text;
begin
    foreach table_name in array array['event', 'receipt', 'batch_result', 'rule_result', 'kpi_build']
    loop
        execute format(
            'create trigger append_only before update or delete or truncate on audit.%I '
            'for each statement execute function audit.refuse_change()',
            table_name
        );
        execute format('alter table audit.%I enable always trigger append_only', table_name);
    end loop;
end;
$$;
alter table audit.event enable always trigger continue_chain;

-- 'unchanged' says that nothing happened, so it must not hide the result that still holds.
create view audit.batch_current as
select distinct on (result.source, result.dataset, result.period)
    result.source,
    result.dataset,
    result.period,
    result.batch_id,
    result.stage,
    result.status,
    coalesce(result.rows_read, loaded.rows_read) as rows_read,
    result.rows_loaded,
    coalesce(result.rows_quarantined, loaded.rows_quarantined) as rows_quarantined,
    result.reason,
    result.details,
    result.run_id,
    result.seconds,
    result.at
from audit.batch_result as result
left join lateral (
    select
        earlier.rows_read,
        earlier.rows_quarantined
    from audit.batch_result as earlier
    where earlier.batch_id = result.batch_id and earlier.stage = 'load' and earlier.status = 'loaded'
    order by earlier.id desc
    limit 1
) as loaded on true
where result.status <> 'unchanged'
order by result.source, result.dataset, result.period, result.id desc;
comment on view audit.batch_current is 'Latest result of each source, dataset and period.';

create view audit.batch_accepted as
select distinct on (result.source, result.dataset, result.period)
    result.source,
    result.dataset,
    result.period,
    result.batch_id,
    receipt.data_label,
    result.rows_loaded,
    result.rows_quarantined,
    result.at
from audit.batch_result as result
inner join audit.receipt as receipt on result.batch_id = receipt.batch_id
where result.stage = 'gate' and result.status = 'accepted'
order by result.source, result.dataset, result.period, result.id desc;
comment on view audit.batch_accepted is
'The batch whose rows are in raw now, of each source, dataset and period.';

grant select on all tables in schema audit to nq42_loader, nq42_transformer, nq42_publisher;
grant select on all tables in schema audit to nq42_auditor;
grant insert on audit.event, audit.rule_result to nq42_loader, nq42_publisher;
grant insert on audit.receipt, audit.batch_result to nq42_loader;
grant insert on audit.kpi_build to nq42_publisher;
