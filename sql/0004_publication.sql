-- The ledger of releases, append-only: each release adds only what differs from the one before.
-- What held at release n is, per key, the row with the greatest release_seq <= n, unless withdrawn.

create table publication.release (
    release_seq bigint primary key,
    release_id text not null unique,
    period text not null,
    candidate_id text not null unique,
    published_at timestamptz not null,
    code_version text not null,
    data_labels text[] not null,
    manifest jsonb not null,
    chain_head text not null,
    run_id text
);
comment on table publication.release is
'One row per release; chain_head is the head of audit.event just before it.';

create table publication.kpi_value (
    release_seq bigint not null references publication.release deferrable initially deferred,
    kpi_id text not null,
    data_label text not null,
    series text not null,
    period text not null,
    boundary text not null,
    unit_level text not null,
    unit_code text not null,
    unit_id text,
    breakdown text not null,
    breakdown_value text not null,
    numerator numeric,
    denominator numeric,
    value numeric,
    contributors bigint,
    denominator_id text,
    denominator_vintage text,
    maturity text,
    is_suppressed boolean,
    caveat_vi text,
    caveat_en text,
    change text not null check (change in ('new', 'revised', 'withdrawn')),
    cause text not null
);
create unique index kpi_value_key_idx on publication.kpi_value (
    kpi_id, data_label, series, period, boundary, unit_code, breakdown, breakdown_value,
    release_seq desc
);
create index kpi_value_release_idx on publication.kpi_value (release_seq);
comment on table publication.kpi_value is
'Rows of marts.fct_kpi_value that differ from the release before; withdrawn rows carry no figures.';

create table publication.kpi_verdict (
    release_seq bigint not null references publication.release deferrable initially deferred,
    kpi_id text not null,
    data_label text not null,
    series text not null,
    boundary text not null,
    unit_level text not null,
    unit_code text not null,
    unit_id text not null,
    base_period text,
    base_value numeric,
    base_year numeric,
    period text,
    current_value numeric,
    current_year numeric,
    target_id text,
    target_year numeric,
    target_value numeric,
    operator text,
    direction_sign integer,
    natural_limit numeric,
    method_id text,
    method_vintage text,
    ratio numeric,
    score numeric,
    verdict text,
    reason_vi text,
    reason_en text,
    straight_line_expected numeric,
    straight_line_verdict text,
    projected_target_year_value numeric,
    projected_achievement_year numeric,
    is_achieved boolean,
    is_achieved_but_worsening boolean,
    is_deadline_passed boolean,
    change text not null check (change in ('new', 'revised', 'withdrawn'))
);
create unique index kpi_verdict_key_idx on publication.kpi_verdict (
    kpi_id, data_label, series, boundary, unit_code, unit_id, release_seq desc
);
create index kpi_verdict_release_idx on publication.kpi_verdict (release_seq);
comment on table publication.kpi_verdict is
'Rows of marts.fct_kpi_verdict that differ from the release before.';

do $$
declare
    table_name text;
begin
    foreach table_name in array array['release', 'kpi_value', 'kpi_verdict']
    loop
        execute format(
            'create trigger append_only before update or delete or truncate on publication.%I '
            'for each statement execute function audit.refuse_change()',
            table_name
        );
        execute format('alter table publication.%I enable always trigger append_only', table_name);
    end loop;
end;
$$;

grant select, insert on all tables in schema publication to nq42_publisher;
grant select on all tables in schema publication to nq42_auditor;
