-- A batch can be judged more than once: each run of the gate is told apart, the rows that an earlier
-- judgement had refused are kept, and rows that come back into raw are in a ledger.

alter table audit.rule_result add column gate_run uuid;
comment on column audit.rule_result.gate_run is
'One run of the gate; details.gate_run of its batch result, or payload of the release gate''s event.';

-- Rows are moved here, unchanged, when their batch is loaded again after it was judged.
create table quarantine.earlier_row (
    like quarantine.row including defaults,
    result_id bigint not null references audit.batch_result
);
create index earlier_row_result_idx on quarantine.earlier_row (result_id, row_number);
create index earlier_row_batch_idx on quarantine.earlier_row (batch_id);
comment on table quarantine.earlier_row is
'What an earlier judgement of the same batch had refused; result_id is that judgement.';

create view quarantine.judged_row as
select
    refused.*,
    judged.id as result_id
from quarantine.row as refused
inner join (
    -- Loaded and not judged yet: the rows belong to no judgement.
    select distinct on (result.batch_id)
        result.batch_id,
        result.id,
        result.stage
    from audit.batch_result as result
    where (result.stage, result.status) in (
        ('load', 'loaded'), ('gate', 'accepted'), ('gate', 'held')
    )
    order by result.batch_id, result.id desc
) as judged on refused.batch_id = judged.batch_id
where judged.stage = 'gate'
union all
select * from quarantine.earlier_row;
comment on view quarantine.judged_row is
'The refused rows of every judgement: result_id is the gate''s audit.batch_result.';

create table audit.readmission (
    id bigint generated always as identity primary key,
    gate_run uuid not null,
    batch_id text not null,
    from_batch_id text not null,
    from_result_id bigint not null references audit.batch_result,
    source text not null,
    dataset text not null,
    period text not null,
    how text not null check (how in ('correction', 'restatement', 'rule_change')),
    rules_changed boolean not null,
    rows_quarantined_before bigint not null check (rows_quarantined_before > 0),
    rows_quarantined_now bigint not null,
    rows_readmitted bigint,
    rows_still_quarantined bigint,
    rows_sha256 text,
    run_id text,
    at timestamptz not null default clock_timestamp(),
    unique (gate_run, from_result_id),
    check ((how = 'rule_change') = (batch_id = from_batch_id)),
    check (
        case
            when how = 'restatement'
                then num_nonnulls(rows_readmitted, rows_still_quarantined, rows_sha256) = 0
            else
                rows_sha256 is not null
                and rows_readmitted + rows_still_quarantined <= rows_quarantined_before
        end
    )
);
create index readmission_period_idx on audit.readmission (source, dataset, period);
create index readmission_from_idx on audit.readmission (from_batch_id);
comment on table audit.readmission is
'What became of an earlier judgement''s quarantined rows when a batch of the month was accepted.';
comment on column audit.readmission.from_result_id is
'The earlier judgement: audit.batch_result of the gate.';
comment on column audit.readmission.how is
'correction: same file with other corrections; rule_change: same batch; restatement: another file.';
comment on column audit.readmission.rules_changed is
'Suite, contract or contract rules differ from those of the earlier judgement.';
comment on column audit.readmission.rows_readmitted is
'Rows that were in quarantine and are in raw; NULL for another file, whose rows are not comparable.';
comment on column audit.readmission.rows_still_quarantined is
'Of the rows before; those that are neither back nor still there were deleted by a correction.';
comment on column audit.readmission.rows_sha256 is
'Over its rows of audit.readmitted_row, as text of their JSON in order of row_number, by newline.';

create table audit.readmitted_row (
    gate_run uuid not null,
    from_result_id bigint not null,
    row_number bigint not null,
    sheet text,
    rules_broken text [] not null,
    primary key (gate_run, from_result_id, row_number),
    foreign key (gate_run, from_result_id) references audit.readmission (gate_run, from_result_id)
    deferrable initially deferred
);
comment on table audit.readmitted_row is
'A row of the file that came back from quarantine, and the rules that it had broken.';

do $$
declare
    table_name text;
begin
    foreach table_name in array array[
        'audit.readmission', 'audit.readmitted_row', 'quarantine.earlier_row'
    ]
    loop
        execute format(
            'create trigger append_only before update or delete or truncate on %s '
            'for each statement execute function audit.refuse_change()',
            table_name
        );
        execute format('alter table %s enable always trigger append_only', table_name);
    end loop;
end;
$$;

-- Which acceptance it is, and whether its rows are those of the acceptance before.
create or replace view audit.batch_accepted as
select distinct on (result.source, result.dataset, result.period)
    result.source,
    result.dataset,
    result.period,
    result.batch_id,
    receipt.data_label,
    result.rows_loaded,
    result.rows_quarantined,
    result.at,
    result.id as result_id,
    coalesce(result.details ->> 'rows_id', result.batch_id) as rows_id
from audit.batch_result as result
inner join audit.receipt as receipt on result.batch_id = receipt.batch_id
where result.stage = 'gate' and result.status = 'accepted'
order by result.source, result.dataset, result.period, result.id desc;
comment on column audit.batch_accepted.rows_id is
'The same as long as the rows in raw are the same: the batch, until another judgement changes them.';

grant select on audit.readmission, audit.readmitted_row
to nq42_loader, nq42_transformer, nq42_publisher, nq42_auditor;
grant insert on audit.readmission, audit.readmitted_row to nq42_loader;
grant select, insert on quarantine.earlier_row to nq42_loader;
grant select on quarantine.judged_row to nq42_loader;
grant select on quarantine.earlier_row, quarantine.judged_row to nq42_publisher, nq42_auditor;
