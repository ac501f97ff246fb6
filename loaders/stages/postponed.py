"""Months whose release was left to a later run: a backfill publishes once, not month by month."""

from __future__ import annotations

from loaders import audit
from loaders.log import get_logger
from loaders.periods import check_month
from loaders.postgres.database import Role, connect
from loaders.stages.build import FINISHED

#: Audit event: a run of the release has left its month to the next one.
POSTPONED = "release.postponed"


def postpone_release(month: str, run_id: str = "manual") -> None:
    """Leave the release of a month to the run that follows."""
    check_month(month)
    with connect(Role.PUBLISHER) as connection:
        audit.append(connection, POSTPONED, {"period": month, "run_id": run_id})
    get_logger().info("release postponed", period=month, run_id=run_id)


def month_to_release(month: str) -> str:
    """The month itself, or a later one whose release was postponed since the last build."""
    check_month(month)
    with connect(Role.PUBLISHER) as connection:
        (postponed,) = connection.execute(
            "select max(payload ->> 'period') from audit.event where kind = %s and seq > coalesce("
            "(select max(seq) from audit.event where kind = %s), 0)",
            (POSTPONED, FINISHED),
        ).fetchone() or (None,)
    return max(month, postponed or "")
