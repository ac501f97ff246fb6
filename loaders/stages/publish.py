"""`publish`: switch the marts to an approved candidate, whole or not at all.

One transaction, as nq42_publisher: the ledger rows (what is new, revised or withdrawn since the
release before), the release with its manifest, the audit event, then the switch. Readers of `marts`
wait for the switch for some milliseconds and see either the old release or the new one.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from loaders import audit
from loaders.log import get_logger, log_context
from loaders.postgres.database import Role, connect
from loaders.publication import (
    CARD,
    CHECKSUM,
    LEDGERS,
    PublishError,
    Release,
    append_rows,
    append_values,
    append_verdicts,
    card_facts,
    comment_release,
    content,
    freeze,
    give_back,
    kept_marts,
    reasons_between,
    refer,
    tables,
    unexplained,
    write_card,
    write_checksum,
)
from loaders.stages.approve import admit
from loaders.stages.manifest import release_manifest
from loaders.stages.records import PublishResult

# A reader of two marts and the switch can each hold what the other waits for; the switch gives way.
# Short waits end such a knot at once, long ones outlast a slow query; all stay well below
# PostgreSQL's deadlock_timeout (1 s), after which the reader might be the one to fail.
LOCK_WAITS_MS = (10, 20, 50, 100, 200, 400)
LOCK_PATIENCE_SECONDS = 90  # longer than a BI query may run

NOTE = "release_note"


def publish(
    candidate_id: str,
    run_id: str | None = None,
    *,
    after_publish: Callable[[PublishResult], str | None] | None = None,
) -> PublishResult:
    """Publish the candidate that the release gate or, for its warnings, a person let through.

    A second call changes nothing.

    Args:
        candidate_id: must be the one in `candidate.release_note`.
        run_id: stored with the release.
        after_publish: called with the result after the commit; returns the path of the report.

    Raises:
        PublishError: another candidate is there, the gate has not passed it as it stands and no
            approval covers its warnings, it is older than what is published, its tables do not fit
            the ledger, or readers hold the marts too long.
    """
    with log_context(stage="publish", run_id=run_id):
        with connect(Role.PUBLISHER) as connection:
            result = _publish(connection, candidate_id, run_id)
        counts = {"new": result.rows_new, "revised": result.rows_revised}
        get_logger().info(
            f"release {result.status}",
            release_id=result.release_id,
            **counts,
            withdrawn=result.rows_withdrawn,
        )
    if after_publish is None:
        return result
    path = after_publish(result)
    return PublishResult(**{**result.to_dict(), "report_path": str(path) if path else None})


def _publish(
    connection: psycopg.Connection, candidate_id: str, run_id: str | None
) -> PublishResult:
    connection.execute("select pg_advisory_xact_lock(%s)", (audit.PUBLISH_LOCK_KEY,))
    known = connection.execute(
        "select release_id, period from publication.release where candidate_id = %s",
        (candidate_id,),
    ).fetchone()
    if known:
        return PublishResult(release_id=known[0], period=known[1], status="unchanged")

    new = _candidate_tables(connection)
    period = _check_candidate(connection, candidate_id)
    release_seq, release_id, previous = _next_release(connection, period)

    # Before anything is measured: what the gate judged must be what the copies hold.
    freeze(connection, "candidate", new)
    refer(connection, "candidate", new)
    for table in new:
        # For the comparison below, and so that the first dashboards do not get the worst plans.
        connection.execute(sql.SQL("analyze {}").format(sql.Identifier("candidate", table)))
    manifest = release_manifest(connection, candidate_id, release_id, period)
    manifest["approvals"] = admit(connection, candidate_id, manifest)
    # After the look at what was judged: it is no part of the candidate, but of the release.
    manifest["tables"][CHECKSUM] = write_checksum(connection, release_id, new)
    manifest["card"] = card_facts(connection, new)
    new.append(CHECKSUM)
    reasons = reasons_between(previous, manifest)
    changes: dict[str, int] = {"new": 0, "revised": 0, "withdrawn": 0}
    for table, append in (("kpi_value", append_values), ("kpi_verdict", append_verdicts)):
        counts = append(connection, release_seq, reasons)
        for change, count in counts.items():
            changes[change] += count
        manifest["ledger"][table] = {
            **content(connection, "publication", table, release_seq=release_seq),
            "changes": counts,
        }
    for kpi_id, count in unexplained(connection, release_seq).items():
        get_logger().warning(
            "figures changed although none of their recorded inputs did",
            release_id=release_id,
            kpi_id=kpi_id,
            rows=count,
        )
    _keep_rows(connection, manifest, release_seq)

    labels = _data_labels(connection)
    old = tables(connection, "marts")
    _lock_for_switch(connection, [("marts", t) for t in old] + [("candidate", t) for t in new])
    published_at = datetime.now(UTC)
    manifest["tables"][CARD] = write_card(connection, manifest, published_at, labels)
    new.append(CARD)
    _record_release(connection, manifest, release_seq, run_id, published_at, labels)
    comment_release(connection, new)
    _switch(connection, old, new)
    return PublishResult(
        release_id=release_id,
        period=period,
        status="published",
        rows_new=changes["new"],
        rows_revised=changes["revised"],
        rows_withdrawn=changes["withdrawn"],
    )


def _keep_rows(connection: psycopg.Connection, manifest: dict[str, Any], release_seq: int) -> None:
    """The rows of the other marts; and the proof that the release can be given back."""
    marts = set(manifest["tables"])
    elsewhere = {ledger.mart for ledger in LEDGERS} | set(manifest["derived"])
    for mart in sorted((marts | kept_marts(connection)) - elsewhere):
        append_rows(connection, mart, release_seq, exists=mart in marts)
    manifest["ledger"]["mart_row"] = content(
        connection, "publication", "mart_row", release_seq=release_seq
    )
    release = Release(release_seq, manifest["release_id"], datetime.now(UTC), manifest)
    lost = [found.mart for found in give_back(connection, release) if not found.is_exact]
    if lost:
        raise PublishError(
            f"the ledgers do not give back {', '.join(lost)} as candidate "
            f"{manifest['candidate_id']} holds them: no release without its history"
        )


# --- may it be published? -----------------------------------------------------------------------


def _candidate_tables(connection: psycopg.Connection) -> list[str]:
    """The candidate's tables, locked against a build that would change them meanwhile."""
    other = connection.execute(
        """
        select c.relname from pg_class as c
        where c.relnamespace = 'candidate'::regnamespace and c.relkind in ('v', 'm', 'f')
        """
    ).fetchall()
    if other:
        names = ", ".join(sorted(name for (name,) in other))
        raise PublishError(f"schema candidate holds views ({names}): only tables are published")
    found = tables(connection, "candidate")
    missing = {NOTE, *(ledger.mart for ledger in LEDGERS)}.difference(found)
    if missing:
        raise PublishError(
            f"there is no candidate to publish: schema candidate lacks {', '.join(sorted(missing))}"
        )
    names = sql.SQL(", ").join(sql.Identifier("candidate", table) for table in found)
    connection.execute(sql.SQL("lock table {} in share mode").format(names))
    return found


