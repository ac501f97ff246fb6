"""Who may do what, against what the migrations give: a right that was lost or gained is named.

`rights.txt` is the expectation, one right a line: kind, object, who, what. A new migration that
grants something changes it: `python -m loaders.operations.rights` prints what an up-to-date
warehouse has, and a test compares the two.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import psycopg

from loaders.operations.checks import Check
from loaders.postgres.database import Role, connect

EXPECTED = Path(__file__).with_name("rights.txt")
ROLES = tuple(role.value for role in Role if role is not Role.ADMIN)


class Moving(NamedTuple):
    """A schema whose tables come and go: their owner, who has to read each, who else may."""

    owner: Role
    reader: Role | None = None
    others: tuple[Role, ...] = ()


# dbt lets readers see a mart while it is a candidate; without a right on the schema they do not.
MART_READERS = (Role.BI, Role.AUDITOR)
MOVING = {
    "stage": Moving(Role.LOADER),
    "raw": Moving(Role.LOADER, Role.TRANSFORMER),
    "reference": Moving(Role.TRANSFORMER, Role.LOADER),
    "staging": Moving(Role.TRANSFORMER),
    "intermediate": Moving(Role.TRANSFORMER),
    "kpi": Moving(Role.TRANSFORMER),
    "candidate": Moving(Role.TRANSFORMER, None, MART_READERS),
    "marts": Moving(Role.PUBLISHER, Role.BI, MART_READERS),
}
SCHEMAS = (*MOVING, "quarantine", "publication", "audit")
SHOWN = 8


class Right(NamedTuple):
    """`kind`: schema, table, column, database, default, owner, member, attribute, setting, guard.

    A guard is a trigger that keeps a ledger append-only or the chain whole.
    """

    kind: str
    object: str
    who: str
    what: str

    def statement(self, verb: str) -> str:
        """What gives the right (``grant``) or takes it (``revoke``) in SQL; words for the rest."""
        preposition = "to" if verb == "grant" else "from"
        if self.kind in ("schema", "table", "database"):
            name = "" if self.kind == "table" else f"{self.kind} "
            return f"{verb} {self.what} on {name}{self.object} {preposition} {self.who};"
        if self.kind == "column":
            table, _, column = self.object.rpartition(".")
            return f"{verb} {self.what} ({column}) on {table} {preposition} {self.who};"
        if self.kind == "member":
            return f"{verb} {self.object} {preposition} {self.who};"
        change = "put back" if verb == "grant" else "take away"
        return f"{change}: {self.kind} {self.object} {self.who} {self.what}"


def read_expected() -> set[Right]:
    """The lines of `rights.txt`."""
    lines = EXPECTED.read_text(encoding="utf-8").splitlines()
    return {Right(*line.split()) for line in lines if line and not line.startswith("#")}


def read_rights(connection: psycopg.Connection) -> set[Right]:
    """Every right of the warehouse's roles and of everybody in this database, owners' own apart."""
    rows = connection.execute(_RIGHTS, {"roles": list(ROLES), "schemas": list(SCHEMAS)}).fetchall()
    return {Right(*row) for row in rows}


def compare(connection: psycopg.Connection) -> tuple[list[Right], list[Right]]:
    """Rights that are missing, and rights that nobody gave by a migration, each sorted."""
    found, expected = read_rights(connection), read_expected()
    due = {
        Right("table", f"{schema}.{name}", reader.value, "select")
        for schema, name in _readable_tables(connection)
        if (reader := MOVING[schema].reader) is not None
    }
    lost = (expected | due) - found
    gained = {right for right in found - expected if not _is_usual(right)}
    return sorted(lost), sorted(gained)


def _is_usual(right: Right) -> bool:
    """Of a table that comes and goes: its readers' right, and its proper owner."""
    moving = MOVING.get(right.object.partition(".")[0])
    if moving is None:
        return False
    if right.kind == "owner":
        return right.who == moving.owner
    may_read = right.who in (moving.reader, *moving.others)
    return right.kind == "table" and right.what == "select" and may_read


def _readable_tables(connection: psycopg.Connection) -> list[tuple[str, str]]:
    # A partition is read through its table and needs no right of its own.
    query = """
        select relnamespace::regnamespace::text, quote_ident(relname)
        from pg_class
        where
            relnamespace = any(%s::text[]::regnamespace[])
            and relkind in ('r', 'p', 'v', 'm')
            and not relispartition
    """
    return connection.execute(query, (list(MOVING),)).fetchall()


