-- Schemas, roles and who may do what.
--
-- Roles belong to the whole server, schemas to one database: several databases on a server share
-- the roles, so creating them must tolerate that they exist.

do $$
declare
    role_name text;
begin
    foreach role_name in array array[
        'nq42_loader', 'nq42_transformer', 'nq42_publisher', 'nq42_bi', 'nq42_auditor'
    ]
    loop
        begin
            if not exists (select from pg_roles where rolname = role_name) then
                execute format('create role %I nologin', role_name);
            end if;
        exception
            when duplicate_object or unique_violation then null;  -- another database was first
        end;
        -- 'MEMBER' is not enough on 16+: only SET lets the admin login take the role.
        if not pg_has_role(
            current_user,
            role_name,
            case
                when current_setting('server_version_num')::integer >= 160000 then 'SET'
                else 'MEMBER'
            end
        ) then
            execute format('grant %I to current_user', role_name);
        end if;
    end loop;
    if not exists (
        select
        from pg_auth_members
        where
            roleid = 'nq42_transformer'::regrole
            and member = 'nq42_publisher'::regrole
    ) then
        grant nq42_transformer to nq42_publisher;
    end if;
end;
$$;

do $$
begin
    execute format('revoke all on database %I from public', current_database());
    execute format(
        'grant connect, temporary on database %I to nq42_loader, nq42_transformer, nq42_publisher',
        current_database()
    );
    execute format('grant connect on database %I to nq42_bi, nq42_auditor', current_database());
    -- A dashboard must not occupy the server, and has nothing to write.
    execute format(
        'alter role nq42_bi in database %I set statement_timeout = ''30s''', current_database()
    );
    execute format(
        'alter role nq42_bi in database %I set default_transaction_read_only = on',
        current_database()
    );
end;
$$;

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
