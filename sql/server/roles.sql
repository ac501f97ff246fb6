-- What belongs to the server or the database as a whole, and so is neither copied with a database nor
-- restored from a dump. Runs before every migration; several databases of a server share the roles.

do $$
declare
    role_name text;
begin
    foreach role_name in array array[
        'nq42_loader', 'nq42_transformer', 'nq42_publisher', 'nq42_bi', 'nq42_auditor'
    ]
    loop
        if not exists (select from pg_roles where rolname = role_name) then
            execute format('create role %I nologin', role_name);
        end if;
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
    -- Who compares the marts with what was published has to read them.
    if not pg_has_role('nq42_auditor', 'nq42_bi', 'MEMBER') then
        grant nq42_bi to nq42_auditor;
    end if;
    -- A dashboard must not occupy the server and has nothing to write; compiling its short queries
    -- costs more than running them.
    if not exists (
        select
        from pg_db_role_setting
        where setrole = 'nq42_bi'::regrole and setdatabase = 0
    ) then
        alter role nq42_bi set statement_timeout = '30s';
        alter role nq42_bi set default_transaction_read_only = on;
        alter role nq42_bi set jit = off;
    end if;
    execute format('revoke all on database %I from public', current_database());
    execute format(
        'grant connect, temporary on database %I to nq42_loader, nq42_transformer, nq42_publisher',
        current_database()
    );
    execute format('grant connect on database %I to nq42_bi, nq42_auditor', current_database());
    -- Everybody may make large objects, and so fill the disk, unless the server's owner says no.
    begin
        revoke execute on function lo_create(oid), lo_creat(integer), lo_from_bytea(oid, bytea)
        from public;
    exception when insufficient_privilege then
        raise notice 'large objects stay open to every role: only a superuser can close them';
    end;
end;
$$;