def _check_candidate(connection: psycopg.Connection, candidate_id: str) -> str:
    """The candidate's period, when it is the one asked for and not a step back."""
    notes = connection.execute("select candidate_id, as_of_period from candidate.release_note")
    rows = notes.fetchall()
    if len(rows) != 1:
        raise PublishError(f"candidate.release_note has {len(rows)} rows instead of one")
    found, period = rows[0]
    if found != candidate_id:
        raise PublishError(f"the candidate that was built is {found}, not {candidate_id}")
    latest = connection.execute(
        "select period from publication.release order by release_seq desc limit 1"
    ).fetchone()
    if latest and period < latest[0]:
        raise PublishError(
            f"candidate {candidate_id} is as of {period}, but {latest[0]} is published: it would "
            f"withdraw the months after {period}. Build for {latest[0]} to publish a correction."
        )
    return period


def _next_release(
    connection: psycopg.Connection, period: str
) -> tuple[int, str, dict[str, Any] | None]:
    """Sequence number and id ("2025-07.2") of this release, and the manifest of the one before."""
    last = connection.execute(
        "select release_seq, manifest from publication.release order by release_seq desc limit 1"
    ).fetchone()
    row = connection.execute(
        "select count(*) from publication.release where period = %s", (period,)
    ).fetchone()
    assert row is not None
    return (last[0] + 1 if last else 1), f"{period}.{row[0] + 1}", (last[1] if last else None)


