-- Schemas, and who may do what in them. The roles are made by server/roles.sql, which runs first.

revoke all on schema public from public;

create schema stage;
create schema raw;
create schema quarantine;
create schema reference;
create schema staging;
create schema intermediate;
create schema kpi;
create schema candidate;
create schema marts;
create schema publication;
create schema audit;

-- loader: writes stage and raw, replaces quarantine, adds to audit; reads the unit list.
grant usage, create on schema stage, raw to nq42_loader;
grant usage on schema quarantine, audit, reference to nq42_loader;
alter default privileges for role nq42_transformer in schema reference
grant select on tables to nq42_loader;

-- transformer (dbt): reads raw and audit, owns what it builds.
grant usage on schema raw, audit to nq42_transformer;
alter default privileges for role nq42_loader in schema raw
grant select on tables to nq42_transformer;
grant usage, create on schema reference, staging, intermediate, kpi, candidate to nq42_transformer;

-- publisher: everything of the transformer, moves candidates to marts, writes the ledger and the
-- report (which quotes quarantine).
grant usage, create on schema marts to nq42_publisher;
grant usage on schema publication, audit, quarantine to nq42_publisher;

-- bi: published marts, nothing else.
grant usage on schema marts to nq42_bi;
alter default privileges for role nq42_publisher in schema marts
grant select on tables to nq42_bi;
alter default privileges for role nq42_transformer in schema marts
grant select on tables to nq42_bi;

-- auditor: reads what happened, not the rows of people.
grant usage on schema audit, publication, quarantine to nq42_auditor;
