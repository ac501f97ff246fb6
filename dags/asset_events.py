"""What Airflow does with the events of assets, without losing the run that they should cause."""

from __future__ import annotations

from typing import Any

from airflow.assets.manager import AssetManager
from sqlalchemy import text
from sqlalchemy.orm import Session


class OneRunAssetManager(AssetManager):
    """AssetManager for which the events of one month come one after the other.

    Airflow's own (3.3.2) locks the asset, not the run that waits for it. Where two sources conclude
    a month in the same moment, each finds no waiting run and makes its own; each then waits for
    ever for the events that the other one has, and the month is not published
    (apache/airflow#71070).
    """

    @classmethod
    def _get_or_create_apdr(cls, *, target_key: str, session: Session, **arguments: Any) -> Any:
        # One lock for all DAGs that follow, or two events could wait for each other. It is held
        # until the event is committed. SQLite has one writer at a time anyway.
        if session.get_bind().dialect.name == "postgresql":
            lock = text("select pg_advisory_xact_lock(hashtextextended(:key, 44))")
            session.execute(lock, {"key": target_key})
        return super()._get_or_create_apdr(target_key=target_key, session=session, **arguments)