# --- record and switch --------------------------------------------------------------------------


def _lock_for_switch(connection: psycopg.Connection, names: list[tuple[str, str]]) -> None:
    """Take all locks of the switch together, giving way to readers as often as needed."""
    listing = sql.SQL(", ").join(sql.Identifier(*name) for name in names)
    statement = sql.SQL("lock table {} in access exclusive mode").format(listing)
    deadline = time.monotonic() + LOCK_PATIENCE_SECONDS
    for wait_ms in itertools.cycle(LOCK_WAITS_MS):
        try:
            # A block of its own: giving up frees the locks taken so far, and so the readers.
            with connection.transaction():
                # The statement's limit bounds the sum of the waits, which is what readers feel.
                connection.execute(f"set local lock_timeout = {wait_ms}")
                connection.execute(f"set local statement_timeout = {wait_ms}")
                # First the chain: a long load may hold it, and readers must not wait for that.
                audit.lock(connection)
                connection.execute(statement)
                connection.execute("set local lock_timeout = 0")
                connection.execute("set local statement_timeout = 0")
            return
        except (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled) as error:
            if time.monotonic() > deadline:
                raise PublishError(
                    f"the marts were in use for {LOCK_PATIENCE_SECONDS} s without a pause; nothing "
                    "was changed. Look for long queries in pg_stat_activity and publish again."
                ) from error
            time.sleep(random.uniform(0.5, 1) * wait_ms / 1000)  # noqa: S311 - spreads attempts


def _data_labels(connection: psycopg.Connection) -> list[str]:
    rows = connection.execute(
        "select distinct data_label from candidate.fct_kpi_value"
        " where data_label is not null order by 1"
    )
    return [label for (label,) in rows.fetchall()]


def _record_release(
    connection: psycopg.Connection,
    manifest: dict[str, Any],
    release_seq: int,
    run_id: str | None,
    published_at: datetime,
    data_labels: list[str],
) -> None:
    chain_head = audit.head(connection)  # the chain is locked: it is what the event follows
    values = {
        "release_seq": release_seq,
        "release_id": manifest["release_id"],
        "period": manifest["period"],
        "candidate_id": manifest["candidate_id"],
        "published_at": published_at,
        "code_version": manifest["code_version"],
        "data_labels": data_labels,
        "manifest": Jsonb({**manifest, "chain_head": chain_head}),
        "chain_head": chain_head,
        "run_id": run_id,
    }
    audit.insert_vouched(connection, audit.RELEASE_EVENT, values)


def _switch(connection: psycopg.Connection, old: list[str], new: list[str]) -> None:
    if old:
        # One statement, because the marts may refer to each other.
        names = sql.SQL(", ").join(sql.Identifier("marts", table) for table in old)
        try:
            connection.execute(sql.SQL("drop table {}").format(names))
        except psycopg.errors.DependentObjectsStillExist as error:
            raise PublishError(f"something outside depends on the marts: {error}") from error
    for table in new:
        name = sql.Identifier("candidate", table)
        connection.execute(sql.SQL("alter table {} set schema marts").format(name))
    for table in new:
        name = sql.Identifier("marts", table)
        # The transformer, who built it, must not be able to touch what is published.
        connection.execute(sql.SQL("alter table {} owner to nq42_publisher").format(name))
        connection.execute(sql.SQL("grant select on {} to nq42_bi").format(name))
