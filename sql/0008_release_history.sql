-- What every release published, so that any past day can be given back byte for byte, and why each
-- figure and verdict changed.

create table publication.mart_row (
    release_seq bigint not null references publication.release deferrable initially deferred,
    mart text not null,
    content jsonb not null,
    copies integer not null check (copies <> 0)
);
create index mart_row_mart_idx on publication.mart_row (mart, release_seq);
create index mart_row_release_idx on publication.mart_row (release_seq);
comment on table publication.mart_row is
'Rows of the marts without a ledger of their own, as they came and went from release to release.';
comment on column publication.mart_row.copies is
'How many more of this row (below zero: fewer) the release holds than the one before.';

create trigger append_only before update or delete or truncate on publication.mart_row
for each statement execute function audit.refuse_change();
alter table publication.mart_row enable always trigger append_only;

alter table publication.kpi_value add column causes text[];
comment on column publication.kpi_value.causes is
'Every cause that holds, the most specific first; cause is the first of them.';
alter table publication.kpi_verdict add column causes text[];
comment on column publication.kpi_verdict.causes is
'Every cause that holds, the most specific first.';

grant select, insert on publication.mart_row to nq42_publisher;
grant select on publication.mart_row to nq42_auditor;