def check_rights(connection: psycopg.Connection) -> Check:
    """Lost and gained rights, with the statement that puts each right."""
    name = "quyền của vai trò / rights of the roles"
    lost, gained = compare(connection)
    if not lost and not gained:
        return Check(name, "ok", f"{len(ROLES)} roles as the migrations made them")
    found = [
        *(f"{r.who} reads outside marts: {r.object}" for r in gained if _is_leak(r)),
        *(f"gained: {' '.join(r)}" for r in gained if not _is_leak(r)),
        *(f"lost: {' '.join(r)}" for r in lost),
    ]
    fixes = [r.statement("revoke") for r in gained] + [r.statement("grant") for r in lost]
    more = [f"… {len(found) - SHOWN} more"] if len(found) > SHOWN else []
    return Check(name, "error", "; ".join(found[:SHOWN] + more), " ".join(fixes[:SHOWN]))


def _is_leak(right: Right) -> bool:
    return (
        right.kind in ("table", "column")
        and right.who == Role.BI
        and not right.object.startswith("marts.")
    )


_RIGHTS = """
with
roles as (select oid, rolname from pg_roles where rolname = any(%(roles)s)),
given as (
    select
        'schema' as kind, nspname::text as object, nspowner as owner,
        (aclexplode(coalesce(nspacl, acldefault('n', nspowner)))).*
    from pg_namespace
    where nspname !~ '^pg_' and nspname <> 'information_schema'
    union all
    select
        'table', relnamespace::regnamespace || '.' || quote_ident(relname), relowner,
        (aclexplode(relacl)).*
    from pg_class
    where relnamespace::regnamespace::text !~ '^(pg_|information_schema)'
    union all
    select
        'column',
        c.relnamespace::regnamespace || '.' || quote_ident(c.relname) || '.'
            || quote_ident(attname),
        c.relowner, (aclexplode(attacl)).*
    from pg_attribute inner join pg_class as c on attrelid = c.oid
    where
        attacl is not null
        and c.relnamespace::regnamespace::text !~ '^(pg_|information_schema)'
    union all
    select 'database', '*', datdba, (aclexplode(coalesce(datacl, acldefault('d', datdba)))).*
    from pg_database
    where datname = current_database()
    union all
    select
        'default', coalesce(defaclnamespace::regnamespace::text, '*') || ',' || defaclrole::regrole,
        defaclrole, (aclexplode(defaclacl)).*
    from pg_default_acl
    where defaclrole in (select oid from roles)
)
select kind, object, coalesce(rolname, 'public')::text, lower(replace(privilege_type, ' ', '_'))
from given left join roles on grantee = roles.oid
where
    grantee <> owner
    and (
        rolname is not null
        -- Everybody has what extensions give away in schemas of their own; here nothing is given.
        or (grantee = 0 and split_part(object, '.', 1) = any(%(schemas)s || array['public', '*']))
    )
union all
select 'owner', relnamespace::regnamespace || '.' || quote_ident(relname), rolname::text, 'all'
from pg_class inner join roles on relowner = roles.oid
where
    relkind in ('r', 'p', 'v', 'm', 'f')
    and relnamespace::regnamespace::text !~ '^(pg_|information_schema)'
union all
select 'owner', nspname::text, rolname::text, 'all'
from pg_namespace inner join roles on nspowner = roles.oid
where nspname !~ '^pg_'
union all
select 'member', roleid::regrole::text, rolname::text, 'member'
from pg_auth_members inner join roles on member = roles.oid
union all
select 'attribute', '*', rolname::text, attribute
from
    pg_roles
    cross join lateral (values
        (rolsuper, 'superuser'), (rolcreaterole, 'createrole'), (rolcreatedb, 'createdb'),
        (rolreplication, 'replication'), (rolbypassrls, 'bypassrls')
    ) as has (is_set, attribute)
where is_set and rolname = any(%(roles)s)
union all
select 'setting', '*', rolname::text, unnest(setconfig)
from pg_db_role_setting inner join roles on setrole = roles.oid
where setdatabase = 0
union all
select 'guard', tgrelid::regclass::text, tgname::text, tgenabled::text
from pg_trigger
where
    tgfoid in (
        select oid from pg_proc
        where pronamespace = 'audit'::regnamespace and proname in ('refuse_change', 'check_chain')
    )
    and tgparentid = 0
"""


def main() -> None:
    """Print what this warehouse has beyond what comes and goes, as `rights.txt` holds it."""
    with connect(Role.ADMIN) as connection:
        rights = sorted(r for r in read_rights(connection) if not _is_usual(r))
    print("# kind, object, who, what; a guard is a trigger and A means that it always fires")
    for right in rights:
        print(*right)


if __name__ == "__main__":
    main()
